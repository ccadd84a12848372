// SPDX-License-Identifier: Apache-2.0
//! The locks of an import that are not unlocked yet, newest last.
//!
//! They are kept in one word, two bits for each, so that the common case, one
//! lock and one unlock, takes no mutex.

use std::sync::atomic::{AtomicU64, Ordering};

use dmaheap_dmabuf::Access;

use crate::error::{Error, Result};

/// Bits of an access.
const BITS: u32 = 2;
const MASK: u64 = (1 << BITS) - 1;
/// Marks the bottom.
const EMPTY: u64 = 1;
/// The first value that another access would not fit on.
const FULL: u64 = 1 << (u64::BITS - BITS);

/// A stack of up to 30 accesses.
#[derive(Debug)]
pub struct Locks(AtomicU64);

impl Default for Locks {
    fn default() -> Locks {
        Locks(AtomicU64::new(EMPTY))
    }
}

impl Locks {
    /// Adds the newest.
    ///
    /// # Errors
    /// [`Error::TooManyLocks`].
    pub fn push(&self, access: Access) -> Result<()> {
        let with = |locks: u64| (locks < FULL).then_some(locks << BITS | access.bits());
        self.update(with).map(drop).ok_or(Error::TooManyLocks)
    }

    /// Takes the newest, if there is one.
    pub fn pop(&self) -> Option<Access> {
        let without = |locks: u64| (locks != EMPTY).then_some(locks >> BITS);
        self.update(without).and_then(|locks| Access::from_bits(locks & MASK))
    }

    /// All, newest first.
    pub fn newest_first(&self) -> impl Iterator<Item = Access> {
        let mut locks = self.0.load(Ordering::Acquire);
        std::iter::from_fn(move || {
            let newest = Some(locks).filter(|locks| *locks != EMPTY)?;
            locks = newest >> BITS;
            Access::from_bits(newest & MASK)
        })
    }

    fn update(&self, change: impl FnMut(u64) -> Option<u64>) -> Option<u64> {
        self.0.fetch_update(Ordering::AcqRel, Ordering::Acquire, change).ok()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use dmaheap_buffer::Usage;

    #[test]
    fn the_newest_comes_first_and_no_more_than_fit() {
        let read = Access::new(Usage::CPU_READ_OFTEN).unwrap();
        let write = Access::new(Usage::CPU_WRITE_RARELY).unwrap();
        let locks = Locks::default();
        assert_eq!(locks.pop(), None);
        locks.push(read).unwrap();
        locks.push(write).unwrap();
        assert_eq!(locks.newest_first().collect::<Vec<_>>(), [write, read]);
        assert_eq!([locks.pop(), locks.pop(), locks.pop()], [Some(write), Some(read), None]);

        let mut pushed = 0;
        while locks.push(write).is_ok() {
            pushed += 1;
        }
        assert!(pushed >= 30, "{pushed}");
        assert_eq!(locks.newest_first().count(), pushed);
        while locks.pop().is_some() {
            pushed -= 1;
        }
        assert_eq!(pushed, 0);
    }
}
