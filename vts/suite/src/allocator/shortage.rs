// SPDX-License-Identifier: Apache-2.0
//! What the service itself runs out of: memory, contiguous memory, descriptors, life.

use std::error::Error;
use std::fs;
use std::iter;
use std::sync::mpsc;
use std::thread::{self, sleep};
use std::time::Duration;

use dmaheap_aidl::allocator::{AllocationError, AllocationResult, BufferDescriptorInfo};
use dmaheap_aidl::common::{BufferUsage, PixelFormat};
use dmaheap_buffer::{Bytes, Usage};
use dmaheap_dmabuf::kernel;
use fastrand::Rng;
use libtest_mimic::Trial;
use nix::libc;
use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;

use super::report::allocate;
use crate::heap::Heap;
use crate::pressure::page;
use crate::service::{connect, good, pid, refusal, report, restarting, trial, wait_for_successor};

type Test = Result<(), Box<dyn Error>>;

const NO_RESOURCES: AllocationError = AllocationError::NO_RESOURCES;
const MIB: i32 = 1 << 20;

pub fn trials() -> Vec<Trial> {
    vec![
        trial("shortage::system_out_of_memory_refuses_and_recovers", out_of_memory),
        trial("shortage::fragmented_region_refuses_and_recovers", fragmented_region),
        trial("shortage::what_a_refusal_says_of_the_region_is_right", told),
        trial("shortage::exhausted_region_degrades_to_the_heap_of_its_rule", exhausted_region),
        trial("shortage::service_out_of_descriptors_refuses_and_recovers", out_of_descriptors),
        restarting("shortage::service_killed_while_it_clears_leaves_nothing", killed_at_work),
    ]
}

/// So many bytes of memory for the CPU, or for the display.
fn bytes(size: i32, usage: BufferUsage) -> BufferDescriptorInfo {
    BufferDescriptorInfo { width: size, height: 1, format: PixelFormat::BLOB, usage, ..good() }
}

fn memory(size: i32) -> BufferDescriptorInfo {
    bytes(size, BufferUsage::CPU_READ_OFTEN)
}

fn framebuffer(size: i32) -> BufferDescriptorInfo {
    bytes(size, BufferUsage::COMPOSER_CLIENT_TARGET)
}

/// Allocates until refused, and wants that to be for want of resources.
fn until_refused(
    descriptor: &BufferDescriptorInfo,
) -> Result<Vec<AllocationResult>, Box<dyn Error>> {
    let allocator = connect()?;
    let mut held = Vec::new();
    loop {
        match allocator.allocate2(descriptor, 1) {
            Ok(given) => held.push(given),
            Err(status) => {
                assert_eq!(refusal(Err(status))?, NO_RESOURCES);
                return Ok(held);
            }
        }
    }
}

/// Nobody is killed for a buffer: this test, for one, lives to see the refusal.
fn out_of_memory() -> Test {
    let kills = oom_kills()?;
    let held = until_refused(&memory(16 * MIB))?;
    assert!(held.len() > 2, "refused after {} buffers", held.len());
    // A small one is refused as well, or served; nothing worse.
    if let Err(status) = connect()?.allocate2(&memory(MIB), 1) {
        assert_eq!(refusal(Err(status))?, NO_RESOURCES);
    }
    drop(held);
    // Buffers are freed by whoever lets go last, a moment later.
    sleep(Duration::from_millis(200));
    connect()?.allocate2(&memory(16 * MIB), 1)?;
    assert_eq!(oom_kills()?, kills, "processes were killed for want of memory");
    Ok(())
}

/// Processes that the kernel ended for want of memory.
pub fn oom_kills() -> Result<u64, Box<dyn Error>> {
    let stat = fs::read_to_string("/proc/vmstat")?;
    let kills = stat.lines().find_map(|line| line.strip_prefix("oom_kill "));
    Ok(kills.ok_or("/proc/vmstat does not count kills")?.parse()?)
}

/// Every second MiB in use: half of the region is free, and nothing of two MiB is.
fn fragmented_region() -> Test {
    let allocator = connect()?;
    let held = until_refused(&framebuffer(MIB))?;
    let every_second: Vec<_> = held.into_iter().step_by(2).collect();
    assert!(every_second.len() > 8, "{} buffers fit", every_second.len());
    sleep(Duration::from_millis(200));
    let large = allocator.allocate2(&framebuffer(4 * MIB), 1);
    assert_eq!(refusal(large)?, NO_RESOURCES);
    // The same rule still gives what there is.
    allocator.allocate2(&framebuffer(MIB), 1)?;
    drop(every_second);
    sleep(Duration::from_millis(200));
    allocator.allocate2(&framebuffer(32 * MIB), 1)?;
    Ok(())
}

/// The board's policy degrades what is small and contiguous from the fixed heap to the framebuffer's.
fn exhausted_region() -> Test {
    let origin = || -> Result<_, Box<dyn Error>> {
        let cursor = allocate(Usage::COMPOSER_CURSOR, 128)?;
        Ok((cursor.header.origin.clone(), cursor.pixels.physical_segments()?.len()))
    };
    let fixed = Heap::open("fixed@58000000")?;
    let held: Vec<_> = iter::from_fn(|| fixed.allocate(64 << 10).ok()).collect();
    let (elsewhere, segments) = origin()?;
    assert_eq!((elsewhere.heap.as_str(), segments), ("framebuffer", 1));
    drop(held);
    sleep(Duration::from_millis(200));
    let (again, _) = origin()?;
    assert_eq!((again.heap.as_str(), again.rule), ("fixed", elsewhere.rule));
    Ok(())
}

/// Somebody who opens the node itself leaves holes of all sizes in the camera's region, and a client
/// asks for a page more than the largest: what the refusal says of hole, size and what would do is as the
/// driver has it, and what the dump says of holders as this client has it.
fn told() -> Test {
    const NODE: &str = "camera@54000000";
    const REFUSALS: u64 = 50;
    const OURS: i32 = 3;
    let region = Heap::open(NODE)?;
    let size = kernel::region(NODE)?.size;
    let allocator = connect()?;
    let camera = |size: u64| bytes(size as i32, BufferUsage::CAMERA_OUTPUT);
    let _ours = allocator.allocate2(&camera(MIB as u64), OURS)?;
    for seed in 0..REFUSALS {
        let mut random = Rng::with_seed(seed);
        let piece = iter::repeat_with(|| random.usize(1..512) * 4096);
        let mut held: Vec<_> = piece.map_while(|bytes| region.allocate(bytes).ok()).collect();
        held.retain(|_| random.usize(..3) > 0);
        let hole = kernel::region(NODE)?.largest_free;
        let asked = hole + page();
        let refused = allocator.allocate2(&camera(asked), 1);
        let said = refused.map(drop).map_err(|status| status.to_string()).unwrap_err();
        let [asked, hole, size, enough] = [asked, hole, size, size + asked].map(Bytes);
        let expected = format!(
            "could not give {asked}: ENOMEM: Out of memory; the largest hole is {hole} of {size}, \
             {enough} would have held this"
        );
        assert!(said.contains(&expected), "with seed {seed}: {said}\nand not: {expected}");
        let heaps = report()?["heaps"].take();
        let of_camera = |heap: &&serde_json::Value| heap["name"] == "camera";
        let heap = heaps.as_array().and_then(|heaps| heaps.iter().find(of_camera));
        let holders = heap.map(|heap| heap["last_holders"].clone()).unwrap_or_default();
        assert_eq!(holders, format!("uid 0 holds {OURS} MiB in {OURS} buffers"));
    }
    Ok(())
}

fn out_of_descriptors() -> Test {
    let allocator = connect()?;
    let service = pid()?;
    let in_use = fs::read_dir(format!("/proc/{service}/fd"))?.count() as u64;
    let before = limit_descriptors(service, in_use + 3)?;
    // More than the service can have in hand, whatever it was about to close.
    let refused = allocator.allocate2(&good(), 64);
    limit_descriptors(service, before)?;
    assert_eq!(refusal(refused)?, NO_RESOURCES);
    assert_eq!(allocator.allocate2(&good(), 8)?.buffers.len(), 8);
    Ok(())
}

/// Sets the soft limit of another process; returns what it was.
fn limit_descriptors(pid: u32, limit: u64) -> Result<u64, Box<dyn Error>> {
    let pid = libc::pid_t::try_from(pid)?;
    let mut old = libc::rlimit { rlim_cur: 0, rlim_max: 0 };
    // SAFETY: without a new limit the call only writes to `old`, which outlives it.
    let read = unsafe { libc::prlimit(pid, libc::RLIMIT_NOFILE, std::ptr::null(), &raw mut old) };
    nix::errno::Errno::result(read)?;
    let new = libc::rlimit { rlim_cur: limit, ..old };
    // SAFETY: the call reads `new`, which outlives it, and is to write nothing.
    let written =
        unsafe { libc::prlimit(pid, libc::RLIMIT_NOFILE, &raw const new, std::ptr::null_mut()) };
    nix::errno::Errno::result(written)?;
    Ok(old.rlim_cur)
}

/// Kills the service a little later in its work each time, until three requests were cut off.
fn killed_at_work() -> Test {
    const KILLS_AT_MOST: u64 = 50;
    let mut cut_off = 0;
    for kill in 0..KILLS_AT_MOST {
        let allocator = connect()?;
        let service = pid()?;
        let (begin, begun) = mpsc::channel();
        let client = thread::spawn(move || {
            begin.send(()).is_ok() && allocator.allocate2(&framebuffer(64 * MIB), 1).is_ok()
        });
        begun.recv()?;
        sleep(Duration::from_millis(kill % 10));
        kill_service(service)?;
        // An answer that came before the end is one; the buffer goes with it.
        cut_off += u32::from(!client.join().map_err(|_| "the client panicked")?);
        wait_for_successor(service)?;
        if cut_off == 3 {
            return Ok(());
        }
    }
    Err(format!("{KILLS_AT_MOST} kills met the work {cut_off} times").into())
}

fn kill_service(pid: u32) -> Test {
    Ok(kill(Pid::from_raw(i32::try_from(pid)?), Signal::SIGKILL)?)
}
