// SPDX-License-Identifier: Apache-2.0
//! The facts that whoever holds a buffer can set, in memory that all of its
//! holders have mapped.
//!
//! # Protocol
//! Each fact has a cell of its own: a sequence and two slots, of which a slot
//! is a length, a checksum and the value's bytes. All words are atomic. The
//! sequence is even while nobody writes; its second lowest bit says which slot
//! is valid.
//!
//! - A *reader* copies the valid slot and takes the copy if the sequence did
//!   not move on meanwhile. It never waits for a writer.
//! - A *writer* makes the sequence odd by compare-exchange, fills the slot
//!   that is not valid, and makes the sequence even again by another
//!   compare-exchange, which swaps the slots.
//! - A writer that finds the same odd sequence for too long takes the other
//!   for dead and takes over: it moves the sequence on, odd and with the same
//!   slot valid, so that the other's last step fails.
//!
//! # Guarantees
//! - No reader sees a torn value. Without a take-over the sequence proves it.
//!   If a writer was only suspended and writes on after it was taken over, its
//!   stores may hit a slot that is valid by now; then the checksum does not
//!   match, and the fact is unset until somebody sets it again.
//! - A writer that dies, anywhere, leaves the value that was valid before.
//! - Every call ends. A peer that changes a sequence again and again can make
//!   one fail with [`Error::Contended`], but cannot hold it up, and cannot
//!   reach the other facts with it.
//! - A peer may write what it likes; it has the memory. Nothing from here is
//!   more than bytes with a length that fits, to be judged by the caller.
//!
//! Compare-exchange needs cached memory: the metadata heap must be one of
//! ordinary memory, as the system heap is.

use std::hint::spin_loop;
use std::sync::atomic::{AtomicU32, Ordering, fence};

use crate::Error;
use crate::checksum::fnv1a;
use crate::format::MAX_PLANES;
use crate::handle::Handle;
use crate::header::{HEADER_SIZE, Header, LONG_HEADER_SIZE, ORIGIN_SIZE};
use crate::standard::{Type, Value};

/// Copies that a reader makes before it gives up on one it can take.
const READS: u32 = 1000;

/// Looks at an unchanged odd sequence before its writer counts as dead: some
/// milliseconds, where writing takes one microsecond.
const PATIENCE: u32 = if cfg!(any(miri, fuzzing)) { 50 } else { 1 << 20 };

/// Looks at a changing sequence before a writer gives up.
const WRITES: u32 = 2 * PATIENCE;

/// The settable facts, with the bytes their encoded values may have. The last
/// has its place in a long header only.
const CAPACITIES: [(Type, usize); 8] = [
    (Type::Dataspace, 4),
    (Type::BlendMode, 4),
    // A length and a rectangle for each plane.
    (Type::Crop, 8 + 16 * MAX_PLANES),
    (Type::Smpte2086, 40),
    (Type::Cta861_3, 8),
    // A length and up to 1024 bytes: the largest message with three windows
    // has about 900.
    (Type::Smpte2094_40, 8 + 1024),
    (Type::Smpte2094_10, 8 + 512),
    // What the interface's conformance test sets.
    (Type::Smpte2094_50, 8 + 10_280),
];

const WORD: usize = size_of::<u32>();

/// Words of a slot before its data.
const LENGTH: usize = 0;
const CHECK: usize = 1;
const DATA: usize = 2;

const fn slot_words(capacity: usize) -> usize {
    DATA.saturating_add(capacity / WORD)
}

const fn cell_words(capacity: usize) -> usize {
    slot_words(capacity).saturating_mul(2).saturating_add(1)
}

/// Bytes of all cells, and of all but the last.
const LONG_SIZE: usize = size_of_cells(&CAPACITIES);
const SIZE: usize = match &CAPACITIES {
    [short @ .., _] => size_of_cells(short),
};

const fn size_of_cells(mut rest: &[(Type, usize)]) -> usize {
    let mut words = 0usize;
    while let [(_, capacity), tail @ ..] = rest {
        assert!(capacity.is_multiple_of(WORD));
        words = words.saturating_add(cell_words(*capacity));
        rest = tail;
    }
    words.saturating_mul(WORD)
}

const _: () = assert!(ORIGIN_SIZE.is_multiple_of(WORD) && ORIGIN_SIZE + SIZE <= HEADER_SIZE);
const _: () = assert!(ORIGIN_SIZE + LONG_SIZE <= LONG_HEADER_SIZE);

/// Whether holders of a buffer can set this.
pub const fn is_settable(kind: Type) -> bool {
    let mut rest: &[(Type, usize)] = &CAPACITIES;
    while let [(settable, _), tail @ ..] = rest {
        if settable.number() == kind.number() {
            return true;
        }
        rest = tail;
    }
    false
}

/// The settable facts in shared memory.
#[derive(Debug, Clone, Copy)]
pub struct Shared<'a>(&'a [AtomicU32]);

/// One fact.
#[derive(Debug, Clone, Copy)]
struct Cell<'a> {
    sequence: &'a AtomicU32,
    slots: [&'a [AtomicU32]; 2],
}

impl<'a> Shared<'a> {
    /// The facts in a header, short or long.
    ///
    /// # Errors
    /// [`Error::BadMetadata`] if these are fewer words than a short one has.
    pub fn new(header: &'a [AtomicU32]) -> Result<Shared<'a>, Error> {
        const START: usize = ORIGIN_SIZE / WORD;
        header
            .get(START..)
            .filter(|rest| rest.len() >= SIZE / WORD)
            .map(Shared)
            .ok_or(Error::BadMetadata("too short for the settable facts"))
    }

    /// A buffer's metadata as it is now: what was set, if it was and the buffer
    /// can have it, else the value before anybody did.
    ///
    /// # Errors
    /// [`Error::Contended`].
    pub fn current(self, kind: Type, handle: &Handle, header: &Header) -> Result<Value, Error> {
        // A peer may have written nonsense, which is as good as nothing.
        let set = self.read(kind)?;
        let set = set.and_then(|content| Value::from_content(kind, &content).ok());
        let value = set.filter(|value| value.fits(&handle.layout));
        Ok(value.unwrap_or_else(|| Value::initial(kind, handle, header)))
    }

    /// The encoded value of a fact, without the name of its type; `None` if it
    /// is unset, or not settable at all. The bytes are whatever a peer wrote.
    ///
    /// # Errors
    /// [`Error::Contended`].
    pub fn read(self, kind: Type) -> Result<Option<Vec<u8>>, Error> {
        self.cell(kind).map_or(Ok(None), Cell::read)
    }

    /// Sets a fact for all holders of the buffer, or unsets it with `None`.
    ///
    /// # Errors
    /// [`Error::TooLong`] for a value that has no room in this buffer's header,
    /// [`Error::Contended`]; [`Error::BadValue`] if the fact is not settable.
    pub fn write(self, kind: Type, value: Option<&[u8]>) -> Result<(), Error> {
        let Some(cell) = self.cell(kind) else {
            return match value {
                _ if !is_settable(kind) => Err(Error::BadValue(kind)),
                Some(_) => Err(Error::TooLong(kind)),
                // It never was set.
                None => Ok(()),
            };
        };
        if value.is_some_and(|value| value.len() > cell.capacity()) {
            return Err(Error::TooLong(kind));
        }
        cell.write(value)
    }

    fn cell(self, kind: Type) -> Option<Cell<'a>> {
        let mut rest = self.0;
        for (settable, capacity) in CAPACITIES {
            let (words, behind) = rest.split_at_checked(cell_words(capacity))?;
            if settable == kind {
                let (sequence, slots) = words.split_first()?;
                let (first, second) = slots.split_at_checked(slot_words(capacity))?;
                return Some(Cell { sequence, slots: [first, second] });
            }
            rest = behind;
        }
        None
    }
}

/// The slot that is valid at this sequence, even or odd.
fn valid(sequence: u32) -> bool {
    sequence & 2 != 0
}

impl<'a> Cell<'a> {
    fn slot(self, second: bool) -> &'a [AtomicU32] {
        let [first, other] = self.slots;
        if second { other } else { first }
    }

    fn capacity(self) -> usize {
        let [slot, _] = self.slots;
        slot.len().saturating_sub(DATA).saturating_mul(WORD)
    }

    fn read(self) -> Result<Option<Vec<u8>>, Error> {
        for _ in 0..READS {
            let before = self.sequence.load(Ordering::Acquire);
            let copy: Vec<u32> =
                self.slot(valid(before)).iter().map(|word| word.load(Ordering::Relaxed)).collect();
            // Whoever wrote a word of the copy had moved the sequence before.
            fence(Ordering::Acquire);
            let after = self.sequence.load(Ordering::Relaxed);
            // A write that has only begun is in the other slot.
            if after >> 1 == before >> 1 {
                return Ok(value_of(&copy));
            }
            spin_loop();
        }
        Err(Error::Contended)
    }

    fn write(self, value: Option<&[u8]>) -> Result<(), Error> {
        let mut looks = WRITES;
        loop {
            let held = self.begin(&mut looks)?;
            // The odd sequence must be seen before any word of the slot is.
            fence(Ordering::Release);
            fill(self.slot(!valid(held)), value);
            let done = held.wrapping_add(1);
            let ended =
                self.sequence.compare_exchange(held, done, Ordering::Release, Ordering::Relaxed);
            if ended.is_ok() {
                return Ok(());
            }
            // Somebody took over; nobody has seen what we wrote.
        }
    }

    /// Makes the sequence odd; returns it. `looks` is what is left of the
    /// patience with a sequence that others change.
    fn begin(self, looks: &mut u32) -> Result<u32, Error> {
        let mut last = self.sequence.load(Ordering::Relaxed);
        let mut unchanged = 0u32;
        while let Some(left) = looks.checked_sub(1) {
            *looks = left;
            let now = self.sequence.load(Ordering::Relaxed);
            unchanged = if now == last { unchanged.saturating_add(1) } else { 0 };
            last = now;
            let next = if now & 1 == 0 {
                now.wrapping_add(1)
            } else if unchanged >= PATIENCE {
                // Still odd, still the same slot valid.
                now.wrapping_add(4)
            } else {
                spin_loop();
                continue;
            };
            let began =
                self.sequence.compare_exchange(now, next, Ordering::Acquire, Ordering::Relaxed);
            if began.is_ok() {
                return Ok(next);
            }
        }
        Err(Error::Contended)
    }
}

/// Writes a value into a slot that no reader trusts now. A length of zero is
/// no value; any other is one more than the number of bytes.
fn fill(slot: &[AtomicU32], value: Option<&[u8]>) {
    let bytes = value.unwrap_or_default();
    let length = value.and_then(|value| u32::try_from(value.len()).ok());
    let length = length.map_or(0, |length| length.saturating_add(1));
    let data = bytes.chunks(WORD).map(|chunk| {
        let mut word = [0; WORD];
        for (to, from) in word.iter_mut().zip(chunk) {
            *to = *from;
        }
        u32::from_ne_bytes(word)
    });
    let words = [length, checksum(length, bytes)].into_iter().chain(data);
    for (place, word) in slot.iter().zip(words) {
        place.store(word, Ordering::Relaxed);
    }
}

/// The value in a copy of a slot, unless it is unset or damaged.
fn value_of(slot: &[u32]) -> Option<Vec<u8>> {
    let length = *slot.get(LENGTH)?;
    let bytes: Vec<u8> = slot.get(DATA..)?.iter().flat_map(|word| word.to_ne_bytes()).collect();
    let value = bytes.get(..usize::try_from(length.checked_sub(1)?).ok()?)?;
    (*slot.get(CHECK)? == checksum(length, value)).then(|| value.to_vec())
}

fn checksum(length: u32, value: &[u8]) -> u32 {
    let sum = fnv1a(length.to_ne_bytes().into_iter().chain(value.iter().copied()));
    let [a, b, c, d, e, f, g, h] = sum.to_ne_bytes();
    u32::from_ne_bytes([a, b, c, d]) ^ u32::from_ne_bytes([e, f, g, h])
}

#[cfg(test)]
mod tests {
    use super::*;

    fn page() -> Vec<AtomicU32> {
        (0..LONG_HEADER_SIZE / 4).map(|_| AtomicU32::new(0)).collect()
    }

    #[test]
    fn a_short_header_has_no_room_for_what_is_longest() {
        let page = page();
        let shared = Shared::new(&page[..HEADER_SIZE / 4]).unwrap();
        let kind = Type::Smpte2094_50;
        assert_eq!(shared.write(kind, Some(&[1])), Err(Error::TooLong(kind)));
        assert_eq!(shared.write(kind, None), Ok(()));
        assert_eq!(shared.read(kind), Ok(None));
        shared.write(Type::Smpte2094_10, Some(&[1; 520])).unwrap();
    }

    #[test]
    fn every_fact_starts_unset_and_holds_what_fits() {
        let page = page();
        let shared = Shared::new(&page).unwrap();
        for (kind, capacity) in CAPACITIES {
            assert_eq!(shared.read(kind), Ok(None), "{kind:?}");
            for length in [0, 1, capacity - 1, capacity] {
                let value: Vec<u8> = (0..length).map(|i| i as u8).collect();
                shared.write(kind, Some(&value)).unwrap();
                assert_eq!(shared.read(kind), Ok(Some(value)), "{kind:?}, {length} bytes");
            }
            let long = vec![0; capacity + 1];
            assert_eq!(shared.write(kind, Some(&long)), Err(Error::TooLong(kind)));
        }
        // Facts do not touch one another.
        for (kind, capacity) in CAPACITIES {
            assert_eq!(shared.read(kind).unwrap().unwrap().len(), capacity);
            shared.write(kind, None).unwrap();
            assert_eq!(shared.read(kind), Ok(None));
        }
    }

    #[test]
    fn constants_have_no_cell() {
        let page = page();
        let shared = Shared::new(&page).unwrap();
        assert_eq!(shared.read(Type::Width), Ok(None));
        assert_eq!(shared.write(Type::Width, None), Err(Error::BadValue(Type::Width)));
        assert!(Shared::new(&page[..200]).is_err());
    }

    #[test]
    fn a_writer_that_died_leaves_the_value_before() {
        let page = page();
        let shared = Shared::new(&page).unwrap();
        shared.write(Type::Dataspace, Some(&[1, 2, 3, 4])).unwrap();
        let cell = shared.cell(Type::Dataspace).unwrap();
        let held = cell.begin(&mut WRITES.clone()).unwrap();
        fill(cell.slot(!valid(held)), Some(&[9, 9]));
        assert_eq!(shared.read(Type::Dataspace), Ok(Some(vec![1, 2, 3, 4])));
        // And it does not keep others from writing.
        shared.write(Type::Dataspace, Some(&[5, 6, 7, 8])).unwrap();
        assert_eq!(shared.read(Type::Dataspace), Ok(Some(vec![5, 6, 7, 8])));
    }

    #[test]
    fn a_writer_that_wakes_up_late_damages_at_most_to_unset() {
        let page = page();
        let shared = Shared::new(&page).unwrap();
        let cell = shared.cell(Type::Smpte2086).unwrap();
        let held = cell.begin(&mut WRITES.clone()).unwrap();
        let late = cell.slot(!valid(held));
        shared.write(Type::Smpte2086, Some(&[7; 40])).unwrap();
        // Half of what the late writer had to write.
        late[DATA].store(u32::from_ne_bytes([1; 4]), Ordering::Relaxed);
        assert_eq!(shared.read(Type::Smpte2086), Ok(None));
        shared.write(Type::Smpte2086, Some(&[8; 40])).unwrap();
        assert_eq!(shared.read(Type::Smpte2086), Ok(Some(vec![8; 40])));
    }

    #[test]
    fn lengths_from_shared_memory_are_not_trusted() {
        let page = page();
        let shared = Shared::new(&page).unwrap();
        let cell = shared.cell(Type::Cta861_3).unwrap();
        for length in [1, 2, 9, 10, 1 << 20, u32::MAX] {
            cell.slot(false)[LENGTH].store(length, Ordering::Relaxed);
            assert_eq!(shared.read(Type::Cta861_3), Ok(None), "length {length}");
        }
    }

    /// Two writers and a reader; each value is one byte repeated.
    #[test]
    fn no_reader_sees_a_torn_value() {
        let rounds = if cfg!(miri) { 20 } else { 20_000 };
        let page = page();
        let shared = Shared::new(&page).unwrap();
        let kind = Type::Smpte2094_10;
        let length = if cfg!(miri) { 12 } else { 500 };
        std::thread::scope(|scope| {
            for odd in [0, 1] {
                scope.spawn(move || {
                    for round in 0..rounds {
                        let value = vec![(2 * round + odd) as u8; length];
                        // Contended is an answer too, under Miri's scheduler.
                        let _ = shared.write(kind, Some(&value));
                    }
                });
            }
            for _ in 0..rounds {
                if let Ok(Some(value)) = shared.read(kind) {
                    assert_eq!(value.len(), length);
                    assert!(value.iter().all(|byte| *byte == value[0]), "torn: {value:?}");
                }
            }
        });
    }
}
