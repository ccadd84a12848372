// SPDX-License-Identifier: Apache-2.0
//! The facade over the binder library: everything the service and its clients
//! need from binder, in terms that do not change with the library below.

use std::convert::Infallible;
use std::error::Error;
use std::fmt;
use std::os::fd::AsFd;
use std::sync::Arc;

use rsbinder::hub::{self, ServiceManager};
use rsbinder::{
    BinderFeatures, DeathRecipient, ProcessState, ProxyHandle, SIBinder, StatusCode, WIBinder,
};
pub use rsbinder::{ParcelFileDescriptor, Status, Strong};

use crate::allocator::{AllocationError, BnAllocator, IAllocator};

/// What an AIDL method returns.
pub type Result<T> = std::result::Result<T, Status>;

/// The instance that clients look the allocator up by.
pub const DEFAULT: &str = "default";

/// The binder device that carries vendor and framework calls.
pub const DEVICE: &str = "/dev/binder";

/// Threads that serve calls at most, that which [`serve`] is called on among
/// them. As many as Android's own services have: no caller is given more than a
/// part of them, and that part is to be enough for eight that ask at once. They
/// are started as they are needed.
pub const THREADS: usize = 16;
/// Those that the driver asks for, beside that thread and the pool's first.
const POOL: u32 = THREADS as u32 - 2;

/// The nice value that a call is raised to while it is served; buffers are
/// waited for by the thread that draws the frame.
const MIN_NICE: i32 = -20;

/// Makes a type a binder interface whose dump is written by `$write`, a
/// `fn(&$type, &mut dyn Write, &[String]) -> io::Result<()>`.
#[macro_export]
macro_rules! interface_with_dump {
    ($type:ty, $write:path) => {
        impl $crate::binder::library::Interface for $type {
            fn dump(
                &self,
                writer: &mut dyn std::io::Write,
                options: &[String],
            ) -> $crate::binder::library::Result<()> {
                Ok($write(self, writer, options)?)
            }
        }
    };
}

/// For [`interface_with_dump`](crate::interface_with_dump) only.
#[doc(hidden)]
pub use rsbinder as library;

/// Who is making the current call.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct Caller {
    /// The caller's user id.
    pub uid: u32,
    /// The caller's SELinux context, where the kernel has SELinux.
    pub context: Option<String>,
}

impl Caller {
    /// The caller of the transaction this thread is serving; outside of one,
    /// this process itself.
    pub fn current() -> Caller {
        Caller {
            uid: rsbinder::get_calling_uid(),
            context: rsbinder::get_calling_sid().map(|sid| sid.to_string_lossy().into_owned()),
        }
    }
}

/// The process that makes the current call, 0 if it does not wait for an answer;
/// outside of one, this process itself. It may be gone, and its number another's.
pub fn calling_pid() -> i32 {
    rsbinder::get_calling_pid()
}

/// An error as a client of IAllocator sees it.
pub fn service_error(code: AllocationError, message: &str) -> Status {
    Status::new_service_specific_error(code.get(), Some(message.to_owned()))
}

/// What a service answers to a method that it has not.
pub fn unknown_transaction() -> Status {
    StatusCode::UnknownTransaction.into()
}

/// Serves `allocator` as this instance on this thread and a small pool.
///
/// # Errors
/// If the binder device cannot be opened, or the service manager refuses the
/// registration. Otherwise only when the driver ends the thread.
pub fn serve(
    instance: &str,
    allocator: impl IAllocator + 'static,
) -> std::result::Result<Infallible, Box<dyn Error>> {
    let name = name_of(instance);
    ProcessState::init(DEVICE, POOL)?;
    let mut features = BinderFeatures::default();
    features.set_requesting_sid = true;
    features.inherit_rt = true;
    features.min_sched_policy = Some(0); // SCHED_NORMAL
    features.min_priority = Some(MIN_NICE);
    let binder = BnAllocator::new_binder_with_features(allocator, features).as_binder();

    ProcessState::start_thread_pool();
    register(&name, &binder).map_err(|why| {
        format!(
            "the service manager does not register {name}: {why}; is another allocator running?"
        )
    })?;
    ProcessState::join_thread_pool()?;
    Err("the binder driver ended the service's main thread".into())
}

/// Tells the service manager. The calls that it knows have other numbers in other versions of
/// Android; which it is, the binder library asks the property `ro.build.version.sdk`, and Android 15
/// itself, which has two.
fn register(name: &str, binder: &SIBinder) -> std::result::Result<(), Box<dyn Error>> {
    // Isolated processes (a browser's renderer, say) draw too.
    macro_rules! add {
        ($version:ident, $manager:expr) => {
            hub::$version::IServiceManager::addService(
                $manager,
                name,
                binder,
                true,
                hub::DUMP_FLAG_PRIORITY_DEFAULT,
            )?
        };
    }
    match &*hub::default()? {
        #[cfg(target_os = "android")]
        ServiceManager::Android13(manager) => add!(android_13, manager),
        #[cfg(target_os = "android")]
        ServiceManager::Android14(manager) => add!(android_14, manager),
        #[cfg(target_os = "android")]
        ServiceManager::Android15(manager) => add!(android_15, manager),
        ServiceManager::Android16(manager) => add!(android_16, manager),
    }
    Ok(())
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
    let binder = connect(instance)?.as_binder();
    let proxy = binder.as_any().downcast_ref::<ProxyHandle>();
    let proxy = proxy.ok_or("the allocator lives in this very process")?;
    Ok(proxy.dump(to.as_fd().try_clone_to_owned()?, options)?)
}

/// The name of this instance, which the device says it has. Who waits for another waits for ever.
///
/// # Errors
/// If the service manager cannot be reached or knows of no declaration.
pub fn declared(instance: &str) -> std::result::Result<String, Box<dyn Error>> {
    let name = name_of(instance);
    if is_declared(&name)? {
        return Ok(name);
    }
    Err(format!("{name} is not declared: no VINTF manifest of this device names it").into())
}

/// Whether the device declares what clients look up by this name, running or not; a passthrough
/// library's name is its HAL's, a slash, and the instance.
///
/// # Errors
/// If the service manager cannot be reached.
pub fn is_declared(name: &str) -> std::result::Result<bool, Box<dyn Error>> {
    ProcessState::init(DEVICE, 1)?;
    Ok(hub::try_is_declared(name)?)
}

/// The allocator of this instance, waiting for it to register if need be.
///
/// # Errors
/// If the device declares no such instance, the binder device cannot be opened, or the service
/// cannot be reached.
pub fn connect(instance: &str) -> std::result::Result<Strong<dyn IAllocator>, Box<dyn Error>> {
    ProcessState::init(DEVICE, 1)?;
    // The hub tells of new services by calling back.
    ProcessState::start_thread_pool();
    Ok(hub::wait_for_interface(&declared(instance)?)?)
}

/// The process of the allocator of this instance, as the service manager knows it.
///
/// # Errors
/// If the service manager cannot be reached, or there is no such allocator.
pub fn pid_of(instance: &str) -> std::result::Result<u32, Box<dyn Error>> {
    ProcessState::init(DEVICE, 1)?;
    let name = name_of(instance);
    let services = hub::default()?.try_get_service_debug_info()?;
    let found = services.into_iter().find(|service| service.name == name);
    Ok(u32::try_from(found.ok_or(format!("{name} is not running"))?.debugPid)?)
}

fn name_of(instance: &str) -> String {
    format!("android.hardware.graphics.allocator.IAllocator/{instance}")
}

/// Watches a service until it is dropped.
#[must_use]
pub struct Watch {
    // The service is told of it weakly.
    _recipient: Arc<dyn DeathRecipient>,
}

impl fmt::Debug for Watch {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Watch")
    }
}

/// Has `then` called, on a thread of binder's, when this allocator has died.
///
/// # Errors
/// If it is dead already.
pub fn on_death(
    allocator: &Strong<dyn IAllocator>,
    then: impl Fn() + Send + Sync + 'static,
) -> std::result::Result<Watch, Box<dyn Error>> {
    struct Call<F>(F);
    impl<F: Fn() + Send + Sync> DeathRecipient for Call<F> {
        fn binder_died(&self, _: &WIBinder) {
            self.0();
        }
    }
    let recipient: Arc<dyn DeathRecipient> = Arc::new(Call(then));
    allocator.as_binder().link_to_death(Arc::downgrade(&recipient))?;
    Ok(Watch { _recipient: recipient })
}
