// SPDX-License-Identifier: Apache-2.0
//! What the programs of the guest share.

pub mod properties;

/// Gives a process the empty signal mask that programs expect to start with.
///
/// Init keeps SIGCHLD blocked, and a mask is inherited: a shell that cannot get SIGCHLD hangs in
/// its `wait` now and then.
pub fn unblock_signals() -> nix::Result<()> {
    nix::sys::signal::SigSet::all().thread_unblock()
}
