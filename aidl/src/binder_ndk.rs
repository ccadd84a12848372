// SPDX-License-Identifier: Apache-2.0
//! The facade of `binder.rs`, over libbinder_rs. Scheduling and registration
//! for isolated callers are libbinder's defaults there.

use std::convert::Infallible;
use std::error::Error;
use std::ffi::{CStr, CString};
use std::os::fd::AsFd;

use binder::{BinderFeatures, DeathRecipient, IBinder, ProcessState, StatusCode, ThreadState};
pub use binder::{ParcelFileDescriptor, Result, Status, Strong};

use crate::allocator::{AllocationError, BnAllocator, IAllocator};

/// The instance that clients look the allocator up by.
pub const DEFAULT: &str = "default";

/// See `binder.rs`.
pub const THREADS: usize = 16;
const POOL: u32 = THREADS as u32 - 2;

/// See `binder.rs`.
#[macro_export]
macro_rules! interface_with_dump {
    ($type:ty, $write:path) => {
        impl $crate::binder::library::Interface for $type {
            fn dump(
                &self,
                writer: &mut dyn std::io::Write,
                options: &[&std::ffi::CStr],
            ) -> std::result::Result<(), $crate::binder::library::StatusCode> {
                let options: Vec<String> =
                    options.iter().map(|option| option.to_string_lossy().into_owned()).collect();
                $write(self, writer, &options)
                    .map_err(|_| $crate::binder::library::StatusCode::UNKNOWN_ERROR)
            }
        }
    };
}

/// For [`interface_with_dump`](crate::interface_with_dump) only.
#[doc(hidden)]
pub use binder as library;

/// Who is making the current call.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct Caller {
    /// The caller's user id.
    pub uid: u32,
    /// The caller's SELinux context.
    pub context: Option<String>,
}

impl Caller {
    /// The caller of the transaction this thread is serving.
    pub fn current() -> Caller {
        let text = |sid: &CStr| sid.to_string_lossy().into_owned();
        Caller {
            uid: ThreadState::get_calling_uid(),
            context: ThreadState::with_calling_sid(|sid| sid.map(text)),
        }
    }
}

/// An error as a client of IAllocator sees it.
pub fn service_error(code: AllocationError, message: &str) -> Status {
    let message = CString::new(message).ok();
    Status::new_service_specific_error(code.0, message.as_deref())
}

/// What a service answers to a method that it has not.
pub fn unknown_transaction() -> Status {
    StatusCode::UNKNOWN_TRANSACTION.into()
}

/// Serves `allocator` as this instance on this thread and a small pool.
///
/// # Errors
/// If the service manager refuses the registration.
pub fn serve(
    instance: &str,
    allocator: impl IAllocator + 'static,
) -> std::result::Result<Infallible, Box<dyn Error>> {
    ProcessState::set_thread_pool_max_thread_count(POOL);
    ProcessState::start_thread_pool();
    let mut features = BinderFeatures::default();
    features.set_requesting_sid = true;
    let binder = BnAllocator::new_binder(allocator, features);
    binder::add_service(&name_of(instance), binder.as_binder())?;
    ProcessState::join_thread_pool();
    Err("the binder driver ended the service's main thread".into())
}

/// Has the running allocator of this instance write its state to `to`.
///
/// # Errors
/// If the service cannot be reached or cannot write.
pub fn dump(
    instance: &str,
    to: impl AsFd,
    options: &[String],
) -> std::result::Result<(), Box<dyn Error>> {
    let options: Vec<&str> = options.iter().map(String::as_str).collect();
    Ok(IBinder::dump(&mut connect(instance)?.as_binder(), &to.as_fd(), &options)?)
}

/// The name of this instance, which the device says it has. Who waits for another waits for ever.
///
/// # Errors
/// If the service manager knows of no declaration.
pub fn declared(instance: &str) -> std::result::Result<String, Box<dyn Error>> {
    let name = name_of(instance);
    if is_declared(&name)? {
        return Ok(name);
    }
    Err(format!("{name} is not declared: no VINTF manifest of this device names it").into())
}

/// Whether the device declares what clients look up by this name.
///
/// # Errors
/// If the service manager cannot be reached.
pub fn is_declared(name: &str) -> std::result::Result<bool, Box<dyn Error>> {
    Ok(binder::is_declared(name)?)
}

/// The allocator of this instance, waiting for it to register if need be.
///
/// # Errors
/// If the service cannot be reached.
pub fn connect(instance: &str) -> std::result::Result<Strong<dyn IAllocator>, Box<dyn Error>> {
    // Death notices are calls.
    ProcessState::start_thread_pool();
    Ok(binder::wait_for_interface(&declared(instance)?)?)
}

/// The process of the allocator of this instance, as the service manager knows it. libbinder_rs
/// does not pass that question on; the platform's dumpsys does.
///
/// # Errors
/// If there is no such allocator.
pub fn pid_of(instance: &str) -> std::result::Result<u32, Box<dyn Error>> {
    let name = name_of(instance);
    let output = std::process::Command::new("dumpsys").arg("--pid").arg(&name).output()?;
    let pid = String::from_utf8_lossy(&output.stdout).trim().parse();
    Ok(pid.map_err(|_| format!("{name} is not running"))?)
}

fn name_of(instance: &str) -> String {
    format!("android.hardware.graphics.allocator.IAllocator/{instance}")
}

/// Watches a service until it is dropped.
#[must_use]
pub struct Watch {
    _recipient: DeathRecipient,
}

/// Has `then` called, on a thread of binder's, when this allocator has died.
///
/// # Errors
/// If it is dead already.
pub fn on_death(
    allocator: &Strong<dyn IAllocator>,
    then: impl Fn() + Send + Sync + 'static,
) -> std::result::Result<Watch, Box<dyn Error>> {
    let mut recipient = DeathRecipient::new(then);
    allocator.as_binder().link_to_death(&mut recipient)?;
    Ok(Watch { _recipient: recipient })
}
