// SPDX-License-Identifier: Apache-2.0
//! Buffers in the hands of devices: where they lie, and many users at once.
//!
//! Two importers of the board's kernel stand for all: the probe, which attaches, maps, unmaps and
//! detaches in one call, and vgem, which keeps its mapping until the handle is closed.

use std::fs::File;
use std::io::Write;
use std::os::fd::{AsRawFd, RawFd};
use std::path::Path;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::thread;

use libtest_mimic::Trial;
use nix::unistd::dup2;

use super::heap::{DEFAULT, Heap, MIB, Request, page, trial};
use super::memory::Memory;
use crate::dmabuf::{DmaBuf, PROBE, SYNC_END, SYNC_READ, SYNC_WRITE};
use crate::drm::{Card, VGEM};
use crate::harness::{Outcome, skip};

pub fn trials() -> Vec<Trial> {
    vec![
        trial("device::sees_one_segment_of_the_region", one_segment),
        trial("device::sees_held_buffers_aligned", aligned),
        trial("device::keeps_a_buffer_that_is_closed", kept_by_a_device),
        trial("race::of_mappings_and_syncs_with_close", mappings_and_close),
        trial("race::of_devices_and_syncs_with_close", devices_and_close),
    ]
}

/// Skips a test that needs this node.
fn require(node: &str) -> Outcome {
    if Path::new(node).exists() { Ok(()) } else { skip(format!("this kernel has no {node}")) }
}

/// Not so the default region's small buffers, which may lie anywhere.
fn one_segment() -> Outcome {
    require(PROBE)?;
    for region in Heap::regions()? {
        let place = region.place()?;
        let smallest = if region.name == DEFAULT { 128 << 10 } else { page() };
        for len in [smallest, 3 * MIB / 2, 4 * MIB] {
            let [segment] = &region.buffer(len)?.physical_segments()?[..] else {
                return Err(format!("{region}: {len} bytes in pieces").into());
            };
            assert_eq!(segment.end - segment.start, len, "{region}");
            let inside = place.start <= segment.start && segment.end <= place.end;
            assert!(inside, "{region}: {segment:#x?} is not in {place:#x?}");
        }
        if region.name == DEFAULT {
            let pieces = region.buffer(64 << 10)?.physical_segments()?.len();
            assert_eq!(pieces, 1, "{region}: a small buffer");
        }
    }
    Ok(())
}

/// By their length, as far as that costs little. A page in front of them makes it no accident.
fn aligned() -> Outcome {
    require(PROBE)?;
    let held: Vec<Heap> = Heap::regions()?.into_iter().filter(Heap::is_held).collect();
    if held.is_empty() {
        return skip("this device holds no region");
    }
    for region in &held {
        let _page = region.buffer(page())?;
        for (len, alignment) in [(64 << 10, 64 << 10), (MIB, MIB), (MIB + page(), 128 << 10)] {
            let buffer = region.buffer(len)?;
            let [segment] = &buffer.physical_segments()?[..] else {
                return Err(format!("{region}: {len} bytes in pieces").into());
            };
            assert!(
                segment.start.is_multiple_of(alignment),
                "{region}: {len} bytes: {segment:#x?}"
            );
        }
    }
    Ok(())
}

fn kept_by_a_device() -> Outcome {
    require(VGEM)?;
    for region in Heap::regions()? {
        let before = region.count("buffers")?;
        let vgem = Card::vgem()?;
        let buffer = region.buffer(MIB)?;
        let handle = vgem.import(buffer.as_raw_fd())?;
        // Now with a mapped attachment.
        buffer.sync(SYNC_READ | SYNC_WRITE)?;
        buffer.sync(SYNC_READ | SYNC_WRITE | SYNC_END)?;
        drop(buffer);
        assert_eq!(region.count("buffers")?, before + 1, "{region}");
        vgem.close(handle)?;
    }
    Ok(())
}

/// Something that a thread does to the buffer that a number means at that moment.
type Act = fn(RawFd) -> Outcome;

/// Some pages, whatever their size.
const LEN: u64 = 256 << 10;
/// Buffers that each number means, one after the other.
const BUFFERS: usize = 200;

/// Runs each act in a thread of its own, again and again, while the number is given to one buffer
/// after the other. It means some buffer always, so no act may fail.
fn race(heap: &Heap, acts: &[Act]) -> Outcome {
    let shared = heap.ask(Request::of(LEN))?;
    let number = shared.as_raw_fd();
    let stop = AtomicBool::new(false);
    let done: Vec<AtomicU64> = acts.iter().map(|_| AtomicU64::new(0)).collect();
    let repeat = |act: Act, done: &AtomicU64| -> Result<(), String> {
        while !stop.load(Ordering::Relaxed) {
            act(number).map_err(|error| error.to_string())?;
            done.fetch_add(1, Ordering::Relaxed);
        }
        Ok(())
    };
    thread::scope(|scope| -> Outcome {
        let workers: Vec<_> = acts
            .iter()
            .zip(&done)
            .map(|(act, done)| scope.spawn(move || repeat(*act, done)))
            .collect();
        let mut exchanges = 0;
        let exchanged = loop {
            // At least so often, and until everybody was there.
            let all_done = done.iter().all(|done| done.load(Ordering::Relaxed) > 0);
            if exchanges >= BUFFERS && (all_done || workers.iter().any(|w| w.is_finished())) {
                break Ok(());
            }
            let next = heap.ask(Request::of(LEN));
            if let Err(error) = next.and_then(|next| dup2(next.as_raw_fd(), shared.as_raw_fd())) {
                break Err(error);
            }
            exchanges += 1;
        };
        stop.store(true, Ordering::Relaxed);
        for worker in workers {
            worker.join().map_err(|_| "an act ended by panic")??;
        }
        Ok(exchanged?)
    })
    .map_err(|error| format!("{heap}: {error}").into())
}

fn map_and_write(number: RawFd) -> Outcome {
    Memory::of_number(number, LEN)?.set_word(LEN as usize - 8, 1);
    Ok(())
}

fn sync(number: RawFd) -> Outcome {
    let buffer = DmaBuf::of_number(number)?;
    buffer.sync(SYNC_READ | SYNC_WRITE)?;
    buffer.sync(SYNC_READ | SYNC_WRITE | SYNC_END)?;
    Ok(())
}

fn probe(number: RawFd) -> Outcome {
    let mut probe = File::options().read(true).write(true).open(PROBE)?;
    probe.write_all(number.to_string().as_bytes())?;
    Ok(())
}

fn import(number: RawFd) -> Outcome {
    let vgem = Card::vgem()?;
    let handle = vgem.import(number)?;
    // The other half of the handles go with the file.
    if handle % 2 == 0 { Ok(vgem.close(handle)?) } else { Ok(()) }
}

fn mappings_and_close() -> Outcome {
    for heap in Heap::all()? {
        race(&heap, &[map_and_write, sync, map_and_write, sync])?;
    }
    Ok(())
}

fn devices_and_close() -> Outcome {
    require(PROBE)?;
    require(VGEM)?;
    for heap in Heap::all()? {
        race(&heap, &[probe, import, sync, probe, map_and_write])?;
    }
    Ok(())
}
