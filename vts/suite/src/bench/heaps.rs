// SPDX-License-Identifier: Apache-2.0
//! This project's heaps beside the kernel's own one for the default CMA area, which a kernel with
//! `kernel/board/virt-bench.config` has too.

use std::io;
use std::time::{Duration, Instant};

use super::{Comparison, Match, Result, kib, timed};
use crate::dmabuf::DmaBuf;
use crate::heap::Heap;
use crate::pressure::Pressure;

/// The kernel's own heap is named after the area's node.
const IN_TREE: &str = "linux,cma";
const DEFAULT: &str = "default_cma_region";
const HELD: &str = "camera@54000000";

const MIB: usize = 1 << 20;
const PAGE: usize = 4096;

/// All comparisons of heaps.
pub fn measure() -> Result<Vec<Comparison>> {
    let mut all = vec![
        allocation([DEFAULT, IN_TREE], 32 * MIB, "", 12, Some(0.70))?,
        allocation([DEFAULT, IN_TREE], PAGE, "", 300, Some(0.2))?,
        // Memory from the page allocator in both: what is left is the same for every heap.
        allocation([DEFAULT, "system"], PAGE, "", 300, None)?,
        mapping(DEFAULT)?,
        mapping(HELD)?,
    ];
    let _full = Pressure::new()?;
    all.push(allocation([HELD, IN_TREE], 8 * MIB, ", memory full", 30, Some(0.05))?);
    Ok(all)
}

/// The ioctl alone; the buffer is closed, and what that costs rested off, before the next.
fn allocation(
    heaps: [&str; 2],
    len: usize,
    when: &str,
    rounds: usize,
    target: Option<f64>,
) -> Result<Comparison> {
    let name = format!("allocate {}{when}", kib(len));
    compare(name, heaps, len, rounds, target, |heap| timed(|| heap.allocate(len)))
}

/// Mapping a buffer and touching each of its pages.
fn mapping(ours: &str) -> Result<Comparison> {
    let len = 8 * MIB;
    let name = format!("map and touch {}", kib(len));
    compare(name, [ours, IN_TREE], len, 30, Some(0.3), |heap| touched(heap, len))
}

/// The same operation on buffers of `len` bytes of two heaps.
fn compare(
    name: String,
    [ours, baseline]: [&str; 2],
    len: usize,
    rounds: usize,
    target: Option<f64>,
    operation: impl Fn(&Heap) -> io::Result<Duration>,
) -> Result<Comparison> {
    let (heap, other) = (Heap::open(ours)?, Heap::open(baseline)?);
    let contest = Match { name, ours, baseline, rounds, rest: rest(len), target };
    contest.play(|| operation(&heap), || operation(&other))
}

fn touched(heap: &Heap, len: usize) -> io::Result<Duration> {
    let buffer = DmaBuf::new(heap.allocate(len)?)?;
    let started = Instant::now();
    let mut map = buffer.map()?;
    map.touch(PAGE);
    Ok(started.elapsed())
}

/// Time for a held region to clear a buffer of this size again.
fn rest(len: usize) -> Duration {
    Duration::from_millis(if len >= MIB { 25 } else { 1 })
}
