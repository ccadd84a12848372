// SPDX-License-Identifier: Apache-2.0
//! Which heap serves what, and what the service tells of it.

use std::error::Error;

use dmaheap_buffer::{Format, Usage};
use libtest_mimic::Trial;
use serde_json::Value;

use crate::baseline;
use crate::client::{Buffer, Client, Request};
use crate::pressure::page;
use crate::service::{report, trial};

type Test = Result<(), Box<dyn Error>>;

pub fn trials() -> Vec<Trial> {
    vec![
        trial("report::every_heap_serves_its_rule", every_heap_serves_its_rule),
        trial("report::dump_counts_live_buffers", live_buffers),
        trial("report::dump_shows_the_kernels_count_of_cma_pages", cma_pages),
        trial("report::dump_shows_the_drivers_state", region),
        trial("report::contiguous_heaps_give_one_segment", contiguous_heaps),
    ]
}

/// Uses, the heap that the board's policy has for each, and the side of a square that is larger
/// than what other memory would give in one piece: a megabyte, but for the small heap.
const SERVED: [(Usage, &str, i32); 5] = [
    (Usage::CPU_READ_OFTEN, "system", 128),
    (Usage::COMPOSER_CLIENT_TARGET, "framebuffer", 1600),
    (Usage::FRONT_BUFFER.union(Usage::COMPOSER_OVERLAY), "framebuffer", 1600),
    (Usage::CAMERA_OUTPUT, "camera", 1600),
    (Usage::COMPOSER_CURSOR, "fixed", 256),
];

/// A square for this use.
pub fn allocate(usage: Usage, side: i32) -> Result<Buffer, Box<dyn Error>> {
    let format = Format::from_name("RGBA_8888")?;
    let request = Request { name: "report", width: side, height: side, format, usage };
    Ok(Client::connect()?.allocate(&request)?)
}

fn every_heap_serves_its_rule() -> Test {
    for (usage, heap, side) in SERVED {
        let buffer = allocate(usage, side).map_err(|e| format!("{usage}: {e}"))?;
        let origin = &buffer.header.origin;
        assert_eq!(origin.heap, heap, "{usage}");
        assert_eq!(buffer.pixels.exporter()?, origin.node, "{usage}");
    }
    Ok(())
}

/// What the dump says of a heap.
pub fn heap(name: &str) -> Result<Value, Box<dyn Error>> {
    let report = report()?;
    let heaps = report["heaps"].as_array().ok_or("the dump lists no heaps")?;
    let heap = heaps.iter().find(|heap| heap["name"] == name);
    Ok(heap.cloned().ok_or(format!("the dump has no heap {name}"))?)
}

fn live_buffers() -> Test {
    let count = || -> Result<u64, Box<dyn Error>> {
        let camera = heap("camera")?;
        Ok(camera["live_buffers"].as_u64().ok_or(format!("no count of buffers in {camera}"))?)
    };
    let held = allocate(Usage::CAMERA_OUTPUT, 128)?;
    let with_one = count()?;
    let more = allocate(Usage::CAMERA_OUTPUT, 128)?;
    assert_eq!(count()?, with_one + 1);
    drop(more);
    baseline::require_same(&with_one, count)?;
    drop(held);
    Ok(())
}

fn region() -> Test {
    let number = |name: &str| -> Result<u64, Box<dyn Error>> {
        let camera = heap("camera")?;
        let number = camera["kernel_region"][name].as_u64();
        Ok(number.ok_or(format!("no {name} of the region in {camera}"))?)
    };
    assert_eq!((number("size")?, number("held")?), (64 << 20, 64 << 20));
    let (buffers, used) = (number("buffers")?, number("used")?);
    let held = allocate(Usage::CAMERA_OUTPUT, 512)?;
    let with_one = (buffers + 1, used + held.pixels.size()? as u64);
    assert_eq!((number("buffers")?, number("used")?), with_one);
    Ok(())
}

fn cma_pages() -> Test {
    let allocated = || -> Result<u64, Box<dyn Error>> {
        let framebuffer = heap("framebuffer")?;
        let counted = framebuffer["kernel_cma"]["pages_allocated"].as_u64();
        Ok(counted.ok_or(format!("no count of CMA pages in {framebuffer}"))?)
    };
    let before = allocated()?;
    // Larger than what the page allocator serves in the region's place.
    let buffer = allocate(Usage::COMPOSER_CLIENT_TARGET, 512)?;
    assert_eq!(allocated()?, before + (1 << 20) / page(), "pages for {buffer:?}");
    Ok(())
}

/// As a device sees each buffer, and not as the allocator claims.
fn contiguous_heaps() -> Test {
    let mut contiguous = 0;
    for (usage, name, side) in SERVED {
        if heap(name)?["contiguous"] == true {
            let buffer = allocate(usage, side)?;
            assert_eq!(buffer.pixels.physical_segments()?.len(), 1, "{name}");
            contiguous += 1;
        }
    }
    assert_eq!(contiguous, 4, "uses whose heap the board's policy calls contiguous");
    Ok(())
}
