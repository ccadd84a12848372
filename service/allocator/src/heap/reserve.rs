// SPDX-License-Identifier: Apache-2.0
//! Memory that is held ready.
//!
//! CMA is lent to others while nobody asks for it, and getting it back takes
//! time when it matters most. A shelf holds buffers that are already allocated
//! and cleared; taking one is a pop from a list. What is taken is replaced in
//! the background, and comes fresh from the kernel: a buffer that was in use
//! never returns to a shelf.

use std::os::fd::OwnedFd;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Mutex, MutexGuard, PoisonError};

use dmaheap_buffer::Bytes;

use crate::refill;

/// Buffers of one size.
#[derive(Debug)]
pub struct Shelf {
    /// Size of each.
    pub size: Bytes,
    /// How many there should be.
    pub wanted: usize,
    ready: Mutex<Vec<OwnedFd>>,
    hits: AtomicU64,
}

impl Shelf {
    /// An empty shelf for `wanted` buffers of `size`.
    pub fn new(size: Bytes, wanted: usize) -> Shelf {
        Shelf { size, wanted, ready: Mutex::default(), hits: AtomicU64::new(0) }
    }

    /// How many buffers are on it now.
    pub fn ready(&self) -> usize {
        self.lock().len()
    }

    /// How many requests it has served.
    pub fn hits(&self) -> u64 {
        self.hits.load(Ordering::Relaxed)
    }

    /// A buffer for a request of `size`, if there is one and not more than a
    /// quarter of it would be wasted.
    pub(super) fn take(&self, size: Bytes) -> Option<OwnedFd> {
        let least = self.size.0.saturating_sub(self.size.0 / 4);
        if !(least..=self.size.0).contains(&size.0) {
            return None;
        }
        let buffer = self.lock().pop()?;
        self.hits.fetch_add(1, Ordering::Relaxed);
        refill::taken();
        Some(buffer)
    }

    /// Whether more are wanted.
    pub(super) fn lacks(&self) -> bool {
        self.ready() < self.wanted
    }

    /// Puts a fresh buffer of its size on the shelf.
    pub(super) fn put(&self, buffer: OwnedFd) {
        self.lock().push(buffer);
    }

    fn lock(&self) -> MutexGuard<'_, Vec<OwnedFd>> {
        self.ready.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::fs::File;

    fn stocked(size: u64) -> Shelf {
        let shelf = Shelf::new(Bytes(size), 1);
        shelf.put(File::open("/dev/null").unwrap().into());
        shelf
    }

    #[test]
    fn a_request_that_fits_takes_the_buffer_once() {
        let shelf = stocked(8192);
        assert!(shelf.take(Bytes(8192)).is_some());
        assert!(shelf.take(Bytes(8192)).is_none());
        assert_eq!((shelf.ready(), shelf.hits()), (0, 1));
    }

    #[test]
    fn too_large_and_wasteful_requests_leave_the_buffer() {
        let shelf = stocked(8192);
        assert!(shelf.take(Bytes(8193)).is_none());
        assert!(shelf.take(Bytes(4096)).is_none());
        assert_eq!((shelf.ready(), shelf.hits()), (1, 0));
        assert!(shelf.take(Bytes(6144)).is_some());
    }
}
