// SPDX-License-Identifier: Apache-2.0
//! The thread that makes ready what will be asked for.
//!
//! To wake a thread costs the one that wakes it as much as a small allocation.
//! So while buffers are being taken the thread looks by itself every few
//! milliseconds; only when nothing was taken for a while it goes to sleep until
//! it is woken, or until it is time to try again what failed.
//!
//! Its priority is the ordinary one, the service's own. It holds locks of the
//! kernel's while it allocates, above all that of the region, for which a frame
//! may be waiting: whoever makes this thread wait makes the frame wait. With
//! four busy threads beside it on the virtual board's two processors the worst
//! framebuffer took 10 s when it ran only while nobody else did (SCHED_IDLE),
//! 0.5 s at nice 10, 0.4 s at nice 5, and 0.2 s at 0 or below.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, OnceLock};
use std::thread::{self, Thread};
use std::time::{Duration, Instant};

/// Between two looks while buffers are being taken.
const LOOK: Duration = Duration::from_millis(5);
/// Without any taken for so long, it sleeps until it is woken.
const QUIET: Duration = Duration::from_secs(1);

/// The thread's name, as `/proc` has it.
pub const NAME: &str = "reserve";

/// How the thread learns that there is something to do.
#[derive(Debug, Default)]
pub struct Refill {
    thread: OnceLock<Thread>,
    /// Something was taken since the last look.
    taken: AtomicBool,
    /// The thread has gone to sleep and must be woken.
    asleep: AtomicBool,
}

impl Refill {
    /// Starts the thread. It calls `fill` now, when something was taken, and
    /// when `fill` said that it must be called again.
    pub fn start(self: &Arc<Refill>, fill: impl Fn() -> Option<Instant> + Send + 'static) {
        let refill = self.clone();
        let run = move || {
            // Only ever set here.
            let _ = refill.thread.set(thread::current());
            loop {
                let again = fill();
                refill.wait(again);
            }
        };
        if let Err(error) = thread::Builder::new().name(NAME.to_owned()).spawn(run) {
            log::error!("nothing is held ready, for want of a thread: {error}");
        }
    }

    /// Something was taken, or can be made again.
    pub fn wake(&self) {
        self.taken.store(true, Ordering::SeqCst);
        if self.asleep.swap(false, Ordering::SeqCst)
            && let Some(thread) = self.thread.get()
        {
            thread.unpark();
        }
    }

    /// Returns once something was taken, or at the time to try `again`.
    fn wait(&self, again: Option<Instant>) {
        let since = Instant::now();
        let is_time = || again.is_some_and(|again| Instant::now() >= again);
        while !self.taken.swap(false, Ordering::SeqCst) && !is_time() {
            if since.elapsed() < QUIET {
                thread::sleep(LOOK);
                continue;
            }
            self.asleep.store(true, Ordering::SeqCst);
            // Whoever took something before this store has not woken anybody.
            if !self.taken.load(Ordering::SeqCst) {
                match again {
                    Some(again) => thread::park_timeout(again.duration_since(Instant::now())),
                    None => thread::park(),
                }
            }
            self.asleep.store(false, Ordering::SeqCst);
        }
    }
}
