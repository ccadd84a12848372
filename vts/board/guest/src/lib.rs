// SPDX-License-Identifier: Apache-2.0
//! What the programs of the guest share, and what the two ends of the control channel do.

pub mod files;
pub mod wire;

/// The kernel argument with which the host asks for a board without services.
pub const NO_SERVICES: &str = "board.services=off";

/// Gives a process the empty signal mask that programs expect to start with.
///
/// Init keeps SIGCHLD blocked, and a mask is inherited: a shell that cannot get SIGCHLD hangs in
/// its `wait` now and then.
pub fn unblock_signals() -> nix::Result<()> {
    nix::sys::signal::SigSet::all().thread_unblock()
}
