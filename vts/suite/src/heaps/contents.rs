// SPDX-License-Identifier: Apache-2.0
//! What is in a new buffer: zeroes, whoever had the memory, and whoever is killed meanwhile.

use std::ffi::c_int;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::Duration;

use libtest_mimic::Trial;
use nix::errno::Errno;
use nix::sys::pthread::{pthread_kill, pthread_self};
use nix::sys::signal::{SaFlags, SigAction, SigHandler, SigSet, Signal, sigaction};

use super::heap::{DEFAULT, Heap, MIB, page, trial};
use super::memory::Memory;
use crate::dmabuf::DmaBuf;
use crate::harness::{Outcome, start, wait_for_line};

/// Android's `graphics`, the heap nodes' group, and an app's uid.
const GRAPHICS: u32 = 1003;
const APP: u32 = 10_001;

/// What is taken of the `system` heap, which has no size of its own.
const OF_SYSTEM: u64 = 32 * MIB;
const PIECE: u64 = 2 * MIB;

pub fn trials() -> Vec<Trial> {
    vec![
        trial("content::is_zero_after_another_uid_had_the_memory", after_another_uid),
        trial("kill::while_clearing_leaves_nothing", killed_while_clearing),
        trial("signal::that_is_handled_does_not_interrupt", handled_signals),
    ]
}

/// Takes buffers until there are no more, or `bytes`.
fn take(heap: &Heap, bytes: u64, piece: u64) -> Result<Vec<DmaBuf>, String> {
    let mut taken = Vec::new();
    while taken.len() as u64 * piece < bytes {
        match heap.buffer(piece) {
            Ok(buffer) => taken.push(buffer),
            // Small buffers may lie so that no large one fits.
            Err(Errno::ENOMEM) => break,
            Err(error) => return Err(format!("{heap}: {error}")),
        }
    }
    Ok(taken)
}

fn size_of(heap: &Heap) -> u64 {
    heap.count("size").unwrap_or(OF_SYSTEM)
}

/// Role: fills all it can get, and waits to be killed.
pub fn scribble(heap: &str, bytes: u64) -> Outcome {
    let heap = Heap::open(heap)?;
    let mut taken = take(&heap, bytes, PIECE)?;
    taken.extend(take(&heap, MIB, page()).unwrap_or_default());
    for buffer in &taken {
        Memory::of(buffer, buffer.size()? as u64)?.fill(0xa5a5_5a5a_a5a5_5a5a);
    }
    println!("{} buffers", taken.len());
    loop {
        thread::park();
    }
}

fn after_another_uid() -> Outcome {
    for heap in Heap::all()? {
        let mut app = start(&format!("scribble {heap} {}", size_of(&heap)), APP, GRAPHICS)?;
        wait_for_line(&mut app)?;
        app.kill()?;
        app.wait()?;
        // At once, so that a held region's worker is not done yet; the small ones first, since
        // they come from where the app's small ones went.
        let mut taken = take(&heap, MIB, page())?;
        taken.extend(take(&heap, size_of(&heap), PIECE)?);
        assert!(!taken.is_empty(), "{heap} has nothing left");
        for buffer in taken {
            let stale = Memory::of(&buffer, buffer.size()? as u64)?.first_not_zero();
            assert_eq!(stale, None, "{heap}: stale data (offset, word)");
        }
    }
    Ok(())
}

/// Role: allocates, uses and frees until killed.
pub fn allocate_for_ever(heap: &str, bytes: u64) -> Outcome {
    let heap = Heap::open(heap)?;
    println!("allocating");
    loop {
        match heap.buffer(bytes) {
            Ok(buffer) => Memory::of(&buffer, bytes)?.set_word(0, u64::MAX),
            // The one killed before is not quite gone.
            Err(Errno::ENOMEM) => thread::sleep(Duration::from_millis(1)),
            Err(error) => return Err(error.into()),
        }
    }
}

/// At least so many are killed, and in a held region, until one was clearing at that moment.
const KILLS: u32 = 20;
const KILLS_AT_MOST: u32 = 1000;

fn killed_while_clearing() -> Outcome {
    for heap in Heap::regions()? {
        let held = heap.is_held();
        // All of a held region: what was freed a moment ago must be cleared first, so that is what
        // most of the time goes into.
        let bytes = if held { size_of(&heap) } else { size_of(&heap) / 4 };
        let interrupted = heap.count("failed_interrupted")?;
        for kill in 0.. {
            let hit = heap.count("failed_interrupted")? > interrupted;
            if kill >= KILLS && (hit || !held) {
                eprintln!("{heap}: {kill} kills, interrupted: {hit}");
                break;
            }
            assert!(kill < KILLS_AT_MOST, "{heap}: no kill met a request that clears");
            let mut child = start(&format!("allocate {heap} {bytes}"), 0, 0)?;
            wait_for_line(&mut child)?;
            thread::sleep(Duration::from_micros(u64::from(kill % 20) * 2_500));
            child.kill()?;
            child.wait()?;
        }
    }
    Ok(())
}

extern "C" fn ignore(_: c_int) {}

fn handled_signals() -> Outcome {
    let handler = SigHandler::Handler(ignore);
    let action = SigAction::new(handler, SaFlags::empty(), SigSet::empty());
    // SAFETY: the handler does nothing.
    unsafe { sigaction(Signal::SIGUSR1, &action) }?;
    let us = pthread_self();
    let stop = AtomicBool::new(false);
    thread::scope(|scope| -> Outcome {
        let sender = scope.spawn(|| {
            let mut sent = 0u64;
            while !stop.load(Ordering::Relaxed) {
                sent += u64::from(pthread_kill(us, Signal::SIGUSR1).is_ok());
                thread::sleep(Duration::from_micros(200));
            }
            sent
        });
        let result = allocate_a_lot();
        stop.store(true, Ordering::Relaxed);
        assert!(sender.join().map_err(|_| "the sender died")? > 0);
        result
    })
}

fn allocate_a_lot() -> Outcome {
    for heap in Heap::all()? {
        let bytes = if heap.name == DEFAULT { 16 * MIB } else { 4 * MIB };
        for _ in 0..50 {
            let buffer = heap.buffer(bytes).map_err(|error| format!("{heap}: {error}"))?;
            Memory::of(&buffer, bytes)?.set_word(0, 1);
        }
    }
    Ok(())
}
