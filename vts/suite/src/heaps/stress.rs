// SPDX-License-Identifier: Apache-2.0
//! Random operations from eight threads, with kills in between: nothing may be left, nothing stale
//! seen.
//!
//! Each region is used by one process at a time, which performs a slice of the operations in eight
//! threads of eight buffers each. Some processes are killed; theirs do not count.

use std::collections::BTreeMap;
use std::error::Error;
use std::fs::{self, File};
use std::io::{self, Read, Seek, Write};
use std::sync::RwLock;
use std::sync::atomic::{AtomicI64, Ordering};
use std::thread;
use std::time::Duration;

use fastrand::Rng;
use libtest_mimic::Trial;
use nix::errno::Errno;

use super::heap::{Heap, MIB, page, trial};
use super::memory::Memory;
use super::pressure::cma_free;
use crate::baseline;
use crate::dmabuf::{DmaBuf, SYNC_END, SYNC_READ, SYNC_WRITE};
use crate::harness::{Outcome, effort, start, wait_for_line};

const THREADS: u64 = 8;
const BUFFERS: usize = 8;
/// A process in so many is killed.
const KILL_ONE_IN: u64 = 3;

pub fn trials() -> Vec<Trial> {
    vec![trial("stress::leaves_memory_buffers_and_slab_at_the_baseline", stress)]
}

/// One buffer's place in a thread.
#[derive(Default)]
enum Slot {
    #[default]
    Empty,
    Buffer {
        buffer: DmaBuf,
        len: u64,
        new: bool,
    },
    Mapped {
        buffer: DmaBuf,
        len: u64,
        memory: Memory,
    },
}

/// Role: performs so many operations.
pub fn operate(heap: &str, operations: i64, seed: u64) -> Outcome {
    let heap = Heap::open(heap)?;
    // Among what eight times eight buffers of the average length want, some is refused.
    let longest = heap.place()?;
    let longest = (longest.end - longest.start) / page() / (THREADS * BUFFERS as u64);
    let left = AtomicI64::new(operations);
    let running = RwLock::new(());
    println!("operating");
    let work = |thread: u64| -> Result<(), String> {
        let mut random = Rng::with_seed(seed * THREADS + thread);
        let mut slots: [Slot; BUFFERS] = Default::default();
        while left.fetch_sub(1, Ordering::Relaxed) > 0 {
            let slot = &mut slots[random.usize(..BUFFERS)];
            let next = step(&heap, std::mem::take(slot), &mut random, longest, &running);
            *slot = next.map_err(|error| format!("{heap}: {error}"))?;
        }
        Ok(())
    };
    thread::scope(|scope| -> Outcome {
        let work = &work;
        let threads: Vec<_> = (0..THREADS).map(|i| scope.spawn(move || work(i))).collect();
        for thread in threads {
            thread.join().map_err(|_| "a thread ended by panic")??;
        }
        Ok(())
    })
}

/// One operation on a slot, while nobody looks at a refusal.
fn step(
    heap: &Heap,
    slot: Slot,
    random: &mut Rng,
    longest: u64,
    running: &RwLock<()>,
) -> Result<Slot, Box<dyn Error>> {
    let runs = running.read().map_err(|_| "another thread died")?;
    const WORD: u64 = 0x5555_5555_5555_5555;
    match (slot, random.u8(..3)) {
        (Slot::Empty, _) => {
            // Every size is as frequent as its double.
            let longest = ((2 * longest) >> random.u8(..6)).max(1);
            let len = page() * random.u64(1..=longest);
            match heap.buffer(len) {
                Ok(buffer) => Ok(Slot::Buffer { buffer, len, new: true }),
                Err(Errno::ENOMEM) => {
                    drop(runs);
                    let _alone = running.write().map_err(|_| "another thread died")?;
                    is_right_to_refuse(heap, len)?;
                    Ok(Slot::Empty)
                }
                Err(error) => Err(error.into()),
            }
        }
        (Slot::Buffer { buffer, len, new }, 0 | 1) => {
            let memory = Memory::of(&buffer, len)?;
            let at = page() * random.u64(..len / page());
            for offset in [0, at, len - 8] {
                match memory.word(offset as usize) {
                    0 => (),
                    WORD if !new => (),
                    stale => return Err(format!("stale data: {stale:#x}").into()),
                }
            }
            for offset in [0, at, len - 8] {
                memory.set_word(offset as usize, WORD);
            }
            Ok(Slot::Mapped { buffer, len, memory })
        }
        (Slot::Buffer { .. }, _) => Ok(Slot::Empty),
        (Slot::Mapped { buffer, len, memory }, 0) => {
            buffer.sync(SYNC_READ | SYNC_WRITE)?;
            buffer.sync(SYNC_READ | SYNC_WRITE | SYNC_END)?;
            Ok(Slot::Mapped { buffer, len, memory })
        }
        (Slot::Mapped { buffer, len, .. }, 1) => Ok(Slot::Buffer { buffer, len, new: false }),
        // Closed first, and unmapped then.
        (Slot::Mapped { buffer, memory, .. }, _) => {
            drop(buffer);
            drop(memory);
            Ok(Slot::Empty)
        }
    }
}

/// A held region refuses only what has no room, be it cleared or not. Nobody else takes any now.
fn is_right_to_refuse(heap: &Heap, len: u64) -> Outcome {
    if !heap.is_held() {
        return Ok(());
    }
    let hole = heap.count("largest_free")?;
    match heap.buffer(len) {
        Err(Errno::ENOMEM) if hole >= len => Err(format!("{len} of {hole} bytes refused").into()),
        Ok(_) | Err(Errno::ENOMEM) => Ok(()),
        Err(error) => Err(error.into()),
    }
}

/// SUITE_OPERATIONS says how many; the full run is 1000000.
fn stress() -> Outcome {
    let operations = effort("SUITE_OPERATIONS", 25_000)?.cast_signed();
    let regions = Heap::regions()?;
    let mut slabs = Slabs::open()?;
    let slice = operations / 20;
    // What the kernel makes once and keeps.
    for region in &regions {
        run(region, slice / 10, 0, false)?;
        region.settle()?;
        region.count("largest_free")?;
    }
    let (memory, objects) = (cma_free()?, slabs.objects()?);

    let (mut done, mut kills) = (0, 0);
    for process in 1.. {
        if done >= operations {
            break;
        }
        let region = &regions[process as usize % regions.len()];
        if process % KILL_ONE_IN == 0 {
            run(region, i64::MAX, process, true)?;
            kills += 1;
        } else {
            run(region, slice, process, false)?;
            done += slice;
        }
    }
    for region in &regions {
        region.settle()?;
    }
    let memory_after = cma_free()?;
    eprintln!("{done} operations by {THREADS} threads, {kills} processes killed");
    eprintln!("CmaFree {} -> {} KiB", memory >> 10, memory_after >> 10);
    // The counters that each test compares are exact; this one is in everybody's use.
    assert!(memory.abs_diff(memory_after) < MIB);
    let mut grown = slabs.grown(&objects, kills)?;
    // Newer kernels have what waits for a grace period at hand for some seconds. Looking has its
    // price, too: a cache that once was as before has not grown.
    for _ in 0..baseline::looks()? / 50 {
        if grown.is_empty() {
            break;
        }
        let still = slabs.grown(&objects, kills)?;
        grown.retain(|cache, _| still.contains_key(cache));
    }
    assert!(grown.is_empty(), "slab caches and what each has more: {grown:?}");
    Ok(())
}

/// Runs a process to its end, or kills it.
fn run(region: &Heap, operations: i64, seed: u64, kill: bool) -> Outcome {
    let mut child = start(&format!("stress {region} {operations} {seed}"), 0, 0)?;
    wait_for_line(&mut child)?;
    if kill {
        thread::sleep(Duration::from_millis(20 + seed * 37 % 200));
        child.kill()?;
        child.wait()?;
        return Ok(());
    }
    let status = child.wait()?;
    if status.success() { Ok(()) } else { Err(format!("{region}: {status}").into()) }
}

/// Addresses for stacks of tasks: the kernel keeps free ones in lots.
const AT_HAND: &str = "vmap_area";

/// The kernel's slab caches. The files stay open, so that looking costs no object.
struct Slabs {
    shrink: Vec<File>,
    info: File,
}

impl Slabs {
    fn open() -> io::Result<Self> {
        let mut shrink = Vec::new();
        for cache in fs::read_dir("/sys/kernel/slab")? {
            let cache = cache?;
            // The others are names for caches that were merged.
            if cache.file_type()?.is_dir() {
                shrink.push(File::options().write(true).open(cache.path().join("shrink"))?);
            }
        }
        Ok(Self { shrink, info: File::open("/proc/slabinfo")? })
    }

    /// The caches that have more objects than before, and how many. Not even one for each kill: the
    /// rest of the system has a little to do, too.
    fn grown(
        &mut self,
        before: &BTreeMap<String, u64>,
        kills: u64,
    ) -> Result<BTreeMap<String, u64>, Box<dyn Error>> {
        let more = |(cache, now): (String, u64)| {
            let more = now.saturating_sub(before.get(&cache).copied().unwrap_or(0));
            (more >= kills && cache != AT_HAND).then_some((cache, more))
        };
        Ok(self.objects()?.into_iter().filter_map(more).collect())
    }

    /// Live objects of each cache, once the kernel has let go of what it only kept at hand.
    fn objects(&mut self) -> Result<BTreeMap<String, u64>, Box<dyn Error>> {
        // Dentries and inodes; what frees them later is a grace period.
        fs::write("/proc/sys/vm/drop_caches", "2")?;
        thread::sleep(Duration::from_secs(1));
        // Counts are exact only of slabs that no CPU has for itself. A write of this length needs
        // a buffer from a cache with few objects per slab.
        let mut one = [b' '; 3000];
        one[0] = b'1';
        for cache in &mut self.shrink {
            cache.write_all(&one)?;
        }
        let mut text = String::new();
        self.info.rewind()?;
        self.info.read_to_string(&mut text)?;
        let entry = |line: &str| {
            let mut fields = line.split_whitespace();
            Some((fields.next()?.to_owned(), fields.next()?.parse().ok()?))
        };
        // Two lines of headings come first.
        Ok(text.lines().skip(2).filter_map(entry).collect())
    }
}
