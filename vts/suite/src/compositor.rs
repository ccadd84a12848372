// SPDX-License-Identifier: Apache-2.0
//! What a compositor does with buffers: draws into framebuffers and shows them in a ring, or shows
//! a camera's frames where the camera wrote them.
//!
//! A buffer's way round: it is drawn or captured into, shown, and free again once the next one is
//! on the screen. Who writes to it earlier tears the picture that is being shown; so each frame is
//! looked at twice, when it comes onto the screen and when it leaves it.

use std::error::Error;
use std::os::fd::AsRawFd;
use std::time::{Duration, Instant};

use dmaheap_buffer::{Format, Usage};

use crate::client::{Buffer, Client, Request};
use crate::display::{self, Display, Frame};
use crate::imapper::{Imported, Mapper};
use crate::v4l2::{self, Device, Direction, Picture};

type Result<T> = std::result::Result<T, Box<dyn Error>>;

/// What SurfaceFlinger asks for its own target, and draws by itself.
pub const FRAMEBUFFER: Usage = Usage::COMPOSER_CLIENT_TARGET
    .union(Usage::COMPOSER_OVERLAY)
    .union(Usage::CPU_WRITE_OFTEN)
    .union(Usage::CPU_READ_OFTEN);
/// What a camera writes and the display shows.
pub const CAMERA: Usage =
    Usage::CAMERA_OUTPUT.union(Usage::COMPOSER_OVERLAY).union(Usage::CPU_READ_OFTEN);

/// Framebuffers in the ring.
const RING: i32 = 3;
/// A camera's: one on the screen, one that comes next, and what the driver wants to have.
const CAMERA_BUFFERS: i32 = 4;

/// One of [`buffers`].
pub fn buffer(client: &Client, name: &str, usage: Usage) -> Result<Buffer> {
    buffers(client, name, usage, 1)?.pop().ok_or_else(|| "the allocator gave none".into())
}

/// Buffers as large as the screen, in its format.
pub fn buffers(client: &Client, name: &str, usage: Usage, count: i32) -> Result<Vec<Buffer>> {
    let format = Format::from_name(display::FORMAT)?;
    let (width, height) = (display::WIDTH as i32, display::HEIGHT as i32);
    Ok(client.allocate_many(&Request { name, width, height, format, usage }, count)?)
}

/// Bytes from row to row.
pub fn stride(buffer: &Buffer) -> u32 {
    buffer.handle.layout.planes().first().map_or(0, |plane| plane.stride.0 as u32)
}

/// The buffer as the display takes it.
pub fn import<'a>(display: &'a Display, buffer: &Buffer) -> Result<Frame<'a>> {
    Ok(display.import(buffer.pixels.as_raw_fd(), stride(buffer))?)
}

/// Draws pictures of these numbers into a ring of framebuffers, through the mapper, and shows each;
/// `shown` hears of each that is on the screen.
pub fn draw(
    numbers: impl Iterator<Item = u64>,
    mut shown: impl FnMut(u64) -> Result<()>,
) -> Result<()> {
    let (display, mapper) = (Display::open()?, Mapper::load()?);
    let buffers = buffers(&Client::connect()?, "framebuffer", FRAMEBUFFER, RING)?;
    let mut ring = Vec::new();
    for buffer in &buffers {
        ring.push((mapper.import(&buffer.to_raw()?)?, import(&display, buffer)?));
    }
    let stride = buffers.first().map_or(0, stride) as usize;
    let mut before = None;
    for (number, (pixels, frame)) in numbers.zip(ring.iter().cycle()) {
        let draw = |memory: &mut [u8]| display::draw(memory, stride, number as u8);
        pixels.with_pixels(Usage::CPU_WRITE_OFTEN, draw)?;
        frame.show()?;
        shown(number)?;
        if let Some((pixels, number)) = before.replace((pixels, number)) {
            still_shows(pixels, stride, number)?;
        }
    }
    Ok(())
}

/// Whether a framebuffer holds the picture that was drawn into it.
fn still_shows(pixels: &Imported, stride: usize, number: u64) -> Result<()> {
    let mut picture = vec![0; stride * display::HEIGHT as usize];
    display::draw(&mut picture, stride, number as u8);
    let is_whole = pixels.with_pixels(Usage::CPU_READ_OFTEN, |memory| *memory == *picture)?;
    if is_whole { Ok(()) } else { Err(format!("picture {number} is torn").into()) }
}

/// What came of a camera's stream.
#[derive(Debug, Default, PartialEq, Eq)]
pub struct Stream {
    /// Frames that were captured, and on the screen.
    pub shown: u32,
    /// Frames that the camera left out because all its buffers were full; a slow machine has many.
    pub left_out: u32,
}

/// Shows what the camera sees for this long, and until every buffer was shown twice: each frame where
/// the camera wrote it. `last` sees the buffer of the last one, while it is on the screen, and what
/// came of the stream.
pub fn show_camera(
    time: Duration,
    last: impl FnOnce(&Buffer, &Stream) -> Result<()>,
) -> Result<Stream> {
    let display = Display::open()?;
    let buffers = buffers(&Client::connect()?, "camera frame", CAMERA, CAMERA_BUFFERS)?;
    let frames = buffers.iter().map(|buffer| import(&display, buffer));
    let frames = frames.collect::<Result<Vec<_>>>()?;
    let camera = start(&buffers)?;
    let mut stream = Stream::default();
    let mut on_screen: Option<(usize, u64)> = None;
    let started = Instant::now();
    while started.elapsed() < time || stream.shown < 2 * CAMERA_BUFFERS as u32 {
        let (index, number) = camera.dequeue_numbered()?;
        let content = sum(&buffers[index])?;
        frames[index].show()?;
        stream.shown += 1;
        stream.left_out = number + 1 - stream.shown;
        if let Some((free, before)) = on_screen.replace((index, content)) {
            if sum(&buffers[free])? != before {
                return Err(format!("the frame before number {number} is torn").into());
            }
            let size = buffers[free].pixels.size()? as u32;
            camera.queue(free as u32, buffers[free].pixels.as_raw_fd(), size)?;
        }
    }
    let (index, content) = on_screen.ok_or("the camera made no frame")?;
    last(&buffers[index], &stream)?;
    if sum(&buffers[index])? != content {
        return Err("the last frame is torn".into());
    }
    camera.stop()?;
    camera.request_buffers(0)?;
    Ok(stream)
}

fn start(buffers: &[Buffer]) -> Result<Device> {
    let picture = Picture { fourcc: display::FOURCC, stride: buffers.first().map_or(0, stride) };
    let pixels: Vec<_> = buffers.iter().map(|buffer| buffer.pixels.as_raw_fd()).collect();
    let select = |device: &Device| device.select_input("HDMI");
    let camera = v4l2::offer(Direction::Capture, picture, &pixels, select)?;
    camera.start()?;
    Ok(camera)
}

/// A sum that differs where contents do, as far as a device's mistakes go.
fn sum(buffer: &Buffer) -> Result<u64> {
    let content = buffer.pixels.map()?.read()?;
    let words = content.chunks_exact(8).map(|word| word.try_into().map_or(0, u64::from_ne_bytes));
    Ok(words.fold(0, |sum: u64, word| sum.rotate_left(5) ^ word))
}
