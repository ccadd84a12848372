// SPDX-License-Identifier: Apache-2.0
//! `mutant NAME COMMAND…`: runs a command while a broken allocator is served beside the board's.
//!
//! The service is a process of its own, as it is on a device: it may die of its defect.

use std::env;
use std::error::Error;
use std::os::unix::process::ExitStatusExt;
use std::process::{Child, Command, ExitCode, ExitStatus};
use std::thread::sleep;
use std::time::{Duration, Instant};

use dmaheap_aidl::binder;
use dmaheap_mutants::{CHOSEN, INSTANCE, NONE, all, allocator};

/// `mutant SERVE NAME` is the service.
const SERVE: &str = "--serve";

/// Until the service manager knows the service; emulation on a loaded machine is slow.
const START_LIMIT: Duration = Duration::from_secs(30);

type Result<T> = std::result::Result<T, Box<dyn Error>>;

fn main() -> ExitCode {
    let arguments: Vec<String> = env::args().skip(1).collect();
    let words: Vec<&str> = arguments.iter().map(String::as_str).collect();
    let done = match *words {
        [SERVE, name] => allocator::serve(name).map(|never| match never {}),
        [name, program, ref rest @ ..] => run(name, program, rest),
        _ => Err("usage: mutant NAME COMMAND…".into()),
    };
    match done {
        // As a shell has it.
        Ok(status) => {
            let code = status.code().unwrap_or_else(|| 128 + status.signal().unwrap_or_default());
            ExitCode::from(u8::try_from(code).unwrap_or(u8::MAX))
        }
        Err(error) => {
            eprintln!("mutant: {error}");
            ExitCode::from(125)
        }
    }
}

fn run(name: &str, program: &str, arguments: &[&str]) -> Result<ExitStatus> {
    if name != NONE && all().all(|(known, ..)| known != name) {
        let known: Vec<&str> = all().map(|(known, ..)| known).collect();
        return Err(format!("no mutant '{name}'; there are {NONE}, {}", known.join(", ")).into());
    }
    let mut service = Command::new(env::current_exe()?).args([SERVE, name]).spawn()?;
    let status = wait_for(&mut service)
        .and_then(|()| Ok(Command::new(program).args(arguments).env(CHOSEN, name).status()?));
    // It may be dead already.
    let _ = service.kill();
    service.wait()?;
    status
}

/// Waits until the service manager knows this process as the service.
fn wait_for(service: &mut Child) -> Result<()> {
    let started = Instant::now();
    while started.elapsed() < START_LIMIT {
        if let Some(status) = service.try_wait()? {
            return Err(format!("the service ended: {status}").into());
        }
        if binder::pid_of(INSTANCE).is_ok_and(|pid| pid == service.id()) {
            return Ok(());
        }
        sleep(Duration::from_millis(20));
    }
    Err(format!("the service was not registered within {START_LIMIT:?}").into())
}
