// SPDX-License-Identifier: Apache-2.0
//! What the allocator adds to the heap's own ioctl, and the reserve takes away.

use std::io;
use std::thread::sleep;
use std::time::Duration;

use dmaheap_aidl::allocator::{BufferDescriptorInfo, IAllocator};
use dmaheap_aidl::binder::Strong;
use dmaheap_buffer::{Format, Usage};
use nix::sys::resource::{Resource, getrlimit, setrlimit};

use super::{Comparison, Match, Result, kib, timed};
use crate::client::{Request, descriptor};
use crate::heap::Heap;
use crate::service::{connect, report};

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

/// Buffers of the caller's that live while another is asked for.
const LIVE: i32 = 1024;
/// In one call.
const AT_ONCE: i32 = 64;
/// What the board's policy lets a uid have of its smallest heap is so many of these.
const CURSOR: usize = 32 * KIB;

/// Every size from the system heap, and calls that allocate nothing.
pub fn measure() -> Result<Vec<Comparison>> {
    let allocator = connect()?;
    let mut all = Vec::new();
    for (len, rounds, target) in SIZES {
        all.push(beside_ioctl(&allocator, format!("allocate2 {}", kib(len)), len, rounds, target)?);
    }
    all.push(is_supported(&allocator)?);
    all.push(refused(&allocator)?);
    let (_, most) = getrlimit(Resource::RLIMIT_NOFILE)?;
    setrlimit(Resource::RLIMIT_NOFILE, most, most)?;
    let descriptor = descriptor(&bytes(4 * KIB)?);
    let mut live = Vec::new();
    for _ in 0..LIVE / AT_ONCE {
        live.push(allocator.allocate2(&descriptor, AT_ONCE)?);
    }
    let name = format!("allocate2 4 KiB, {LIVE} live");
    all.push(beside_ioctl(&allocator, name, 4 * KIB, 200, None)?);
    Ok(all)
}

fn beside_ioctl(
    allocator: &Strong<dyn IAllocator>,
    name: String,
    len: usize,
    rounds: usize,
    target: Option<f64>,
) -> Result<Comparison> {
    let heap = Heap::open("system")?;
    let descriptor = descriptor(&bytes(len)?);
    let (ours, baseline) = ("allocator, system", "ioctl, system");
    let contest = Match { name, ours, baseline, rounds, rest: REST, target };
    contest.play(|| timed(|| allocate(allocator, &descriptor)), || timed(|| heap.allocate(len)))
}

/// Whoever is at a limit is refused only when what it was given was found to live.
fn refused(allocator: &Strong<dyn IAllocator>) -> Result<Comparison> {
    let mut request = bytes(CURSOR)?;
    request.usage = Usage::COMPOSER_CURSOR;
    let descriptor = descriptor(&request);
    let _held = allocator.allocate2(&descriptor, AT_ONCE)?;
    let contest = Match {
        name: format!("refused at a limit, {AT_ONCE} live"),
        ours: "allocator",
        baseline: "binder ping",
        rounds: 100,
        rest: Duration::ZERO,
        target: None,
    };
    let binder = allocator.as_binder();
    contest.play(
        || {
            timed(|| match allocator.allocate2(&descriptor, 1) {
                Ok(_) => Err(io::Error::other("one more than the limit was given")),
                Err(_) => Ok(()),
            })
        },
        || timed(|| binder.ping_binder().map_err(io::Error::other)),
    )
}

/// A framebuffer from the reserve, for a service whose policy keeps some of [`SCREEN`] for the
/// framebuffer heap.
pub fn reserve() -> Result<Vec<Comparison>> {
    let allocator = connect()?;
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
