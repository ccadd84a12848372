// SPDX-License-Identifier: Apache-2.0
//! What a device needs of a buffer that is for it. The devices here that any Linux may have are
//! V4L2's vivid, a camera that writes to physically contiguous memory only (`vivid.allocators=1`),
//! and a display that reads nothing else.

use std::io;
use std::os::fd::AsRawFd;

use dmaheap_aidl::allocator::BufferDescriptorInfo;
use dmaheap_aidl::common::{BufferUsage, PixelFormat};
use libtest_mimic::Trial;

use crate::display::{self, Display};
use crate::harness::{Outcome, skip};
use crate::service::{connect, good, trial};
use crate::v4l2::{self, Direction, NV12_1080P};

pub fn trials() -> Vec<Trial> {
    vec![
        trial("device::a_camera_takes_the_buffers_for_it", camera_takes_its_buffers),
        trial("device::a_display_shows_the_framebuffers_for_it", display_shows_its_framebuffers),
    ]
}

fn camera_takes_its_buffers() -> Outcome {
    if v4l2::find_vivid(Direction::Capture).is_err() {
        return skip("there is no vivid, the V4L2 camera that needs contiguous memory");
    }
    let frame = BufferDescriptorInfo {
        width: 1920,
        height: 1080,
        format: PixelFormat::YCBCR_420_888,
        usage: BufferUsage::CAMERA_OUTPUT | BufferUsage::GPU_TEXTURE,
        ..good()
    };
    let given = connect()?.allocate2(&frame, 4)?;
    // Where a handle begins with its pixels, as every allocator's that is known does.
    let pixels = given.buffers.iter().filter_map(|buffer| buffer.fds.first());
    let pixels: Vec<_> = pixels.map(|fd| fd.as_ref().as_raw_fd()).collect();
    let camera =
        v4l2::offer(Direction::Capture, NV12_1080P, &pixels, |device| device.select_input("HDMI"))
            .map_err(|error| {
                io::Error::new(error.kind(), format!("the camera refuses: {error}"))
            })?;
    Ok(camera.request_buffers(0)?)
}

/// What SurfaceFlinger asks for to draw into: three, shown in turn.
fn display_shows_its_framebuffers() -> Outcome {
    let display = Display::open()?;
    let frame = BufferDescriptorInfo {
        width: display::WIDTH as i32,
        height: display::HEIGHT as i32,
        format: PixelFormat::BGRA_8888,
        usage: BufferUsage::COMPOSER_CLIENT_TARGET
            | BufferUsage::COMPOSER_OVERLAY
            | BufferUsage::GPU_RENDER_TARGET,
        ..good()
    };
    let allocator = connect()?;
    if !allocator.isSupported(&frame)? {
        return skip("this allocator has no framebuffers of the display's format, BGRA_8888");
    }
    let given = allocator.allocate2(&frame, 3)?;
    let stride = 4 * given.stride as u32;
    let pixels = given.buffers.iter().filter_map(|buffer| buffer.fds.first());
    let ring = pixels.map(|fd| display.import(fd.as_ref().as_raw_fd(), stride));
    let ring = ring.collect::<Result<Vec<_>, _>>()?;
    for frame in ring.iter().cycle().take(4 * ring.len()) {
        frame.show()?;
    }
    Ok(())
}
