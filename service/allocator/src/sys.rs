// SPDX-License-Identifier: Apache-2.0
//! The one system call of the service itself that has no safe form.

use nix::errno::Errno;
use nix::sys::signal::{SaFlags, SigAction, SigHandler, SigSet, Signal, sigaction};

/// Has this signal end the call that a thread is waiting in, and do nothing
/// else.
///
/// # Errors
/// What the kernel says.
pub fn interrupt_with(signal: Signal) -> Result<(), Errno> {
    extern "C" fn nothing(_: libc::c_int) {}
    let handler = SigHandler::Handler(nothing);
    // Without SA_RESTART: the call is not to go on.
    let action = SigAction::new(handler, SaFlags::empty(), SigSet::empty());
    // SAFETY: the handler does nothing, so it may run at any time.
    unsafe { sigaction(signal, &action) }.map(drop)
}
