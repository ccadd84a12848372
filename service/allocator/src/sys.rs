// SPDX-License-Identifier: Apache-2.0
//! The system calls of the service itself that have no safe form: nix has one for two of
//! them, but not nix as Android's tree builds it.

use std::mem::MaybeUninit;

use libc::{RLIMIT_NOFILE, pthread_t};
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

/// This thread's name for [`wake`].
pub fn this_thread() -> pthread_t {
    // SAFETY: it has no precondition.
    unsafe { libc::pthread_self() }
}

/// Sends a thread a signal that it has a handler for.
///
/// # Safety
/// The thread has not been joined or detached and ended.
pub unsafe fn wake(thread: pthread_t, signal: Signal) {
    // SAFETY: the caller's promise; a signal that is one cannot be refused.
    unsafe { libc::pthread_kill(thread, signal as libc::c_int) };
}

/// Lets this process have as many descriptors as it may give itself.
///
/// # Errors
/// What the kernel says.
pub fn raise_descriptor_limit() -> Result<(), Errno> {
    let mut limit = MaybeUninit::<libc::rlimit>::uninit();
    // SAFETY: a place for the limits.
    Errno::result(unsafe { libc::getrlimit(RLIMIT_NOFILE, limit.as_mut_ptr()) })?;
    // SAFETY: the call filled it.
    let mut limit = unsafe { limit.assume_init() };
    limit.rlim_cur = limit.rlim_max;
    // SAFETY: limits, which are read.
    Errno::result(unsafe { libc::setrlimit(RLIMIT_NOFILE, &raw const limit) }).map(drop)
}
