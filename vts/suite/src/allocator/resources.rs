// SPDX-License-Identifier: Apache-2.0
//! A client that takes too much.

use std::thread;

use dmaheap_aidl::allocator::{AllocationError, BufferDescriptorInfo};
use dmaheap_aidl::common::{BufferUsage, PixelFormat};
use libtest_mimic::Trial;

use crate::harness::{Outcome as Test, start, wait_for_line};
use crate::service::{connect, good, refusal, trial};

/// An app's uid.
const APP: u32 = 10_001;

pub fn trials() -> Vec<Trial> {
    vec![trial("resources::one_uid_cannot_drain_the_camera_heap", one_uid_cannot_drain)]
}

/// A frame of the camera's.
pub fn camera() -> BufferDescriptorInfo {
    BufferDescriptorInfo {
        width: 1920,
        height: 1080,
        format: PixelFormat::YCBCR_420_888,
        usage: BufferUsage::CAMERA_OUTPUT | BufferUsage::GPU_TEXTURE,
        ..good()
    }
}

/// Role: takes camera buffers until refused, and wants it to be soon.
pub fn drain() -> Test {
    let allocator = connect()?;
    let mut held = Vec::new();
    while held.len() < 64 {
        match allocator.allocate2(&camera(), 1) {
            Ok(given) => held.push(given),
            Err(status) => {
                assert_eq!(refusal(Err(status))?, AllocationError::NO_RESOURCES);
                // Somebody else still gets one.
                println!("full");
                loop {
                    thread::park();
                }
            }
        }
    }
    Err("64 camera buffers, and no end".into())
}

fn one_uid_cannot_drain() -> Test {
    let mut greedy = start("drain", APP, APP)?;
    wait_for_line(&mut greedy)?;
    let ours = connect()?.allocate2(&camera(), 2);
    greedy.kill()?;
    greedy.wait()?;
    assert_eq!(ours?.buffers.len(), 2, "nothing left for others");
    Ok(())
}
