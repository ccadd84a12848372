// SPDX-License-Identifier: Apache-2.0
//! What is held ready: buffers that are allocated and cleared already, so that
//! taking one is a pop from a list.
//!
//! CMA is lent to others while nobody asks for it, and getting it back takes
//! time when it matters most; the same goes for anything that takes longer to
//! make than a client likes to wait. What is taken is replaced in the
//! background ([`Refill`]), and comes fresh from the kernel: a buffer that was
//! in use never returns to a stock.
//!
//! Where a heap has no more to give, asking again costs everybody who uses it,
//! and most of all while it is full. So each failure makes the pause before the
//! next attempt twice as long; and since whoever releases a buffer does not
//! tell, a request that the heap could serve is taken as the sign that there
//! is memory again.

use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use crate::error::Result;
use crate::refill::Refill;

/// The pause after the first failure, and the longest.
const SHORTEST: Duration = Duration::from_secs(1);
const LONGEST: Duration = Duration::from_secs(64);

/// So many of a kind.
#[derive(Debug)]
pub struct Stock<T> {
    /// How many there should be.
    pub wanted: usize,
    content: Mutex<Content<T>>,
    hits: AtomicU64,
    refill: Arc<Refill>,
}

#[derive(Debug)]
struct Content<T> {
    ready: Vec<T>,
    /// After a failure: when to try again, and the pause until then.
    rest: Option<(Instant, Duration)>,
}

impl<T> Stock<T> {
    /// Nothing yet, of `wanted`; `refill` learns of what is taken.
    pub fn new(wanted: usize, refill: &Arc<Refill>) -> Stock<T> {
        let content = Mutex::new(Content { ready: Vec::new(), rest: None });
        Stock { wanted, content, hits: AtomicU64::new(0), refill: refill.clone() }
    }

    /// How many are ready now.
    pub fn ready(&self) -> usize {
        self.lock().ready.len()
    }

    /// How many were taken, ever.
    pub fn hits(&self) -> u64 {
        self.hits.load(Ordering::Relaxed)
    }

    /// Whether nothing is being made: all are ready, or it is not the time to
    /// try again.
    pub fn is_at_rest(&self) -> bool {
        let content = self.lock();
        content.ready.len() >= self.wanted || content.rest.is_some()
    }

    /// One, if there are more than `leave`.
    pub fn take(&self, leave: usize) -> Option<T> {
        let taken = {
            let mut content = self.lock();
            if content.ready.len() <= leave {
                return None;
            }
            content.ready.pop()?
        };
        self.hits.fetch_add(1, Ordering::Relaxed);
        self.refill.wake();
        Some(taken)
    }

    /// Makes as many as are wanted, unless that failed a short while before
    /// `now`. When to try again, if some are still wanted then.
    pub fn fill(&self, now: Instant, mut make: impl FnMut() -> Result<T>) -> Option<Instant> {
        loop {
            {
                let content = self.lock();
                if content.ready.len() >= self.wanted {
                    return None;
                }
                if let Some((until, _)) = content.rest.filter(|(until, _)| now < *until) {
                    return Some(until);
                }
            }
            // Requests are served meanwhile.
            let made = make();
            let mut content = self.lock();
            match made {
                Ok(made) => {
                    content.ready.push(made);
                    content.rest = None;
                }
                Err(_) => {
                    let last = content.rest.map(|(_, pause)| pause.saturating_mul(2));
                    let pause = last.map_or(SHORTEST, |pause| pause.min(LONGEST));
                    let until = now.checked_add(pause)?;
                    content.rest = Some((until, pause));
                    return Some(until);
                }
            }
        }
    }

    /// There is memory again where it comes from: the next attempt need not
    /// wait.
    pub fn hurry(&self) {
        if self.lock().rest.take().is_some() {
            self.refill.wake();
        }
    }

    fn lock(&self) -> MutexGuard<'_, Content<T>> {
        self.content.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::error::Error;

    fn stock(wanted: usize) -> Stock<u32> {
        Stock::new(wanted, &Arc::default())
    }

    fn full() -> Result<u32> {
        Err(Error::BadCount(0))
    }

    #[test]
    fn each_is_taken_once_and_replaced() {
        let stock = stock(2);
        assert_eq!(stock.take(0), None);
        assert_eq!(stock.fill(Instant::now(), || Ok(7)), None);
        assert_eq!((stock.take(1), stock.take(1)), (Some(7), None));
        assert_eq!((stock.take(0), stock.take(0)), (Some(7), None));
        assert_eq!((stock.ready(), stock.hits()), (0, 2));
        assert!(!stock.is_at_rest());
        assert_eq!(stock.fill(Instant::now(), || Ok(8)), None);
        assert_eq!(stock.ready(), 2);
        assert!(stock.is_at_rest());
    }

    /// By a clock of the test's own: one look in each of 3600 seconds.
    #[test]
    fn a_heap_that_stays_full_is_asked_less_and_less() {
        let (stock, start) = (stock(3), Instant::now());
        let mut attempts = 0;
        for second in 0..3600 {
            let now = start + Duration::from_secs(second);
            let again = stock.fill(now, || {
                attempts += 1;
                full()
            });
            assert!(again.is_some_and(|at| at > now), "second {second}");
        }
        assert!(attempts < 70, "{attempts} attempts in an hour");
    }

    #[test]
    fn a_request_that_was_served_ends_the_pause() {
        let (stock, now) = (stock(1), Instant::now());
        assert_eq!(stock.fill(now, full), Some(now + SHORTEST));
        assert_eq!(stock.fill(now, || Ok(1)), Some(now + SHORTEST));
        stock.hurry();
        assert_eq!(stock.fill(now, || Ok(1)), None);
        // And the next failure is a first one.
        stock.take(0);
        assert_eq!(stock.fill(now, full), Some(now + SHORTEST));
    }
}
