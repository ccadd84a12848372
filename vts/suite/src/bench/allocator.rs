// SPDX-License-Identifier: Apache-2.0
//! What the allocator adds to the heap's own ioctl, and the reserve takes away.

use std::io;
use std::thread::sleep;
use std::time::Duration;

use dmaheap_aidl::allocator::{BufferDescriptorInfo, IAllocator};
use dmaheap_aidl::binder::{self, Strong};
use dmaheap_buffer::{Format, Usage};

use super::{Comparison, Match, Result, kib, timed};
use crate::client::{Request, descriptor};
use crate::heap::Heap;
use crate::service::report;

const KIB: usize = 1024;

/// What a screen takes, and with it most buffers of a device.
const SCREEN: usize = 8100 * KIB;
/// Sizes and the targets for them.
const SIZES: [(usize, usize, Option<f64>); 5] = [
    (4 * KIB, 200, None),
    (64 * KIB, 200, None),
    (1024 * KIB, 60, None),
    (SCREEN, 30, Some(1.25)),
    (32 * 1024 * KIB, 10, Some(1.10)),
];

/// Long enough for the service to drop its own descriptors of a reply.
const REST: Duration = Duration::from_millis(3);
/// How often to look whether the reserve is whole again.
const LOOK_AGAIN: Duration = Duration::from_millis(20);

/// Every size from the system heap, and a call that allocates nothing.
pub fn measure() -> Result<Vec<Comparison>> {
    let allocator = binder::connect(binder::DEFAULT)?;
    let heap = Heap::open("system")?;
    let mut all = Vec::new();
    for (len, rounds, target) in SIZES {
        let descriptor = descriptor(&bytes(len)?);
        let contest = Match {
            name: format!("allocate2 {}", kib(len)),
            ours: "allocator, system",
            baseline: "ioctl, system",
            rounds,
            rest: REST,
            target,
        };
        all.push(contest.play(
            || timed(|| allocate(&allocator, &descriptor)),
            || timed(|| heap.allocate(len)),
        )?);
    }
    all.push(is_supported(&allocator)?);
    Ok(all)
}

/// A framebuffer from the reserve, for a service whose policy keeps some of [`SCREEN`] for the
/// framebuffer heap.
pub fn reserve() -> Result<Vec<Comparison>> {
    let allocator = binder::connect(binder::DEFAULT)?;
    let heap = Heap::open("default_cma_region")?;
    let descriptor = descriptor(&Request {
        name: "bench",
        width: 1920,
        height: 1080,
        format: Format::from_name("RGBA_8888")?,
        usage: Usage::COMPOSER_CLIENT_TARGET | Usage::GPU_RENDER_TARGET,
    });
    let rounds = 30;
    let before = whole_reserve()?;
    let contest = Match {
        name: format!("allocate2 {}, reserved", kib(SCREEN)),
        ours: "allocator, reserve",
        baseline: "ioctl, default_cma_region",
        rounds,
        rest: REST,
        target: Some(0.15),
    };
    let result = contest
        .play(|| timed(|| allocate(&allocator, &descriptor)), || timed(|| heap.allocate(SCREEN)))?;
    match usize::try_from(whole_reserve()? - before)? {
        hits if hits == rounds => Ok(vec![result]),
        hits => {
            Err(format!("only {hits} of {rounds} requests were served from the reserve").into())
        }
    }
}

/// Waits until the framebuffer heap's reserve is whole; the requests it has served so far.
fn whole_reserve() -> Result<u64> {
    for _ in 0..500 {
        let report = report()?;
        let heaps = report["heaps"].as_array().ok_or("the dump lists no heaps")?;
        let heap = heaps.iter().find(|heap| heap["name"] == "framebuffer");
        let shelves = heap.and_then(|heap| heap["reserve"].as_array()).ok_or("no reserve")?;
        if shelves.is_empty() {
            return Err("the framebuffer heap has no reserve".into());
        }
        if shelves.iter().all(|shelf| shelf["ready"] == shelf["wanted"]) {
            return Ok(shelves.iter().filter_map(|shelf| shelf["hits"].as_u64()).sum());
        }
        sleep(LOOK_AGAIN);
    }
    Err("the reserve is not filled".into())
}

fn is_supported(allocator: &Strong<dyn IAllocator>) -> Result<Comparison> {
    let descriptor = descriptor(&bytes(4 * KIB)?);
    let contest = Match {
        name: "isSupported".to_owned(),
        ours: "isSupported",
        baseline: "binder ping",
        rounds: 1000,
        rest: Duration::ZERO,
        target: Some(1.15),
    };
    let binder = allocator.as_binder();
    contest.play(
        || timed(|| allocator.isSupported(&descriptor).map_err(io::Error::other)),
        || timed(|| binder.ping_binder().map_err(io::Error::other)),
    )
}

/// A buffer of just so many bytes, for the CPU.
fn bytes(len: usize) -> Result<Request<'static>> {
    Ok(Request {
        name: "bench",
        width: i32::try_from(len)?,
        height: 1,
        format: Format::from_name("BLOB")?,
        usage: Usage::CPU_READ_OFTEN | Usage::CPU_WRITE_OFTEN,
    })
}

fn allocate(
    allocator: &Strong<dyn IAllocator>,
    descriptor: &BufferDescriptorInfo,
) -> io::Result<dmaheap_aidl::allocator::AllocationResult> {
    allocator.allocate2(descriptor, 1).map_err(io::Error::other)
}
