// SPDX-License-Identifier: Apache-2.0
//! A buffer on its way to another process.
//!
//! The other process inherits the descriptors and finds the handle's numbers in its environment.
//! Binder would do the same to both; this also reaches programs that speak no binder.

use std::env;
use std::error::Error;
use std::io::{BufRead, BufReader, Write};
use std::os::fd::{AsRawFd, FromRawFd, OwnedFd};
use std::os::unix::process::CommandExt;
use std::process::{Child, Command, Stdio};

use dmaheap_buffer::handle::FDS;
use nix::fcntl::{FcntlArg, FdFlag, fcntl};

use super::ground::Test;
use crate::harness;
use crate::imapper::RawHandle;

/// The handle: its descriptors, and then its integers.
const HANDLE: &str = "SUITE_HANDLE";

/// A process that was given a buffer; killed when it is dropped.
pub struct Peer {
    child: Child,
    lines: BufReader<std::process::ChildStdout>,
}

/// Runs this program again, in a role.
pub fn play(role: &str, buffer: &RawHandle) -> Result<Peer, Box<dyn Error>> {
    start(harness::again(role)?, buffer)
}

/// Runs a program that is given a buffer.
pub fn start(mut command: Command, buffer: &RawHandle) -> Result<Peer, Box<dyn Error>> {
    // Open until the program has inherited them.
    let _inherited = give(&mut command, buffer)?;
    let mut child = command.stdin(Stdio::piped()).stdout(Stdio::piped()).spawn()?;
    let lines = BufReader::new(child.stdout.take().ok_or("the output is piped")?);
    Ok(Peer { child, lines })
}

/// Becomes another program, which is given a buffer.
pub fn become_client(mut command: Command, buffer: &RawHandle) -> Test {
    let _inherited = give(&mut command, buffer)?;
    Err(command.exec().into())
}

fn give(command: &mut Command, buffer: &RawHandle) -> nix::Result<Vec<OwnedFd>> {
    let inherited: Vec<OwnedFd> =
        buffer.fds().iter().map(|fd| inheritable(*fd)).collect::<nix::Result<_>>()?;
    let numbers = inherited.iter().map(AsRawFd::as_raw_fd).chain(buffer.ints().iter().copied());
    let numbers: Vec<String> = numbers.map(|number| number.to_string()).collect();
    command.env(HANDLE, numbers.join(" "));
    Ok(inherited)
}

fn inheritable(fd: i32) -> nix::Result<OwnedFd> {
    let copy = fcntl(fd, FcntlArg::F_DUPFD(10))?;
    // SAFETY: the kernel has just opened it for us.
    let copy = unsafe { OwnedFd::from_raw_fd(copy) };
    fcntl(copy.as_raw_fd(), FcntlArg::F_SETFD(FdFlag::empty()))?;
    Ok(copy)
}

/// The buffer that this process was given.
pub fn received() -> Result<RawHandle, Box<dyn Error>> {
    let numbers: Vec<i32> =
        env::var(HANDLE)?.split(' ').map(str::parse).collect::<Result<_, _>>()?;
    let (fds, ints) = numbers.split_at_checked(FDS).ok_or("a handle without descriptors")?;
    // SAFETY: they were opened for this process, and nobody else here knows their numbers.
    let own = |fd: &i32| unsafe { OwnedFd::from_raw_fd(*fd) };
    Ok(RawHandle::new(fds.iter().map(own).collect(), ints))
}

/// Says a word to the process that started this one.
pub fn say(word: &str) -> Test {
    println!("{word}");
    Ok(std::io::stdout().flush()?)
}

/// Waits until the process that started this one says a line, or ends.
pub fn heard() -> Result<String, Box<dyn Error>> {
    let mut line = String::new();
    std::io::stdin().read_line(&mut line)?;
    Ok(line.trim_end().to_owned())
}

impl Peer {
    /// Its process, for those who trace it.
    #[cfg(not(target_os = "android"))]
    pub fn pid(&self) -> nix::unistd::Pid {
        nix::unistd::Pid::from_raw(self.child.id().cast_signed())
    }

    /// Waits for its next line, which must be this.
    pub fn expect(&mut self, word: &str) -> Test {
        let mut line = String::new();
        self.lines.read_line(&mut line)?;
        if line.trim_end() == word {
            return Ok(());
        }
        Err(format!("the other process said '{}' instead of '{word}'", line.trim_end()).into())
    }

    /// Says a line to it.
    pub fn tell(&mut self, word: &str) -> Test {
        let mut input = self.child.stdin.as_ref().ok_or("the input is piped")?;
        Ok(writeln!(input, "{word}")?)
    }

    /// Waits for its good end.
    pub fn finish(mut self) -> Test {
        drop(self.child.stdin.take());
        let status = self.child.wait()?;
        if status.success() { Ok(()) } else { Err(format!("the other process: {status}").into()) }
    }

    /// Ends it in the middle of whatever it does.
    pub fn kill(&mut self) -> Test {
        self.child.kill()?;
        self.child.wait()?;
        Ok(())
    }
}

impl Drop for Peer {
    fn drop(&mut self) {
        // It may have ended.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}
