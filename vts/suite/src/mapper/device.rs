// SPDX-License-Identifier: Apache-2.0
//! Devices that read what the CPU wrote through the mapper, and write what it reads: V4L2's vivid,
//! whose HDMI output is wired to its HDMI input.

use std::error::Error;
use std::io;

use dmaheap_aidl::allocator::BufferDescriptorInfo;
use dmaheap_aidl::common::{BufferUsage, PixelFormat};
use dmaheap_buffer::Usage;
use libtest_mimic::Trial;

use super::ground::{Allocation, Ground, Test, trial};
use super::planes::{self, Samples};
use crate::imapper::Imported;
use crate::service::good;
use crate::v4l2::{self, Device, Direction, NV12_1080P};

const WIDTH: u32 = 1920;
const HEIGHT: u32 = 1080;
/// As many as the device wants before it starts.
const BUFFERS: usize = 2;

pub fn trials() -> Vec<Trial> {
    let name = "device::what_the_cpu_writes_a_device_reads_and_back".to_owned();
    vec![trial(name, out_and_in_again)]
}

/// A picture that a camera may fill and the CPU may touch. Contiguous, as vivid wants it.
fn frame(ground: &Ground) -> Result<Allocation, Box<dyn Error>> {
    ground.allocate(BufferDescriptorInfo {
        width: WIDTH as i32,
        height: HEIGHT as i32,
        format: PixelFormat::YCBCR_420_888,
        usage: BufferUsage::CAMERA_OUTPUT
            | BufferUsage::CPU_READ_OFTEN
            | BufferUsage::CPU_WRITE_OFTEN,
        ..good()
    })
}

fn frames(ground: &Ground) -> Result<Vec<Allocation>, Box<dyn Error>> {
    (0..BUFFERS).map(|_| frame(ground)).collect()
}

/// Gives vivid these buffers, and starts it.
fn start(
    direction: Direction,
    buffers: &[Allocation],
    select: impl FnOnce(&Device) -> io::Result<()>,
) -> io::Result<Device> {
    let pixels: Vec<_> = buffers.iter().map(|buffer| buffer.raw.fds()[0]).collect();
    let device = v4l2::offer(direction, NV12_1080P, &pixels, select)?;
    device.start()?;
    Ok(device)
}

fn stop(device: &Device) -> io::Result<()> {
    device.stop()?;
    device.request_buffers(0)
}

fn out_and_in_again(ground: &Ground) -> Test {
    let (sent, received) = (frames(ground)?, frames(ground)?);
    for allocation in &sent {
        let buffer = allocation.import(ground)?;
        let components = components(&buffer)?;
        let fill = |pixels: &mut [u8]| planes::fill(pixels, &components);
        buffer.with_pixels(Usage::CPU_WRITE_OFTEN, fill)?;
    }
    let output = start(Direction::Output, &sent, |device| device.select_output(1))?;
    let input = start(Direction::Capture, &received, |device| {
        device.select_input("HDMI")?;
        // Nothing over the picture.
        device.set_control("OSD Text Mode", 2)?;
        // "Test Pattern Generator", "None", and then the outputs.
        device.set_control("HDMI 000-0 Is Connected To", 2)
    })?;
    let index = input.dequeue();
    stop(&input)?;
    input.set_control("HDMI 000-0 Is Connected To", 0)?;
    input.set_control("OSD Text Mode", 0)?;
    stop(&output)?;

    let buffer = received[index?].import(ground)?;
    let components = components(&buffer)?;
    buffer.with_pixels(Usage::CPU_READ_OFTEN, |pixels| planes::check(pixels, &components))?
}

fn components(buffer: &Imported<'_>) -> Result<[Samples; 3], Box<dyn Error>> {
    let components = planes::ycbcr(buffer)?;
    let [luma, chroma, _] = components;
    // What the device takes for granted.
    assert_eq!((luma.stride, chroma.stride), (WIDTH as usize, WIDTH as usize));
    assert_eq!(chroma.first, (WIDTH * HEIGHT) as usize);
    Ok(components)
}
