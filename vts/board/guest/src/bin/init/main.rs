// SPDX-License-Identifier: Apache-2.0
//! The board's process 1: a small stand-in for Android's init, ueventd and `class_start`.
//!
//! Mounts, loads the kernel's modules, makes the properties, loads the SELinux policy and labels all files, gives device
//! nodes the modes and owners of the two `ueventd.rc` files, enforces, starts the services of the
//! `.rc` files as the users they name, waits until their interfaces answer, and starts the agent.
//! Then it reaps, restarts services that die, and powers off when the agent is gone. It reads the
//! same files as a device does, so what a board ships is what is tested.

mod identity;
mod modules;
mod mounts;
mod rc;
mod selinux;
mod supervisor;
mod ueventd;

use std::collections::HashMap;
use std::fs::{self, File};
use std::io;
use std::os::unix::process::CommandExt;
use std::process::{Command, ExitCode};

use board_channel::NO_SERVICES;
use board_guest::properties;
use nix::sys::reboot::{RebootMode, reboot};
use nix::sys::resource::{Resource, setrlimit};

use rc::Service;
use supervisor::Supervisor;

/// Process 1 executes itself with this word once the policy is loaded.
const SECOND_STAGE: &str = "second_stage";

const PATH: &str = "/vendor/bin:/system/bin:/bin";
const UEVENTD_FILES: [&str; 2] = ["/system/etc/ueventd.rc", "/vendor/etc/ueventd.rc"];
const MODULES: &str = "/vendor/lib/modules";
const RC_FOLDERS: [&str; 2] = ["/system/etc/init", "/vendor/etc/init"];

/// Nice -20, on the scale of `RLIMIT_NICE`.
const HIGHEST_NICE: u64 = 40;

fn main() -> ExitCode {
    let arguments: Vec<String> = std::env::args().collect();
    if let [_, verb, file, name] = arguments.as_slice()
        && verb == identity::VERB
    {
        return identity::become_service(file, name);
    }
    let stage = match arguments.as_slice() {
        [_, word] if word == SECOND_STAGE => bring_up,
        _ => prepare,
    };
    if let Err(error) = stage() {
        eprintln!("init: {error}; powering off");
    }
    // The agent is gone, or there was none: nobody can use this board any more.
    match reboot(RebootMode::RB_POWER_OFF) {
        Ok(never) => match never {},
        Err(errno) => {
            eprintln!("init: cannot power off: {errno}");
            ExitCode::FAILURE
        }
    }
}

/// The first stage: all that needs no domain of its own. Never returns when it works.
fn prepare() -> io::Result<()> {
    mounts::mount_all()?;
    modules::load_all(MODULES.as_ref())?;
    run("/bin/busybox", &["--install", "-s", "/bin"])?;
    make_properties()?;
    selinux::load()?;
    // The one that the kernel opened lies under the mount of /dev, and has no label of its own.
    let console = File::options().read(true).write(true).open("/dev/console")?;
    let mut second_stage = Command::new("/init");
    second_stage.arg(SECOND_STAGE).stdin(console.try_clone()?).stdout(console.try_clone()?);
    Err(second_stage.stderr(console).exec())
}

/// Which version of Android this is: one whose service manager speaks as the board's does.
fn make_properties() -> io::Result<()> {
    let properties = HashMap::from([(properties::SDK, "36")]);
    properties::write(properties::FOLDER.as_ref(), &properties)
        .map_err(|why| io::Error::other(format!("making the properties: {why}")))
}

fn bring_up() -> io::Result<()> {
    // As Android's init does: binder raises its servers' priority within this limit.
    setrlimit(Resource::RLIMIT_NICE, HIGHEST_NICE, HIGHEST_NICE)?;
    for file in UEVENTD_FILES {
        ueventd::apply(file.as_ref())?;
    }
    selinux::enforce()?;
    let mut supervisor = Supervisor::new()?;
    let failed = if fs::read_to_string("/proc/cmdline")?.contains(NO_SERVICES) {
        Vec::new()
    } else {
        start_services(&mut supervisor)?
    };
    supervisor.start_agent(&failed)?;
    supervisor.run_until_agent_ends()
}

/// Starts every service, `class core` first, and returns one line for each that failed.
fn start_services(supervisor: &mut Supervisor) -> io::Result<Vec<String>> {
    let mut failed = Vec::new();
    let mut services = Vec::new();
    for folder in RC_FOLDERS {
        for file in rc::files_in(folder.as_ref())? {
            match rc::parse_file(&file) {
                Ok(found) => services.extend(found),
                Err(error) => failed.push(error.to_string()),
            }
        }
    }
    let (core, rest): (Vec<Service>, Vec<Service>) =
        services.into_iter().filter(|s| !s.disabled).partition(|s| s.class == "core");
    let interfaces: Vec<String> = rest.iter().flat_map(|s| s.interfaces.clone()).collect();
    for service in core {
        supervisor.start(service)?;
    }
    failed.extend(supervisor.wait_for_service_manager());
    for service in rest {
        supervisor.start(service)?;
    }
    for interface in &interfaces {
        failed.extend(supervisor.wait_for_interface(interface));
    }
    Ok(failed)
}

fn run(program: &str, arguments: &[&str]) -> io::Result<()> {
    let status = Command::new(program).args(arguments).status()?;
    if status.success() {
        return Ok(());
    }
    Err(io::Error::other(format!("{program} {}: {status}", arguments.join(" "))))
}
