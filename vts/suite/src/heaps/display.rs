// SPDX-License-Identifier: Apache-2.0
//! A display that scans out one range of physical memory, and a device behind an IOMMU that takes
//! any: the two consumers between whom a heap is chosen.

use std::os::fd::AsRawFd;
use std::path::Path;

use libtest_mimic::Trial;

use super::heap::{Heap, trial};
use crate::display::{self, Display, Frame, Refusal};
use crate::dmabuf::{DmaBuf, PCI_PROBE};
use crate::harness::{self, Outcome, effort, skip, wait_for_line};
use crate::heap::scattered;

const STRIDE: u32 = 4 * display::WIDTH;
const SIZE: u64 = (STRIDE * display::HEIGHT) as u64;

/// What a client has in its ring, and shows before it dies.
const RING: usize = 3;
const FLIPS: u64 = 200;

pub fn trials() -> Vec<Trial> {
    vec![
        trial("display::shows_memory_of_every_region", shown),
        trial("display::refuses_scattered_memory", refused),
        trial("display::is_free_again_after_clients_that_died", clients_that_die),
        trial("device::behind_an_iommu_has_scattered_memory_in_one_range", one_range),
    ]
}

/// A region too small for a frame has nothing to show.
fn shown() -> Outcome {
    let display = Display::open()?;
    for region in Heap::regions()? {
        if region.count("size")? < SIZE {
            continue;
        }
        let buffers = [region.buffer(SIZE)?, region.buffer(SIZE)?];
        let frames = buffers.each_ref().map(|buffer| display.import(buffer.as_raw_fd(), STRIDE));
        for frame in frames {
            frame.and_then(|frame| frame.show()).map_err(|error| format!("{region}: {error}"))?;
        }
    }
    Ok(())
}

fn scattered_frame() -> Result<DmaBuf, Box<dyn std::error::Error>> {
    let system = Heap::open("system")?;
    scattered(|| Ok(system.buffer(SIZE)?), |buffer| buffer)
}

/// By the import, before there is anything to show; and the same bytes in one piece are shown.
fn refused() -> Outcome {
    let display = Display::open()?;
    let buffer = scattered_frame()?;
    buffer.map()?.fill(|offset| (offset / 4) as u8)?;
    match display.import(buffer.as_raw_fd(), STRIDE) {
        Err(Refusal::Import(nix::Error::EINVAL)) => {}
        other => {
            let pieces = buffer.physical_segments()?.len();
            return Err(format!("{pieces} pieces, and the display says {other:?}").into());
        }
    }
    let bytes = buffer.map()?.read()?;
    let whole = Heap::default_region()?.buffer(SIZE)?;
    whole.map()?.fill(|offset| bytes[offset])?;
    display.import(whole.as_raw_fd(), STRIDE)?.show()?;
    Ok(())
}

fn one_range() -> Outcome {
    let device = Path::new("/sys/class/misc/dmabuf_probe_pci/device/iommu_group");
    if !device.exists() {
        return skip(format!("there is no {PCI_PROBE}, or no IOMMU before it"));
    }
    let buffer = scattered_frame()?;
    let [range] = &buffer.segments(PCI_PROBE)?[..] else {
        return Err("behind the IOMMU it is still in pieces".into());
    };
    assert_eq!(range.end - range.start, buffer.size()? as u64);
    Ok(())
}

/// Each is killed with a frame of its own on the screen, in the middle of its flips.
fn clients_that_die() -> Outcome {
    // Who has no display says so here.
    Display::open()?;
    let flips = effort("SUITE_OPERATIONS", 10_000)?;
    for _ in 0..flips.div_ceil(FLIPS) {
        let mut client = harness::start("flip", 0, 0)?;
        wait_for_line(&mut client)?;
        client.kill()?;
        client.wait()?;
    }
    // The screen is nobody's, and not broken.
    let display = Display::open()?;
    let buffer = Heap::default_region()?.buffer(SIZE)?;
    display.import(buffer.as_raw_fd(), STRIDE)?.show()?;
    Ok(())
}

/// Flips a ring of frames until it is killed; says so once it has done enough.
pub fn flip() -> Outcome {
    let display = Display::open()?;
    let region = Heap::default_region()?;
    let buffers: Vec<DmaBuf> = (0..RING).map(|_| region.buffer(SIZE)).collect::<Result<_, _>>()?;
    let import = |buffer: &DmaBuf| display.import(buffer.as_raw_fd(), STRIDE);
    let ring: Vec<Frame> = buffers.iter().map(import).collect::<Result<_, _>>()?;
    for (number, frame) in ring.iter().cycle().enumerate() {
        frame.show()?;
        if number as u64 == FLIPS {
            println!("flipping");
        }
    }
    Ok(())
}
