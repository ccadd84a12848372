// SPDX-License-Identifier: Apache-2.0
//! Regions that are full, or cut into pieces, or borrowed by somebody who does not let go.

use std::error::Error;
use std::fs::{self, File};
use std::io::IoSlice;
use std::os::fd::{AsRawFd, OwnedFd};
use std::os::unix::fs::FileExt;

use fastrand::Rng;
use libtest_mimic::Trial;
use nix::errno::Errno;
use nix::fcntl::{FcntlArg, SpliceFFlags, fcntl, vmsplice};

use super::heap::{DEFAULT, Heap, MIB, Request, default_area, page, trial};
use super::memory::Memory;
use crate::baseline::meminfo;
use crate::harness::{Outcome, skip};
use crate::pressure::Pressure;

pub fn trials() -> Vec<Trial> {
    vec![
        trial("pressure::an_exhausted_region_refuses_and_recovers", exhausted),
        trial("pressure::a_held_region_serves_what_fits", fragmented),
        trial("pressure::what_was_freed_is_placeable_at_once", freed_a_moment_ago),
        trial("pressure::small_ones_are_no_more_than_the_region_has_free", bounded),
        trial("pressure::pages_pinned_in_a_lent_region_cost_only_their_place", pinned),
    ]
}

/// Takes buffers of 1 MiB until refused; the refusal must be a clear one.
fn fill(region: &Heap) -> Result<Vec<OwnedFd>, Box<dyn Error>> {
    let refusals = region.count("failed_exhausted")?;
    let mut taken = Vec::new();
    loop {
        match region.ask(Request::of(MIB)) {
            Ok(buffer) => taken.push(buffer),
            Err(Errno::ENOMEM) => break,
            Err(error) => return Err(format!("{region}: {error}").into()),
        }
    }
    assert_eq!(region.count("failed_exhausted")?, refusals + 1, "{region}");
    Ok(taken)
}

fn exhausted() -> Outcome {
    for region in Heap::regions()? {
        let room = room(&region)?;
        let mut rounds = [0; 3];
        for got in &mut rounds {
            *got = fill(&region)?.len();
        }
        eprintln!("{region}: {rounds:?} buffers of 1 MiB where there is room for {room}");
        // What the kernel has lent to others it may have in use just then, but not for long.
        assert_eq!(rounds.iter().max(), Some(&room), "{region}");
        assert!(!region.is_held() || rounds == [room; 3], "{region}");
    }
    Ok(())
}

/// How many aligned buffers of 1 MiB there is room for. In the default area the kernel itself has
/// something: its pool for atomic DMA allocations, 128 KiB on a machine of 1 GiB.
fn room(region: &Heap) -> Result<usize, Box<dyn Error>> {
    if region.name != DEFAULT {
        return Ok((region.count("size")? / MIB) as usize);
    }
    // A bit per page, 32 in a word.
    let bitmap = fs::read_to_string(default_area()?.join("bitmap"))?;
    let words = bitmap.split_whitespace().map(str::parse).collect::<Result<Vec<u32>, _>>()?;
    let taken = words.chunks((MIB / page() / 32) as usize);
    Ok(taken.filter(|words| words.iter().all(|word| *word == 0)).count())
}

/// Free memory of CMA in bytes, when nothing of it is lent, and a buffer of 1 MiB takes some.
pub fn cma_free() -> Result<u64, Box<dyn Error>> {
    let region = Heap::default_region()?;
    // The kernel moves away what it has lent,
    fill(&region)?;
    // and then takes back what each CPU has at hand: free, but not counted.
    let _buffer = region.ask(Request::of(MIB))?;
    Ok(meminfo("CmaFree")?)
}

const ALLOCATIONS: u64 = 8_500;

/// Best fit leaves holes that are too small for what comes next. Up to a load of 60 %, with buffers
/// of up to 1/128 of the region, there always was one that was large enough; beyond that, only what
/// no hole can take may be refused.
const EASY: Load = Load { percent: 60, longest: 128 };
const HARD: Load = Load { percent: 90, longest: 64 };

/// How full a region is kept, and which part of it the longest buffer is.
struct Load {
    percent: u64,
    longest: u64,
}

fn fragmented() -> Outcome {
    let held: Vec<Heap> = Heap::regions()?.into_iter().filter(Heap::is_held).collect();
    if held.is_empty() {
        return skip("this device holds no region");
    }
    let pressure = Pressure::new()?;
    for region in &held {
        let refused = allocate_at(region, &EASY, ALLOCATIONS / 2)?;
        assert_eq!(refused, 0, "{region}: refused at a load of {} %", EASY.percent);
        allocate_at(region, &HARD, ALLOCATIONS / 2)?;
    }
    eprintln!("with {} MiB of movable pages around them", pressure.bytes().len() >> 20);
    Ok(())
}

/// Allocates buffers of random length, and frees others to keep the load. How many were refused,
/// each with no hole for it.
fn allocate_at(region: &Heap, load: &Load, allocations: u64) -> Result<u64, Box<dyn Error>> {
    let size = region.count("size")?;
    let longest = size / load.longest;
    let mut random = Rng::with_seed(42);
    let mut live: Vec<(OwnedFd, u64)> = Vec::new();
    let mut used = 0;
    let mut refused = 0;
    let mut smallest_hole = size;
    for allocation in 0..allocations {
        let len = page() * random.u64(1..=longest / page());
        while used + len > size * load.percent / 100 {
            let (_, freed) = live.swap_remove(random.usize(..live.len()));
            used -= freed;
        }
        match region.ask(Request::of(len)) {
            Ok(buffer) => {
                live.push((buffer, len));
                used += len;
            }
            Err(error) => {
                let hole = region.count("largest_free")?;
                let right = error == Errno::ENOMEM && hole < len;
                assert!(right, "{region}: {error} for {len} bytes with a hole of {hole}");
                refused += 1;
            }
        }
        if allocation % 100 == 0 {
            smallest_hole = smallest_hole.min(region.count("largest_free")?);
        }
    }
    let hole = region.count("largest_free")?;
    eprintln!(
        "{region}: {allocations} buffers of up to {} KiB at {} % of {} KiB: {refused} refused; \
         largest hole {} KiB of {} KiB free, at its smallest {} KiB",
        longest >> 10,
        load.percent,
        size >> 10,
        hole >> 10,
        (size - used) >> 10,
        smallest_hole >> 10,
    );
    Ok(refused)
}

/// As when a camera's streams are set up anew: what was freed is not cleared yet, and what comes
/// next fits only if its room counts.
fn freed_a_moment_ago() -> Outcome {
    let held: Vec<Heap> = Heap::regions()?.into_iter().filter(Heap::is_held).collect();
    if held.is_empty() {
        return skip("this device holds no region");
    }
    for region in &held {
        let eighth = region.count("size")? / 8 / page() * page();
        for round in 0..8 {
            let refused = |error| format!("{region}: {error} in round {round}");
            let before = [3, 1].map(|part| region.buffer(part * eighth));
            for buffer in before {
                drop(buffer.map_err(refused)?);
            }
            let _first = region.buffer(2 * eighth).map_err(refused)?;
            let rest = region.buffer(5 * eighth).map_err(refused)?;
            let stale = Memory::of(&rest, 5 * eighth)?.first_not_zero();
            assert_eq!(stale, None, "{region}: stale data (offset, word)");
            Memory::of(&rest, 5 * eighth)?.fill(u64::MAX);
        }
    }
    Ok(())
}

/// They lie elsewhere, in memory that everybody needs, and count all the same.
fn bounded() -> Outcome {
    const SMALL: u64 = 64 << 10;
    let region = Heap::default_region()?;
    let large = fill(&region)?;
    let left = region.count("size")? - region.count("used")?;
    let mut small = Vec::new();
    let refused = loop {
        match region.ask(Request::of(SMALL)) {
            Ok(buffer) if small.len() as u64 * SMALL <= left => small.push(buffer),
            other => break other,
        }
    };
    eprintln!("{region}: {} large and {} small ones of {left} bytes", large.len(), small.len());
    assert_eq!(refused.err(), Some(Errno::ENOMEM), "{region}: small ones without end");
    Ok(())
}

/// One pinned page in each so many bytes.
const PIN_EVERY: u64 = 4 * MIB;

/// A pipe that holds pages of this process by reference.
struct Pins {
    count: u64,
    _pipe: (OwnedFd, OwnedFd),
}

impl Pins {
    /// Pins one page per [`PIN_EVERY`] bytes of the region, of those of `memory` that lie there.
    fn new(memory: &[u8], region: &Heap) -> Result<Self, Box<dyn Error>> {
        let place = region.place()?;
        let most = (place.end - place.start) / PIN_EVERY;
        let (from, to) = nix::unistd::pipe()?;
        fcntl(to.as_raw_fd(), FcntlArg::F_SETPIPE_SZ((most * page()) as i32))?;
        let frames = frames(memory)?;
        let mut blocks = vec![false; most as usize];
        let mut count = 0;
        for (bytes, frame) in memory.chunks(page() as usize).zip(frames) {
            let address = frame * page();
            if !place.contains(&address) {
                continue;
            }
            let Some(block) = blocks.get_mut(((address - place.start) / PIN_EVERY) as usize) else {
                continue;
            };
            if !std::mem::replace(block, true) {
                vmsplice(&to, &[IoSlice::new(bytes)], SpliceFFlags::empty())?;
                count += 1;
            }
        }
        Ok(Self { count, _pipe: (from, to) })
    }
}

/// Page frame numbers, from the lowest 55 bits of each entry of /proc/self/pagemap.
fn frames(memory: &[u8]) -> std::io::Result<Vec<u64>> {
    let mut entries = vec![0; memory.len() / page() as usize * 8];
    let first = memory.as_ptr() as u64 / page();
    File::open("/proc/self/pagemap")?.read_exact_at(&mut entries, first * 8)?;
    let entries = entries.as_chunks::<8>().0.iter();
    Ok(entries.map(|entry| u64::from_ne_bytes(*entry) & ((1 << 55) - 1)).collect())
}

fn pinned() -> Outcome {
    let region = Heap::default_region()?;
    let before = fill(&region)?.len();
    let pressure = Pressure::new()?;
    let pins = Pins::new(pressure.bytes(), &region)?;
    drop(pressure);
    assert!(pins.count > 0, "no page of this process came to lie in the region");

    let size = region.count("size")?;
    assert_eq!(region.ask(Request::of(size)).err(), Some(Errno::ENOMEM));
    let during = fill(&region)?.len();
    let lost = before.saturating_sub(during) as u64;
    eprintln!(
        "{region}: {} pinned pages, {during} buffers of 1 MiB instead of {before}",
        pins.count
    );
    assert!(0 < lost && lost <= pins.count, "{lost} buffers lost to {} pins", pins.count);
    drop(pins);
    assert_eq!(fill(&region)?.len(), before);
    Ok(())
}
