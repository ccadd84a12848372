// SPDX-License-Identifier: Apache-2.0
//! Values that are found by their address, without a lock.
//!
//! A process may be forked while any of its threads is anywhere in here, and
//! only the forking thread lives on in the child. A lock that another thread
//! held would be held for ever, so there is none; nor is there any state that
//! one thread waits for another to leave. (Handlers of `pthread_atfork` would
//! have to take and leave a lock of ours around each fork of every process.)
//!
//! # Life of a slot
//! Slots lie in chunks that are never given back, each twice as large as the
//! one before. So an address that a client hands in is compared with chunks,
//! never followed, and a slot's state can be read at any time:
//!
//! ```text
//!             insert                       remove
//!   FREE ──> CLAIMED ──> LIVE + n users ──────────> DOOMED + n users
//!    ^                                                    │ the last user
//!    └──────────────────── CLAIMED <──────────────────────┘ drops the value
//! ```
//!
//! Whoever found a value is a user until it drops [`Used`]. A thread that was
//! lost in a fork leaves its slot CLAIMED, or itself as a user: one value of
//! the child's copy that is never dropped, and nothing else.

use std::cell::UnsafeCell;
use std::mem::MaybeUninit;
use std::ops::Deref;
use std::sync::atomic::{AtomicPtr, AtomicU32, AtomicUsize, Ordering};
use std::{fmt, ptr, slice};

/// Slots of the first chunk.
const FIRST: usize = 16;

/// Chunks, with 2^26 slots together: more than there are descriptors.
const CHUNKS: usize = 22;

const FREE: u32 = 0;
/// One thread, and no other, has the slot and fills or empties it.
const CLAIMED: u32 = 1;
/// The value can be found.
const LIVE: u32 = 2;
/// The value is dropped by its last user.
const DOOMED: u32 = 4;
/// One user; as many as there are threads at work.
const USER: u32 = 8;

/// The table. It is made to be a `static`.
#[derive(Debug)]
pub struct Slab<T: 'static> {
    chunks: [AtomicPtr<Slot<T>>; CHUNKS],
    /// Where the next search begins, so that an address is not used again at
    /// once: a client that frees twice shall not hit its next import.
    next: AtomicUsize,
}

#[repr(C)]
struct Slot<T> {
    /// At the slot's own address.
    value: UnsafeCell<MaybeUninit<T>>,
    state: AtomicU32,
}

// SAFETY: a slot's value is written and dropped by the one thread that claimed
// it, and read through `Used` only, which a state makes sure of.
unsafe impl<T: Send + Sync> Sync for Slot<T> {}

/// A value, which stays while this does.
pub struct Used<T: 'static>(&'static Slot<T>);

impl<T> Slot<T> {
    fn new() -> Slot<T> {
        Slot { value: UnsafeCell::new(MaybeUninit::uninit()), state: AtomicU32::new(FREE) }
    }

    fn claim(&self) -> bool {
        // Most are in use; a look is cheaper than an exchange.
        self.state.load(Ordering::Relaxed) == FREE
            && self
                .state
                .compare_exchange(FREE, CLAIMED, Ordering::Acquire, Ordering::Relaxed)
                .is_ok()
    }

    /// Becomes a user if the value is live, and gives the state other marks.
    fn enter(&'static self, mark: fn(u32) -> u32) -> Option<Used<T>> {
        let more = |state: u32| (state & LIVE != 0).then(|| mark(state).checked_add(USER))?;
        self.state.fetch_update(Ordering::AcqRel, Ordering::Acquire, more).ok()?;
        Some(Used(self))
    }
}

impl<T: Send + Sync> Slab<T> {
    /// An empty one.
    pub const fn new() -> Slab<T> {
        Slab {
            chunks: [const { AtomicPtr::new(ptr::null_mut()) }; CHUNKS],
            next: AtomicUsize::new(0),
        }
    }

    /// Adds a value; `None` if there are 2^26 already.
    pub fn insert(&self, value: T) -> Option<Used<T>> {
        let slot = self.claim()?;
        // SAFETY: this thread alone has claimed the slot.
        unsafe { slot.value.get().write(MaybeUninit::new(value)) };
        slot.state.store(LIVE | USER, Ordering::Release);
        Some(Used(slot))
    }

    /// The value at this address, if there is one.
    pub fn find(&self, address: usize) -> Option<Used<T>> {
        self.slot(address)?.enter(|state| state)
    }

    /// Takes the value at this address out: nobody finds it any more, and it
    /// is dropped once nobody uses it. Returns whether there was one.
    pub fn remove(&self, address: usize) -> bool {
        self.slot(address).and_then(|slot| slot.enter(|state| state ^ (LIVE | DOOMED))).is_some()
    }

    /// All values there are now.
    pub fn all(&self) -> Vec<Used<T>> {
        self.chunks().flatten().filter_map(|slot| slot.enter(|state| state)).collect()
    }

    fn slot(&self, address: usize) -> Option<&'static Slot<T>> {
        self.chunks().find_map(|chunk| {
            let offset = address.checked_sub(chunk.as_ptr().addr())?;
            let size = size_of::<Slot<T>>();
            let index = offset.checked_div(size).filter(|_| offset.is_multiple_of(size))?;
            chunk.get(index)
        })
    }

    fn chunks(&self) -> impl Iterator<Item = &'static [Slot<T>]> {
        (0..CHUNKS).map_while(|number| self.chunk(number))
    }

    fn chunk(&self, number: usize) -> Option<&'static [Slot<T>]> {
        let start = self.chunks.get(number)?.load(Ordering::Acquire);
        // SAFETY: what is there was put there by `chunk_or_new`: that many
        // slots, which are never given back.
        (!start.is_null()).then(|| unsafe { slice::from_raw_parts(start, FIRST << number) })
    }

    fn chunk_or_new(&self, number: usize) -> Option<&'static [Slot<T>]> {
        if let Some(chunk) = self.chunk(number) {
            return Some(chunk);
        }
        let new: Box<[Slot<T>]> = (0..FIRST << number).map(|_| Slot::new()).collect();
        let start = Box::into_raw(new);
        let place = self.chunks.get(number)?;
        let first = place.compare_exchange(
            ptr::null_mut(),
            start.cast(),
            Ordering::AcqRel,
            Ordering::Acquire,
        );
        if first.is_err() {
            // SAFETY: another thread was faster; nobody has seen ours.
            drop(unsafe { Box::from_raw(start) });
        }
        self.chunk(number)
    }

    fn claim(&self) -> Option<&'static Slot<T>> {
        let from = self.next.fetch_add(1, Ordering::Relaxed);
        (0..CHUNKS).find_map(|number| {
            let chunk = self.chunk_or_new(number)?;
            let (before, after) = chunk.split_at(from.checked_rem(chunk.len())?);
            after.iter().chain(before).find(|slot| slot.claim())
        })
    }
}

impl<T> Used<T> {
    /// Where the value is, and stays.
    pub fn address(&self) -> *const T {
        self.0.value.get().cast_const().cast()
    }
}

impl<T> Deref for Used<T> {
    type Target = T;

    fn deref(&self) -> &T {
        // SAFETY: a value with a user is there, and nobody changes it.
        unsafe { &*self.address() }
    }
}

impl<T> Drop for Used<T> {
    fn drop(&mut self) {
        const LAST: u32 = DOOMED | USER;
        let Used(slot) = self;
        let less =
            |state: u32| Some(if state == LAST { CLAIMED } else { state.saturating_sub(USER) });
        let before = slot.state.fetch_update(Ordering::AcqRel, Ordering::Acquire, less);
        if before == Ok(LAST) {
            // SAFETY: this thread has just claimed the slot, which has a value.
            unsafe { slot.value.get().cast::<T>().drop_in_place() };
            slot.state.store(FREE, Ordering::Release);
        }
    }
}

impl<T: fmt::Debug> fmt::Debug for Used<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        (**self).fmt(f)
    }
}

#[cfg(test)]
mod tests;
