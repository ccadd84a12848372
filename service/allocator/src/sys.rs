// SPDX-License-Identifier: Apache-2.0
//! The system calls of the service itself that have no safe form.

use nix::errno::Errno;
use nix::sys::signal::{SaFlags, SigAction, SigHandler, SigSet, Signal, sigaction};

/// Sets the nice value of the calling thread.
///
/// # Errors
/// What the kernel says; it lets everybody be nicer.
pub fn set_nice(value: i32) -> Result<(), Errno> {
    const THIS_THREAD: libc::id_t = 0;
    // SAFETY: the call takes numbers. To Linux a process of this call is a
    // thread.
    let set = unsafe { libc::setpriority(libc::PRIO_PROCESS as _, THIS_THREAD, value) };
    Errno::result(set).map(drop)
}

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
