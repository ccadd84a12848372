// SPDX-License-Identifier: Apache-2.0
//! The service as the kernel sees it, and a connection to it.

use std::error::Error;
use std::fs;
use std::io::{Read, pipe};
use std::sync::OnceLock;
use std::thread::{self, sleep};
use std::time::Duration;

use dmaheap_aidl::allocator::{
    AllocationError, AllocationResult, BufferDescriptorInfo, IAllocator,
};
use dmaheap_aidl::binder::{self, Strong};
use dmaheap_aidl::common::{BufferUsage, PixelFormat};
use libtest_mimic::Trial;
use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;

use crate::baseline;
use crate::harness::{self, Outcome, instance};

/// What must not change.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct State {
    pid: u32,
    descriptors: usize,
    /// Where the kernel counts them.
    dma_bufs: Option<usize>,
    cma_pages: Option<i64>,
}

impl State {
    /// As it is now, at rest. What this project's service takes from its stocks and what a client
    /// leaks would cancel out while the stocks are being filled again.
    pub fn now() -> Result<State, Box<dyn Error>> {
        for _ in 0..baseline::looks()? {
            if is_at_rest()? {
                let state = State::at_this_moment()?;
                if is_at_rest()? {
                    return Ok(state);
                }
            }
            sleep(baseline::PAUSE);
        }
        Err("the service does not come to rest".into())
    }

    fn at_this_moment() -> Result<State, Box<dyn Error>> {
        let pid = pid()?;
        Ok(State {
            pid,
            descriptors: fs::read_dir(format!("/proc/{pid}/fd"))?.count(),
            dma_bufs: baseline::where_counted(baseline::dma_bufs)?,
            cma_pages: baseline::where_counted(baseline::cma_pages)?,
        })
    }

    /// The service's process.
    pub fn pid(&self) -> u32 {
        self.pid
    }

    /// The same state, of another process.
    pub fn of_process(self, pid: u32) -> State {
        State { pid, ..self }
    }
}

/// Whether the service makes nothing ready just now. What another vendor's does, nobody knows.
fn is_at_rest() -> Result<bool, Box<dyn Error>> {
    let report: serde_json::Value =
        serde_json::from_str(&dump(&["--json"])?).unwrap_or(serde_json::Value::Null);
    Ok(report["at_rest"] != false)
}

/// The service's process, as the service manager knows it.
pub fn pid() -> Result<u32, Box<dyn Error>> {
    binder::pid_of(instance())
}

/// The running service.
pub fn connect() -> Result<Strong<dyn IAllocator>, Box<dyn Error>> {
    static STARTED: OnceLock<Result<(), String>> = OnceLock::new();
    STARTED.get_or_init(wait_for_start).clone()?;
    binder::connect(instance())
}

/// The library below would wait for ever for an instance that nobody starts.
fn wait_for_start() -> Result<(), String> {
    binder::declared(instance()).map_err(|error| error.to_string())?;
    const PAUSE: Duration = Duration::from_millis(100);
    const LOOKS: usize = 100;
    for _ in 1..LOOKS {
        if pid().is_ok() {
            return Ok(());
        }
        sleep(PAUSE);
    }
    pid().map(drop).map_err(|error| error.to_string())
}

/// A test that must leave the service as it found it: the same process, with as many descriptors,
/// and as many dma-bufs in the system.
pub fn trial(name: &str, test: fn() -> Outcome) -> Trial {
    harness::case(name, move || {
        open_for_good()?;
        baseline::keeping(State::now, test)
    })
}

/// A test that kills the service: another process afterwards, and all else as it was.
pub fn restarting(name: &str, test: fn() -> Outcome) -> Trial {
    harness::case(name, move || {
        open_for_good()?;
        let before = baseline::settled(State::now)?;
        test()?;
        open_for_good()?;
        let after = baseline::settled(State::now)?;
        if before.pid() == after.pid() {
            return Err("the service was never killed".into());
        }
        baseline::require_same(&before.of_process(after.pid()), State::now)
    })
}

/// Has the service open whatever it opens once only: for a buffer; and for a refusal, which it may
/// log, Android's socket for messages.
pub fn open_for_good() -> Outcome {
    let allocator = connect()?;
    allocator.allocate2(&good(), 1)?;
    // Whether it is one, a case of its own asks.
    drop(allocator.allocate2(&good(), -1));
    Ok(())
}

/// What the service tells of itself, through a pipe as dumpsys does it: a file would need a rule of
/// its own.
pub fn dump(options: &[&str]) -> Result<String, Box<dyn Error>> {
    let options: Vec<String> = options.iter().map(|option| (*option).to_owned()).collect();
    let (mut from, to) = pipe()?;
    let reader = thread::spawn(move || {
        let mut text = String::new();
        from.read_to_string(&mut text).map(|_| text)
    });
    binder::dump(instance(), &to, &options)?;
    drop(to);
    Ok(reader.join().map_err(|_| "the reader panicked")??)
}

/// The same for programs; what another vendor's tells is its own.
pub fn report() -> Result<serde_json::Value, Box<dyn Error>> {
    Ok(serde_json::from_str(&dump(&["--json"])?)?)
}

/// A descriptor that the service supports.
pub fn good() -> BufferDescriptorInfo {
    BufferDescriptorInfo {
        name: [0; 128],
        width: 64,
        height: 64,
        layerCount: 1,
        format: PixelFormat::RGBA_8888,
        usage: BufferUsage::CPU_READ_OFTEN | BufferUsage::CPU_WRITE_OFTEN,
        reservedSize: 0,
        additionalOptions: Vec::new(),
    }
}

/// The option that the framework's own clients use; its value is a `Dataspace`.
pub const DATASPACE: &str = "android.hardware.graphics.common.Dataspace";

/// What a program asks for that draws by itself.
pub const CPU: BufferUsage =
    BufferUsage(BufferUsage::CPU_READ_OFTEN.0 | BufferUsage::CPU_WRITE_OFTEN.0);

/// The code of a refusal.
pub fn refusal(result: binder::Result<AllocationResult>) -> Result<AllocationError, String> {
    match result {
        Ok(given) => Err(format!("{} buffers instead of a refusal", given.buffers.len())),
        Err(status) if status.exception_code() as i32 == SERVICE_SPECIFIC => {
            Ok(AllocationError(status.service_specific_error()))
        }
        Err(status) => Err(format!("no refusal but {status}")),
    }
}

/// `EX_SERVICE_SPECIFIC` of binder's Status.
const SERVICE_SPECIFIC: i32 = -8;

/// Kills the service, and waits until init has brought another.
pub fn restart_service() -> Outcome {
    let dead = pid()?;
    kill(Pid::from_raw(i32::try_from(dead)?), Signal::SIGKILL)?;
    wait_for_successor(dead)
}

/// Android's init waits five seconds between two starts of a service.
pub fn wait_for_successor(dead: u32) -> Outcome {
    for _ in 0..200 {
        sleep(Duration::from_millis(100));
        if pid().is_ok_and(|now| now != dead) && connect()?.isSupported(&good()) == Ok(true) {
            return Ok(());
        }
    }
    Err("no new service after 20 seconds".into())
}
