// SPDX-License-Identifier: Apache-2.0
//! The thread that makes ready what will be asked for, at the lowest priority,
//! so that it costs nobody's frame.
//!
//! To wake a thread costs the one that wakes it as much as a small allocation.
//! So while buffers are being taken the thread looks by itself every few
//! milliseconds; only when nothing was taken for a while it goes to sleep until
//! it is woken.

use std::sync::OnceLock;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::{self, Thread};
use std::time::{Duration, Instant};

use crate::sys;

/// Between two looks while buffers are being taken.
const LOOK: Duration = Duration::from_millis(5);
/// Without any taken for so long, it sleeps until it is woken.
const QUIET: Duration = Duration::from_secs(1);
/// How long it rests after a heap could not give more.
const PAUSE: Duration = Duration::from_secs(1);

static THREAD: OnceLock<Thread> = OnceLock::new();
/// Something was taken since the last look.
static TAKEN: AtomicBool = AtomicBool::new(false);
/// The thread has gone to sleep and must be woken.
static ASLEEP: AtomicBool = AtomicBool::new(false);

/// Starts the thread. It calls `fill` now and when something was taken, and
/// again a little later if that could not make everything ready: `false`.
pub fn start(fill: impl Fn() -> bool + Send + 'static) {
    let run = move || {
        // Only ever set here.
        let _ = THREAD.set(thread::current());
        if let Err(error) = sys::lower_priority() {
            log::warn!("the reserve is refilled at normal priority: {error}");
        }
        loop {
            while !fill() {
                thread::sleep(PAUSE);
            }
            wait();
        }
    };
    if let Err(error) = thread::Builder::new().name("reserve".to_owned()).spawn(run) {
        log::error!("nothing is held ready, for want of a thread: {error}");
    }
}

/// Tells the thread that something was taken.
pub fn taken() {
    TAKEN.store(true, Ordering::SeqCst);
    if ASLEEP.swap(false, Ordering::SeqCst)
        && let Some(thread) = THREAD.get()
    {
        thread.unpark();
    }
}

/// Returns once something was taken.
fn wait() {
    let since = Instant::now();
    while !TAKEN.swap(false, Ordering::SeqCst) {
        if since.elapsed() < QUIET {
            thread::sleep(LOOK);
            continue;
        }
        ASLEEP.store(true, Ordering::SeqCst);
        // Whoever took something before this store has not woken anybody.
        if !TAKEN.load(Ordering::SeqCst) {
            thread::park();
        }
        ASLEEP.store(false, Ordering::SeqCst);
    }
}
