// SPDX-License-Identifier: Apache-2.0
//! The part of V4L2 that it takes to let a device write to dma-bufs, or read them. Names, numbers
//! and layouts are those of `linux/videodev2.h` and `linux/v4l2-dv-timings.h`.
//!
//! One call per ioctl, each with a structure of the ioctl's own layout that outlives the call.

use std::fs::{self, File};
use std::io;
use std::os::fd::{AsRawFd, RawFd};
use std::path::{Path, PathBuf};

use nix::libc::{c_int, c_ulong, timeval};

/// `V4L2_PIX_FMT_NV12`.
pub const NV12: u32 = u32::from_le_bytes(*b"NV12");

/// Who writes to the buffers; values of `enum v4l2_buf_type`.
#[derive(Debug, Clone, Copy)]
pub enum Direction {
    /// The device.
    Capture = 1,
    /// The CPU; the device reads them.
    Output = 2,
}

const MEMORY_DMABUF: u32 = 4;
const FIELD_NONE: u32 = 1;

/// `struct v4l2_bt_timings`: packed there, and without padding up to the pixel clock.
#[repr(C, packed)]
#[derive(Clone, Copy)]
pub struct BtTimings {
    width: u32,
    height: u32,
    interlaced: u32,
    polarities: u32,
    pixelclock: u64,
    /// Horizontal front porch, sync, back porch; then the same vertically, then of a second field.
    porches: [u32; 9],
    standards: u32,
    flags: u32,
    reserved: [u32; 14],
}

/// `struct v4l2_dv_timings` with its only type, BT.656/1120.
#[derive(Clone, Copy)]
#[repr(C, packed)]
pub struct DvTimings {
    kind: u32,
    bt: BtTimings,
    // The kernel's union is as large as its reserved array.
    rest: [u8; 128 - size_of::<BtTimings>()],
}

/// CEA-861's 1920x1080 at 60 Hz, progressive.
pub const CEA_1920X1080P60: DvTimings = DvTimings {
    kind: 0,
    bt: BtTimings {
        width: 1920,
        height: 1080,
        interlaced: 0,
        polarities: 3,
        pixelclock: 148_500_000,
        porches: [88, 44, 148, 4, 5, 36, 0, 0, 0],
        standards: 1,
        flags: 0,
        reserved: [0; 14],
    },
    rest: [0; 128 - size_of::<BtTimings>()],
};

/// `struct v4l2_input`.
#[repr(C)]
struct Input {
    index: u32,
    name: [u8; 32],
    kind: u32,
    audioset: u32,
    tuner: u32,
    std: u64,
    status: u32,
    capabilities: u32,
    reserved: [u32; 3],
}

/// `struct v4l2_queryctrl`.
#[repr(C)]
struct QueryControl {
    id: u32,
    kind: u32,
    name: [u8; 32],
    /// Minimum, maximum, step, default.
    range: [i32; 4],
    flags: u32,
    reserved: [u32; 2],
}

/// Asks for the control after `id`.
const CTRL_FLAG_NEXT_CTRL: u32 = 0x8000_0000;

/// `struct v4l2_control`.
#[repr(C)]
struct Control {
    id: u32,
    value: i32,
}

/// `struct v4l2_format` with `struct v4l2_pix_format` in its union, which pointers align.
#[repr(C)]
struct PixFormat {
    kind: u32,
    _align: [c_ulong; 0],
    width: u32,
    height: u32,
    pixelformat: u32,
    field: u32,
    bytesperline: u32,
    sizeimage: u32,
    rest: [u8; 200 - 24],
}

/// `struct v4l2_requestbuffers`.
#[repr(C)]
struct RequestBuffers {
    count: u32,
    kind: u32,
    memory: u32,
    capabilities: u32,
    flags_and_reserved: u32,
}

/// `struct v4l2_buffer` with a dma-buf's descriptor in its union.
#[repr(C)]
struct BufferInfo {
    index: u32,
    kind: u32,
    bytesused: u32,
    flags: u32,
    field: u32,
    timestamp: timeval,
    timecode: [u32; 4],
    sequence: u32,
    memory: u32,
    fd: c_ulong,
    length: u32,
    reserved2: u32,
    request_fd: u32,
}

const _: () = assert!(size_of::<DvTimings>() == 132);
const _: () = assert!(size_of::<Input>() == 80);
const _: () = assert!(size_of::<RequestBuffers>() == 20);
const _: () = assert!(size_of::<QueryControl>() == 68);
#[cfg(target_pointer_width = "64")]
const _: () = assert!(size_of::<PixFormat>() == 208 && size_of::<BufferInfo>() == 88);

mod ioctl {
    use super::*;
    nix::ioctl_readwrite!(s_fmt, b'V', 5, PixFormat);
    nix::ioctl_readwrite!(reqbufs, b'V', 8, RequestBuffers);
    nix::ioctl_readwrite!(qbuf, b'V', 15, BufferInfo);
    nix::ioctl_readwrite!(dqbuf, b'V', 17, BufferInfo);
    nix::ioctl_write_ptr!(streamon, b'V', 18, c_int);
    nix::ioctl_write_ptr!(streamoff, b'V', 19, c_int);
    nix::ioctl_readwrite!(enuminput, b'V', 26, Input);
    nix::ioctl_readwrite!(s_ctrl, b'V', 28, Control);
    nix::ioctl_readwrite!(queryctrl, b'V', 36, QueryControl);
    nix::ioctl_readwrite!(s_input, b'V', 39, c_int);
    nix::ioctl_readwrite!(s_output, b'V', 47, c_int);
    nix::ioctl_readwrite!(s_dv_timings, b'V', 87, DvTimings);
}

/// vivid's node for this direction. Its number depends on what else is in the kernel, its name does
/// not.
pub fn find_vivid(direction: Direction) -> io::Result<PathBuf> {
    let end = match direction {
        Direction::Capture => "vid-cap",
        Direction::Output => "vid-out",
    };
    for node in fs::read_dir("/sys/class/video4linux")? {
        let node = node?;
        let name = fs::read_to_string(node.path().join("name"))?;
        if name.starts_with("vivid") && name.trim_end().ends_with(end) {
            return Ok(Path::new("/dev").join(node.file_name()));
        }
    }
    Err(io::Error::new(io::ErrorKind::NotFound, format!("no vivid {end} node")))
}

/// How pictures of 1920 x 1080 lie in memory.
#[derive(Debug, Clone, Copy)]
pub struct Picture {
    /// Format, by V4L2's code.
    pub fourcc: u32,
    /// Bytes from row to row, of the first plane.
    pub stride: u32,
}

/// Luma, and then both chroma components side by side.
pub const NV12_1080P: Picture = Picture { fourcc: NV12, stride: 1920 };

/// Opens vivid and gives it these dma-bufs, which hold such pictures.
pub fn offer(
    direction: Direction,
    picture: Picture,
    buffers: &[RawFd],
    select: impl FnOnce(&Device) -> io::Result<()>,
) -> io::Result<Device> {
    let device = Device::open(&find_vivid(direction)?, direction)?;
    select(&device)?;
    device.set_timings(&CEA_1920X1080P60)?;
    let size = device.set_format(1920, 1080, picture.stride, picture.fourcc)?;
    device.request_buffers(buffers.len() as u32)?;
    for (index, buffer) in buffers.iter().enumerate() {
        device.queue(index as u32, *buffer, size)?;
    }
    Ok(device)
}

/// A video node. Closing it stops the stream and drops the buffers.
#[derive(Debug)]
pub struct Device {
    node: File,
    direction: Direction,
}

impl Device {
    /// Opens a node of this direction.
    pub fn open(node: &Path, direction: Direction) -> io::Result<Self> {
        let node = File::options().read(true).write(true).open(node)?;
        Ok(Self { node, direction })
    }

    fn fd(&self) -> RawFd {
        self.node.as_raw_fd()
    }

    fn kind(&self) -> u32 {
        self.direction as u32
    }

    /// Selects an output by its number.
    pub fn select_output(&self, index: c_int) -> io::Result<()> {
        let mut selected = index;
        // SAFETY: the ioctl reads and writes an int.
        unsafe { ioctl::s_output(self.fd(), &raw mut selected) }?;
        Ok(())
    }

    /// Sets the first control whose name ends with `name`.
    pub fn set_control(&self, name: &str, value: i32) -> io::Result<()> {
        let mut id = 0;
        loop {
            let mut found = QueryControl {
                id: id | CTRL_FLAG_NEXT_CTRL,
                kind: 0,
                name: [0; 32],
                range: [0; 4],
                flags: 0,
                reserved: [0; 2],
            };
            // SAFETY: `found` is a v4l2_queryctrl; ends with EINVAL after the last one.
            unsafe { ioctl::queryctrl(self.fd(), &raw mut found) }?;
            id = found.id;
            let its_name = String::from_utf8_lossy(&found.name);
            if its_name.trim_end_matches('\0').ends_with(name) {
                let mut control = Control { id, value };
                // SAFETY: `control` is a v4l2_control.
                unsafe { ioctl::s_ctrl(self.fd(), &raw mut control) }?;
                return Ok(());
            }
        }
    }

    /// Selects the first input whose name starts with `name`.
    pub fn select_input(&self, name: &str) -> io::Result<()> {
        for index in 0.. {
            let mut input = Input {
                index,
                name: [0; 32],
                kind: 0,
                audioset: 0,
                tuner: 0,
                std: 0,
                status: 0,
                capabilities: 0,
                reserved: [0; 3],
            };
            // SAFETY: `input` is a v4l2_input; ends with EINVAL after the last one.
            unsafe { ioctl::enuminput(self.fd(), &raw mut input) }?;
            if input.name.starts_with(name.as_bytes()) {
                let mut selected = index as c_int;
                // SAFETY: the ioctl reads and writes an int.
                unsafe { ioctl::s_input(self.fd(), &raw mut selected) }?;
                return Ok(());
            }
        }
        Err(io::ErrorKind::NotFound.into())
    }

    /// Sets what the source on a digital input sends.
    pub fn set_timings(&self, timings: &DvTimings) -> io::Result<()> {
        let mut timings = *timings;
        // SAFETY: `timings` is a v4l2_dv_timings.
        unsafe { ioctl::s_dv_timings(self.fd(), &raw mut timings) }?;
        Ok(())
    }

    /// Sets a format that must be taken as it is; returns the bytes of a frame.
    pub fn set_format(&self, width: u32, height: u32, stride: u32, fourcc: u32) -> io::Result<u32> {
        let mut format = PixFormat {
            kind: self.kind(),
            _align: [],
            width,
            height,
            pixelformat: fourcc,
            field: FIELD_NONE,
            bytesperline: stride,
            sizeimage: 0,
            rest: [0; 200 - 24],
        };
        // SAFETY: `format` is a v4l2_format whose type selects the member that it has.
        unsafe { ioctl::s_fmt(self.fd(), &raw mut format) }?;
        let got = (format.width, format.height, format.bytesperline, format.pixelformat);
        if got != (width, height, stride, fourcc) {
            return Err(io::Error::other(format!(
                "asked for {width} x {height} of stride {stride}, offered {} x {} of {}",
                got.0, got.1, got.2
            )));
        }
        Ok(format.sizeimage)
    }

    /// Makes room for `count` imported buffers; 0 lets go of all.
    pub fn request_buffers(&self, count: u32) -> io::Result<()> {
        let mut request = RequestBuffers {
            count,
            kind: self.kind(),
            memory: MEMORY_DMABUF,
            capabilities: 0,
            flags_and_reserved: 0,
        };
        // SAFETY: `request` is a v4l2_requestbuffers.
        unsafe { ioctl::reqbufs(self.fd(), &raw mut request) }?;
        Ok(())
    }

    /// Hands the dma-buf `fd` of `length` bytes to the driver as buffer `index`.
    pub fn queue(&self, index: u32, fd: RawFd, length: u32) -> io::Result<()> {
        let mut info = BufferInfo::new(self.direction, index);
        info.fd = fd as c_ulong;
        info.length = length;
        // Only an output's is read.
        info.bytesused = length;
        // SAFETY: `info` is a v4l2_buffer; with MEMORY_DMABUF the union holds a descriptor.
        unsafe { ioctl::qbuf(self.fd(), &raw mut info) }?;
        Ok(())
    }

    /// Waits for a filled buffer; returns its index.
    pub fn dequeue(&self) -> io::Result<usize> {
        Ok(self.dequeue_numbered()?.0)
    }

    /// The same with the number of its frame; one that is left out was lost.
    pub fn dequeue_numbered(&self) -> io::Result<(usize, u32)> {
        let mut info = BufferInfo::new(self.direction, 0);
        // SAFETY: `info` is a v4l2_buffer.
        unsafe { ioctl::dqbuf(self.fd(), &raw mut info) }?;
        Ok((info.index as usize, info.sequence))
    }

    /// Starts to work on the queued buffers.
    pub fn start(&self) -> io::Result<()> {
        let kind = self.direction as c_int;
        // SAFETY: the ioctl reads an int.
        unsafe { ioctl::streamon(self.fd(), &raw const kind) }?;
        Ok(())
    }

    /// Stops, and lets go of the queued buffers.
    pub fn stop(&self) -> io::Result<()> {
        let kind = self.direction as c_int;
        // SAFETY: the ioctl reads an int.
        unsafe { ioctl::streamoff(self.fd(), &raw const kind) }?;
        Ok(())
    }
}

impl BufferInfo {
    fn new(direction: Direction, index: u32) -> Self {
        Self {
            index,
            kind: direction as u32,
            bytesused: 0,
            flags: 0,
            field: 0,
            timestamp: timeval { tv_sec: 0, tv_usec: 0 },
            timecode: [0; 4],
            sequence: 0,
            memory: MEMORY_DMABUF,
            fd: 0,
            length: 0,
            reserved2: 0,
            request_fd: 0,
        }
    }
}
