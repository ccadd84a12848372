// SPDX-License-Identifier: Apache-2.0
//! The one system call here that has no safe form.

use nix::errno::Errno;

/// Lets every other thread run before this one, at once when it wakes up: a low
/// nice value only makes for a small share, taken when it hurts most.
pub fn lower_priority() -> Result<(), Errno> {
    const THIS_THREAD: libc::pid_t = 0;
    let parameters = libc::sched_param { sched_priority: 0 };
    // SAFETY: the call reads `parameters`, which outlives it.
    let result =
        unsafe { libc::sched_setscheduler(THIS_THREAD, libc::SCHED_IDLE, &raw const parameters) };
    Errno::result(result).map(drop)
}
