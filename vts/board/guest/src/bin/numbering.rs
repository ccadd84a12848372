// SPDX-License-Identifier: Apache-2.0
//! A service manager of another version of Android's, for one service: the calls have that version's
//! numbers, and the properties say that it is that version.
//!
//!     numbering SDK android13|android15|android16 PROGRAM
//!
//! starts the program, with the binder device and the properties of its own that it then finds, and
//! says under which name it registers itself. The board's own service manager is not disturbed.

use std::collections::HashMap;
use std::error::Error;
use std::path::Path;
use std::process::{Child, Command, ExitCode};
use std::sync::mpsc::{Receiver, Sender, channel};
use std::time::Duration;

use board_guest::properties;
use nix::mount::{MsFlags, mount};
use nix::sched::{CloneFlags, unshare};
use rsbinder::{ProcessState, SIBinder};

/// Of no use to anybody else on the board.
const DEVICE: &str = "/dev/binderfs/vndbinder";

/// A service manager with this numbering that passes on what is added to it.
macro_rules! manager {
    ($numbering:ident, $file:literal, $($other:ident)*) => {
        mod $numbering {
            #[allow(missing_docs, missing_debug_implementations, unused, clippy::all)]
            mod generated {
                rsbinder::include_aidl!($file);
            }
            use generated::android::os::IServiceManager::{BnServiceManager, IServiceManager};
            use rsbinder::{ExceptionCode, SIBinder};

            struct Manager(std::sync::mpsc::Sender<String>);

            impl rsbinder::Interface for Manager {}

            impl IServiceManager for Manager {
                fn r#addService(
                    &self,
                    name: &str,
                    _: &SIBinder,
                    _: bool,
                    _: i32,
                ) -> rsbinder::BinderResult<()> {
                    // Nobody listens any more once it has one.
                    let _ = self.0.send(name.to_owned());
                    Ok(())
                }
                $(fn $other(&self) -> rsbinder::BinderResult<()> {
                    Err(ExceptionCode::UnsupportedOperation.into())
                })*
            }

            pub fn new(added: std::sync::mpsc::Sender<String>) -> SIBinder {
                BnServiceManager::new_binder(Manager(added)).as_binder()
            }
        }
    };
}

manager!(android13, "android13", getService checkService);
manager!(
    android15,
    "android15",
    getService getService2 checkService listServices registerForNotifications unregisterForNotifications isDeclared getDeclaredInstances updatableViaApex getUpdatableNames getConnectionInfo registerClientCallback tryUnregisterService getServiceDebugInfo
);
manager!(android16, "android16", getService getService2 checkService checkService2);

fn main() -> ExitCode {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let [sdk, numbering, program] = arguments.as_slice() else {
        eprintln!("numbering: wants SDK NUMBERING PROGRAM");
        return ExitCode::from(2);
    };
    match run(sdk, numbering, program) {
        Ok(name) => {
            println!("{name}");
            ExitCode::SUCCESS
        }
        Err(error) => {
            eprintln!("numbering: {error}");
            ExitCode::FAILURE
        }
    }
}

fn run(sdk: &str, numbering: &str, program: &str) -> Result<String, Box<dyn Error>> {
    let manager: fn(Sender<String>) -> SIBinder = match numbering {
        "android13" => android13::new,
        "android15" => android15::new,
        "android16" => android16::new,
        _ => return Err(format!("there is no numbering {numbering}").into()),
    };
    pretend(sdk)?;
    let (sender, added) = channel();
    ProcessState::init(DEVICE, 1)?;
    ProcessState::start_thread_pool();
    ProcessState::as_self().become_context_manager(manager(sender))?;
    let mut service = Command::new(program).spawn()?;
    let name = wait(&mut service, &added);
    // It may have ended.
    let _ = service.kill();
    service.wait()?;
    name
}

/// Has this process and its children find other properties, and another binder device, than the rest.
fn pretend(sdk: &str) -> Result<(), Box<dyn Error>> {
    unshare(CloneFlags::CLONE_NEWNS)?;
    let nothing = None::<&str>;
    mount(nothing, "/", nothing, MsFlags::MS_REC | MsFlags::MS_PRIVATE, nothing)?;
    let folder = Path::new("/tmp").join(format!("properties-{}", std::process::id()));
    properties::write(&folder, &HashMap::from([(properties::SDK, sdk)]))?;
    mount(Some(&folder), properties::FOLDER, nothing, MsFlags::MS_BIND, nothing)?;
    mount(Some(DEVICE), "/dev/binderfs/binder", nothing, MsFlags::MS_BIND, nothing)?;
    Ok(())
}

fn wait(service: &mut Child, added: &Receiver<String>) -> Result<String, Box<dyn Error>> {
    loop {
        if let Ok(name) = added.recv_timeout(Duration::from_millis(50)) {
            return Ok(name);
        }
        if let Some(status) = service.try_wait()? {
            return Err(format!("the service did not register itself, and ended: {status}").into());
        }
    }
}
