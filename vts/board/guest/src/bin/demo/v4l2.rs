// SPDX-License-Identifier: Apache-2.0
//! The part of V4L2 that a capture into dma-bufs takes. Names, numbers and layouts are those of
//! `linux/videodev2.h` and `linux/v4l2-dv-timings.h`.
//!
//! All unsafe of the demonstration is here: one call per ioctl, each with a structure of the
//! ioctl's own layout that outlives the call.

use std::fs::File;
use std::io;
use std::os::fd::{AsRawFd, RawFd};
use std::path::Path;

use nix::libc::{c_int, c_ulong, timeval};

/// `V4L2_PIX_FMT_NV12`.
pub const NV12: u32 = u32::from_le_bytes(*b"NV12");

const BUF_TYPE_VIDEO_CAPTURE: u32 = 1;
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
#[repr(C, packed)]
#[derive(Clone, Copy)]
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
    nix::ioctl_readwrite!(s_input, b'V', 39, c_int);
    nix::ioctl_readwrite!(s_dv_timings, b'V', 87, DvTimings);
}

/// A video capture node. Closing it stops the stream and drops the buffers.
pub struct Device(File);

impl Device {
    pub fn open(node: &Path) -> io::Result<Self> {
        File::options().read(true).write(true).open(node).map(Self)
    }

    fn fd(&self) -> RawFd {
        self.0.as_raw_fd()
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
            kind: BUF_TYPE_VIDEO_CAPTURE,
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
            kind: BUF_TYPE_VIDEO_CAPTURE,
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
        let mut info = BufferInfo::new(index);
        info.fd = fd as c_ulong;
        info.length = length;
        // SAFETY: `info` is a v4l2_buffer; with MEMORY_DMABUF the union holds a descriptor.
        unsafe { ioctl::qbuf(self.fd(), &raw mut info) }?;
        Ok(())
    }

    /// Waits for a filled buffer; returns its index.
    pub fn dequeue(&self) -> io::Result<usize> {
        let mut info = BufferInfo::new(0);
        // SAFETY: `info` is a v4l2_buffer.
        unsafe { ioctl::dqbuf(self.fd(), &raw mut info) }?;
        Ok(info.index as usize)
    }

    pub fn start(&self) -> io::Result<()> {
        let kind = BUF_TYPE_VIDEO_CAPTURE as c_int;
        // SAFETY: the ioctl reads an int.
        unsafe { ioctl::streamon(self.fd(), &raw const kind) }?;
        Ok(())
    }

    pub fn stop(&self) -> io::Result<()> {
        let kind = BUF_TYPE_VIDEO_CAPTURE as c_int;
        // SAFETY: the ioctl reads an int.
        unsafe { ioctl::streamoff(self.fd(), &raw const kind) }?;
        Ok(())
    }
}

impl BufferInfo {
    fn new(index: u32) -> Self {
        Self {
            index,
            kind: BUF_TYPE_VIDEO_CAPTURE,
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
