// SPDX-License-Identifier: Apache-2.0
//! The facade of `binder.rs`, over libbinder_rs, AOSP's own. `cargo test android` holds it
//! against that crate, as the system and as vendors have it.
//!
//! | | rsbinder | libbinder_rs | libbinder_rs for vendors |
//! |---|---|---|---|
//! | names | `rsbinder`, `StatusCode::UnknownTransaction`, `Status` from any error | `binder`, `StatusCode::UNKNOWN_TRANSACTION` | as in the system |
//! | dump | `&[String]`, any `io::Error` | `&[&CStr]`, a status; a client's is on `binder_impl::IBinderInternal` | as in the system |
//! | a service's own error | `Option<String>` | `Option<&CStr>` | as in the system |
//! | caller's context | `get_calling_sid` | `with_calling_sid`, if the service asked for it | none: vendors may not ask. Accounts and classes go by uid alone, and the dump names no domain |
//! | real-time callers | `inherit_rt` | `set_inherit_rt` | as in the system |
//! | least priority | a feature | the library's C interface, [`platform`] | as in the system |
//! | isolated callers | an argument of the version's `addService` | the library's C interface, [`platform`] | as in the system |
//! | death | a trait object, told weakly | a value with a closure | as in the system |
//! | threads | of a process state that opens the device | of the library's, which has one device | as in the system |
//! | who serves | the service manager's list | `dumpsys` | as in the system |

use std::convert::Infallible;
use std::error::Error;
use std::ffi::CString;
use std::os::fd::AsFd;

#[cfg(not(android_vndk))]
use binder::ThreadState;
use binder::binder_impl::IBinderInternal;
use binder::{BinderFeatures, DeathRecipient, IBinder, Interface, ProcessState, StatusCode};
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
    /// The caller's SELinux context; none in a vendor's build.
    pub context: Option<String>,
}

impl Caller {
    /// The caller of the transaction this thread is serving.
    pub fn current() -> Caller {
        #[cfg(not(android_vndk))]
        let context =
            ThreadState::with_calling_sid(|sid| Some(sid?.to_string_lossy().into_owned()));
        #[cfg(android_vndk)]
        let context = None;
        Caller { uid: binder::ThreadState::get_calling_uid(), context }
    }
}

/// The process that makes the current call, 0 if it does not wait for an answer.
/// It may be gone, and its number another's.
pub fn calling_pid() -> i32 {
    binder::ThreadState::get_calling_pid()
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
    #[cfg(not(android_vndk))]
    {
        features.set_requesting_sid = true;
    }
    features.set_inherit_rt = true;
    let binder = BnAllocator::new_binder(allocator, features);
    platform::register(&name_of(instance), binder.as_binder())?;
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
    Ok(connect(instance)?.as_binder().dump(&to.as_fd(), &options)?)
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

/// What only libbinder_ndk's C interface has, for vendors as well.
mod platform {
    use std::error::Error;
    use std::ffi::{CString, c_char, c_int};

    use binder::SpIBinder;
    use binder::unstable_api::{AIBinder, AsNative, status_result};

    /// Isolated processes (a browser's renderer, say) draw too.
    const ALLOW_ISOLATED: u32 = 1;
    /// `SCHED_NORMAL`.
    const NORMAL: c_int = 0;
    /// See `binder.rs`.
    const MIN_NICE: c_int = -20;

    unsafe extern "C" {
        fn AIBinder_setMinSchedulerPolicy(binder: *mut AIBinder, policy: c_int, priority: c_int);
        fn AServiceManager_addServiceWithFlags(
            binder: *mut AIBinder,
            instance: *const c_char,
            flags: u32,
        ) -> i32;
    }

    /// Registers a service that nobody else has yet, with the least priority that calls get.
    pub fn register(name: &str, mut binder: SpIBinder) -> Result<(), Box<dyn Error>> {
        let instance = CString::new(name)?;
        // SAFETY: a binder of this process, not sent yet, as the call wants it.
        unsafe { AIBinder_setMinSchedulerPolicy(binder.as_native_mut(), NORMAL, MIN_NICE) };
        // SAFETY: a binder and a string, both of which the call borrows.
        let status = unsafe {
            AServiceManager_addServiceWithFlags(
                binder.as_native_mut(),
                instance.as_ptr(),
                ALLOW_ISOLATED,
            )
        };
        status_result(status).map_err(|status| {
            format!("the service manager does not register {name}: {status}; is it declared, and is no other allocator running?")
                .into()
        })
    }
}
