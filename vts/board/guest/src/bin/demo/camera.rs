// SPDX-License-Identifier: Apache-2.0
//! The camera: V4L2's vivid, which writes to physically contiguous memory only (it runs with
//! `vivid.allocators=1`, videobuf2's dma-contig).

use std::io;
use std::os::fd::{AsFd, AsRawFd};

use dmaheap_suite::client::Buffer;
use dmaheap_suite::v4l2::{self, Device, Direction};

/// Frames after which the picture is taken: each buffer once around.
const ROUNDS: usize = 2;
/// The only input of vivid that goes up to 1080p.
const INPUT: &str = "HDMI";

/// Why there is no picture.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The driver did not take the buffer.
    #[error("refused at VIDIOC_QBUF: {0}")]
    Refused(io::Error),
    /// Anything else, which no buffer can be blamed for.
    #[error("{doing}: {source}")]
    Camera { doing: &'static str, source: io::Error },
}

trait Doing<T> {
    fn doing(self, doing: &'static str) -> Result<T, Error>;
}

impl<T> Doing<T> for io::Result<T> {
    fn doing(self, doing: &'static str) -> Result<T, Error> {
        self.map_err(|source| Error::Camera { doing, source })
    }
}

/// Captures some frames into `buffers`, which are equal NV12 buffers, and says how many.
pub fn capture(buffers: &[Buffer]) -> Result<usize, Error> {
    let node = v4l2::find_vivid(Direction::Capture).doing("looking for vivid")?;
    let camera = Device::open(&node, Direction::Capture).doing("opening vivid")?;
    let layout = match buffers.first() {
        Some(buffer) => &buffer.handle.layout,
        None => return Err(io::Error::other("no buffers")).doing("capturing"),
    };
    let (width, height) = (layout.extent().width().0, layout.extent().height().0);
    camera.select_input(INPUT).doing("selecting the HDMI input")?;
    camera.set_timings(&v4l2::CEA_1920X1080P60).doing("setting 1080p timings")?;
    let stride = layout.planes().first().map_or(0, |plane| plane.stride.0 as u32);
    let size = camera.set_format(width, height, stride, v4l2::NV12).doing("setting the format")?;
    let room = buffers[0].pixels.size().doing("asking for the buffer's size")?;
    if size as usize > room {
        let why = format!("a frame of {size} bytes does not fit into {room}");
        return Err(io::Error::other(why)).doing("setting the format");
    }

    camera.request_buffers(buffers.len() as u32).doing("VIDIOC_REQBUFS")?;
    for (index, buffer) in buffers.iter().enumerate() {
        queue(&camera, index, buffer).map_err(Error::Refused)?;
    }
    camera.start().doing("VIDIOC_STREAMON")?;
    let frames = buffers.len() * ROUNDS;
    for frame in 0..frames {
        let index = camera.dequeue().doing("VIDIOC_DQBUF")?;
        if frame < frames - buffers.len() {
            queue(&camera, index, &buffers[index]).doing("VIDIOC_QBUF again")?;
        }
    }
    camera.stop().doing("VIDIOC_STREAMOFF")?;
    // Give the buffers back before anyone looks at them.
    camera.request_buffers(0).doing("VIDIOC_REQBUFS")?;
    Ok(frames)
}

fn queue(camera: &Device, index: usize, buffer: &Buffer) -> io::Result<()> {
    camera.queue(index as u32, buffer.pixels.as_fd().as_raw_fd(), buffer.pixels.size()? as u32)
}
