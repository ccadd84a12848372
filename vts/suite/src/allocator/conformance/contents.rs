// SPDX-License-Identifier: Apache-2.0
//! What is in a new buffer: zeroes, whoever had the memory before.

use std::thread;

use dmaheap_aidl::allocator::BufferDescriptorInfo;
use dmaheap_aidl::common::{BufferUsage, NativeHandle};
use dmaheap_buffer::Usage;
use libtest_mimic::Trial;

use crate::harness::{self, Outcome, wait_for_line};
use crate::imapper::{Mapper, RawHandle};
use crate::service::{CPU, connect, good, refusal, trial};

pub fn trials() -> Vec<Trial> {
    vec![
        trial("content::is_zero_at_first", || require_zero(&take()?)),
        trial("content::is_zero_after_another_uid_had_the_memory", after_another_uid),
    ]
}

/// An app's uid.
const APP: u32 = 10_004;

/// Uses that an allocator may serve from memory of different kinds, all open to the CPU.
const KINDS: [BufferUsage; 4] = [
    CPU,
    BufferUsage(CPU.0 | BufferUsage::GPU_TEXTURE.0),
    BufferUsage(CPU.0 | BufferUsage::COMPOSER_CLIENT_TARGET.0 | BufferUsage::COMPOSER_OVERLAY.0),
    BufferUsage(CPU.0 | BufferUsage::CAMERA_OUTPUT.0),
];

/// Of each kind; 4 MiB each.
const BUFFERS: i32 = 4;

/// Buffers of every kind that the device has.
fn take() -> Result<Vec<NativeHandle>, Box<dyn std::error::Error>> {
    let allocator = connect()?;
    let mut taken = Vec::new();
    for usage in KINDS {
        let descriptor = BufferDescriptorInfo { width: 1024, height: 1024, usage, ..good() };
        if allocator.isSupported(&descriptor)? {
            taken.extend(allocator.allocate2(&descriptor, BUFFERS)?.buffers);
        } else {
            refusal(allocator.allocate2(&descriptor, BUFFERS))?;
        }
    }
    if taken.is_empty() { Err("no buffer for the CPU".into()) } else { Ok(taken) }
}

fn require_zero(buffers: &[NativeHandle]) -> Outcome {
    let mapper = Mapper::load()?;
    for (number, buffer) in buffers.iter().enumerate() {
        let buffer = mapper.import(&RawHandle::clone_of(buffer)?)?;
        let stale = |pixels: &mut [u8]| pixels.iter().position(|byte| *byte != 0);
        let stale = buffer.with_pixels(Usage::CPU_READ_OFTEN, stale)?;
        assert_eq!(stale, None, "buffer {number}: the first byte that is not zero");
    }
    Ok(())
}

/// Role: fills what it gets, and waits to be killed.
pub fn scribble() -> Outcome {
    let mapper = Mapper::load()?;
    let taken = take()?;
    for buffer in &taken {
        let buffer = mapper.import(&RawHandle::clone_of(buffer)?)?;
        buffer.with_pixels(Usage::CPU_WRITE_OFTEN, |pixels| pixels.fill(0xa5))?;
    }
    println!("{} buffers", taken.len());
    loop {
        thread::park();
    }
}

fn after_another_uid() -> Outcome {
    for _ in 0..3 {
        let mut app = harness::start("scribble", APP, APP)?;
        wait_for_line(&mut app)?;
        app.kill()?;
        app.wait()?;
        // At once, while its memory is still warm.
        require_zero(&take()?)?;
    }
    Ok(())
}
