// SPDX-License-Identifier: Apache-2.0
//! A fence that comes in as the number of a descriptor.

use std::os::fd::{AsFd, FromRawFd, OwnedFd};

use libc::c_int;
use nix::errno::Errno;
use nix::poll::{PollFd, PollFlags, PollTimeout, poll};

use crate::error::{Error, Result};

/// How long a fence may take. Drivers must signal theirs in finite time, and
/// their watchdogs see to it within ten seconds.
const FENCE_MILLISECONDS: u16 = 10_000;

/// An acquire fence, closed when it is dropped.
#[derive(Debug)]
pub struct Fence(OwnedFd);

impl Fence {
    /// Takes over a client's fence; a negative number is none.
    ///
    /// # Safety
    /// The descriptor, if it is open, is handed over: nobody else closes it.
    pub unsafe fn adopt(fd: c_int) -> Result<Option<Fence>> {
        if fd < 0 {
            return Ok(None);
        }
        // SAFETY: the call takes numbers, and answers EBADF to what is not open.
        if unsafe { libc::fcntl(fd, libc::F_GETFD) } < 0 {
            return Err(Error::BadFence);
        }
        // SAFETY: it is open, and the caller hands it over.
        Ok(Some(Fence(unsafe { OwnedFd::from_raw_fd(fd) })))
    }

    /// Waits until the fence has signalled, whatever the outcome of the work
    /// it stands for.
    pub fn wait(self) -> Result<()> {
        let mut fds = [PollFd::new(self.0.as_fd(), PollFlags::POLLIN)];
        loop {
            match poll(&mut fds, PollTimeout::from(FENCE_MILLISECONDS)) {
                Err(Errno::EINTR) => {}
                Err(cause) => return Err(Error::System { what: "waiting for a fence", cause }),
                Ok(0) => return Err(Error::Late(FENCE_MILLISECONDS)),
                Ok(_) => break,
            }
        }
        let [fd] = fds;
        match fd.revents() {
            Some(events) if events.contains(PollFlags::POLLIN) => Ok(()),
            _ => Err(Error::BadFence),
        }
    }
}
