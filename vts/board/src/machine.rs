// SPDX-License-Identifier: Apache-2.0
//! A running QEMU.
//!
//! Its standard input and output are the virtio-serial port of the control channel, so the channel
//! needs no socket and closes with the process. Its console goes to an unnamed file, and its monitor
//! listens at a socket, for [`screen`](crate::screen). The kernel
//! kills it when this process dies; dropping a [`Machine`] kills it as well: a guest has nothing to
//! save.

use std::fs::{self, File};
use std::io::Read;
use std::os::fd::AsRawFd;
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStdin, ChildStdout, Stdio};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::{self, RecvTimeoutError};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use board_channel::wire::PORT_NAME;

use crate::boards::Board;
use crate::error::{Error, OnFile, Result};
use crate::place::results;
use crate::tool;

/// Console lines shown where there was no panic, and those shown before one.
const TAIL_LINES: usize = 40;
const LINES_BEFORE_PANIC: usize = 25;

/// What QEMU boots.
pub struct Parts<'a> {
    /// QEMU's program.
    pub qemu: &'a Path,
    /// The kernel image.
    pub kernel: &'a Path,
    /// The initramfs; only its descriptor is used, so it needs no name.
    pub image: &'a File,
    /// The merged device tree, in a folder that lives as long as the machine and gets its monitor.
    pub tree: &'a Path,
    /// Kernel arguments.
    pub arguments: &'a str,
}

/// QEMU's arguments that decide what machine it is, for this memory size in MiB.
pub fn shape(board: &Board, accelerator: Accelerator, memory: u32) -> Vec<String> {
    let (cpu, executor, cores) = match accelerator {
        Accelerator::Emulation => {
            (board.machine.cpu.as_str(), "tcg,thread=multi", board.machine.cores)
        }
        // What another core does would be counted as well.
        Accelerator::Counting => (board.machine.cpu.as_str(), "tcg,thread=single", 1),
        Accelerator::Kvm => ("host", "kvm", board.machine.cores),
    };
    let counting: &[&str] = match accelerator {
        Accelerator::Counting => &["-icount", "shift=0,sleep=off"],
        _ => &[],
    };
    let cores = cores.to_string();
    let memory = memory.to_string();
    [
        ["-M", &board.machine.kind],
        ["-cpu", cpu],
        ["-accel", executor],
        ["-smp", &cores],
        ["-m", &memory],
        ["-display", "none"],
    ]
    .concat()
    .into_iter()
    .chain(counting.iter().copied())
    // Neither a network card nor anything else that the machine would bring by itself.
    .chain(["-nodefaults"])
    .chain(board.machine.devices.iter().flat_map(|device| ["-device", device.as_str()]))
    .map(str::to_owned)
    .collect()
}

/// Who executes the guest's instructions.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Accelerator {
    /// QEMU.
    Emulation,
    /// QEMU, one core, and the guest's clock counts what it executes: a nanosecond is an
    /// instruction, and nobody waits while a guest sleeps.
    Counting,
    /// The host's own processor.
    Kvm,
}

/// A QEMU process, its channel and its console.
pub struct Machine {
    qemu: Arc<Mutex<Child>>,
    channel: Option<(ChildStdin, ChildStdout)>,
    console: File,
    time_is_up: Arc<AtomicBool>,
}

impl Machine {
    /// Starts QEMU with the arguments of [`shape`].
    pub fn start(shape: &[String], parts: &Parts) -> Result<Self> {
        let unnamed = Path::new("(the console)");
        let console = tempfile::tempfile().on("cannot make a temporary file for", unnamed)?;
        let mut command = tool::bound_to_us(parts.qemu, "KILL");
        command
            .args(shape)
            .arg("-no-reboot")
            .args(["-serial", &format!("file:{}", path_of(&console).display())])
            .args(["-device", "virtio-rng-device", "-device", "virtio-serial-device"])
            .args(["-chardev", "stdio,id=channel,signal=off"])
            .args(["-device", &format!("virtserialport,chardev=channel,name={PORT_NAME}")])
            .arg("-kernel")
            .arg(parts.kernel)
            .arg("-initrd")
            .arg(path_of(parts.image))
            .arg("-dtb")
            .arg(parts.tree)
            .args(["-append", parts.arguments])
            .args([
                "-qmp",
                &format!("unix:{},server=on,wait=off", escaped(&monitor_of(parts.tree))),
            ])
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            // QEMU's own complaints belong beside the console.
            .stderr(console.try_clone().on("cannot share", unnamed)?);
        let mut child = tool::spawn_for_life(command).on("cannot start", parts.qemu)?;
        let channel = child.stdin.take().zip(child.stdout.take());
        Ok(Self { qemu: Arc::new(Mutex::new(child)), channel, console, time_is_up: Arc::default() })
    }

    /// The two ends of the control channel; there is one taker.
    pub fn take_channel(&mut self) -> Option<(ChildStdin, ChildStdout)> {
        self.channel.take()
    }

    /// Kills the machine when `limit` has passed, unless the alarm is dropped before.
    pub fn alarm(&self, limit: Duration) -> Alarm {
        let (keep, dropped) = mpsc::channel();
        let (qemu, time_is_up) = (Arc::clone(&self.qemu), Arc::clone(&self.time_is_up));
        std::thread::spawn(move || {
            if dropped.recv_timeout(limit) == Err(RecvTimeoutError::Timeout) {
                time_is_up.store(true, Ordering::SeqCst);
                kill(&qemu);
            }
        });
        Alarm { _keep: keep }
    }

    /// The error for a channel that closed, or a guest that hung, while doing `what`.
    pub fn obituary(&self, what: &str) -> Error {
        // The console is whole once the process is gone; a dying one needs a moment.
        let deadline = Instant::now() + Duration::from_secs(5);
        while Instant::now() < deadline && !self.has_ended() {
            std::thread::sleep(Duration::from_millis(20));
        }
        let console = self.console_text();
        let what = if self.time_is_up.load(Ordering::SeqCst) {
            format!("the guest did not finish in time ({what}) and was ended")
        } else {
            format!("the guest died ({what})")
        };
        match self.save_console() {
            Ok(log) => Error::Guest { what, tail: tail_of(&console), log },
            Err(error) => error,
        }
    }

    /// Writes the console to the results folder.
    pub fn save_console(&self) -> Result<PathBuf> {
        let folder = results();
        fs::create_dir_all(&folder).on("cannot make", &folder)?;
        let log = folder.join("console.log");
        fs::write(&log, self.console_text()).on("cannot write", &log)?;
        Ok(log)
    }

    /// What the guest's console has shown so far.
    pub fn console_text(&self) -> String {
        let mut text = Vec::new();
        // A second opening, so that QEMU's position in the file is left alone.
        let read = File::open(path_of(&self.console)).and_then(|mut f| f.read_to_end(&mut text));
        if let Err(error) = read {
            text.extend_from_slice(format!("(the console cannot be read: {error})").as_bytes());
        }
        String::from_utf8_lossy(&text).replace('\r', "")
    }

    fn has_ended(&self) -> bool {
        let mut qemu = self.qemu.lock().unwrap_or_else(PoisonError::into_inner);
        !matches!(qemu.try_wait(), Ok(None))
    }
}

impl Drop for Machine {
    fn drop(&mut self) {
        kill(&self.qemu);
    }
}

/// Keeps a time limit; dropping it lifts the limit.
pub struct Alarm {
    _keep: mpsc::Sender<()>,
}

/// Where the monitor of a machine with this device tree listens.
pub fn monitor_of(tree: &Path) -> PathBuf {
    tree.with_file_name("monitor")
}

/// A path in a property of QEMU's, where a comma is written twice.
pub fn escaped(path: &Path) -> String {
    path.display().to_string().replace(',', ",,")
}

fn kill(qemu: &Mutex<Child>) {
    let mut qemu = qemu.lock().unwrap_or_else(PoisonError::into_inner);
    // Both fail only if it is gone already.
    let _ = qemu.kill();
    let _ = qemu.wait();
}

/// A path by which a child opens an unnamed file of ours.
fn path_of(file: &File) -> PathBuf {
    PathBuf::from(format!("/proc/{}/fd/{}", std::process::id(), file.as_raw_fd()))
}

/// From shortly before the first sign of a crash on, or the last lines.
fn tail_of(console: &str) -> String {
    let lines: Vec<&str> = console.lines().collect();
    let signs = ["Kernel panic", "Internal error", "Unable to handle", "BUG:"];
    let crash = lines.iter().position(|line| signs.iter().any(|sign| line.contains(sign)));
    let from = match crash {
        Some(at) => at.saturating_sub(LINES_BEFORE_PANIC),
        None => lines.len().saturating_sub(TAIL_LINES),
    };
    lines[from..].join("\n")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_end_of_a_console_starts_before_the_panic() {
        let mut console: Vec<String> = (0..500).map(|n| format!("line {n}")).collect();
        console[300] = "Kernel panic - not syncing: sysrq".into();
        let tail = tail_of(&console.join("\n"));
        assert!(tail.starts_with("line 275\n") && tail.ends_with("line 499"), "{tail}");
    }
}
