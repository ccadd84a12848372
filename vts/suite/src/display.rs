// SPDX-License-Identifier: Apache-2.0
//! A display that scans out one range of physical memory: QEMU's ramfb. Names, numbers and layouts
//! are those of `drm/drm.h` and `drm/drm_mode.h`.
//!
//! A frame's way to the screen: import the dma-buf (PRIME), make a framebuffer of it (ADDFB2), set
//! the mode with the first one and flip to the others. A flip is over when its event is there:
//! the frame before is nobody's then. The screen goes dark with the last open file.

use std::error::Error;
use std::fs;
use std::io::{self, Read};
use std::os::fd::{AsRawFd, RawFd};
use std::path::{Path, PathBuf};

use crate::drm::Card;
use crate::harness::skip;

/// Pixels of a row on this screen.
pub const WIDTH: u32 = 1920;
/// Its rows.
pub const HEIGHT: u32 = 1080;
/// What it shows, by Android's name; the kernel's is `XRGB8888`, because alpha is not looked at.
pub const FORMAT: &str = "BGRA_8888";
/// `DRM_FORMAT_XRGB8888`, and `V4L2_PIX_FMT_XBGR32`.
pub const FOURCC: u32 = u32::from_le_bytes(*b"XR24");

/// `DRM_MODE_PAGE_FLIP_EVENT`.
const FLIP_EVENT: u32 = 1;
/// `DRM_EVENT_FLIP_COMPLETE`.
const FLIP_COMPLETE: u32 = 2;
/// `struct drm_event_vblank`.
const EVENT_SIZE: usize = 32;

mod ioctl {
    /// `struct drm_mode_modeinfo`.
    #[repr(C)]
    #[derive(Clone, Copy)]
    pub struct Mode {
        pub clock: u32,
        /// Displayed, start and end of synchronisation, total, skew.
        pub horizontal: [u16; 5],
        /// The same, and scans.
        pub vertical: [u16; 5],
        pub refresh: u32,
        pub flags: u32,
        pub kind: u32,
        pub name: [u8; 32],
    }

    /// `struct drm_mode_card_res`.
    #[repr(C)]
    #[derive(Default)]
    pub struct Resources {
        pub fbs: u64,
        pub crtcs: u64,
        pub connectors: u64,
        pub encoders: u64,
        /// Of framebuffers, CRTCs, connectors, encoders.
        pub counts: [u32; 4],
        pub limits: [u32; 4],
    }

    /// `struct drm_mode_crtc`.
    #[repr(C)]
    pub struct Crtc {
        pub connectors: u64,
        pub count: u32,
        pub crtc: u32,
        pub fb: u32,
        pub x: u32,
        pub y: u32,
        pub gamma_size: u32,
        pub mode_valid: u32,
        pub mode: Mode,
    }

    /// `struct drm_mode_fb_cmd2`.
    #[repr(C)]
    #[derive(Default)]
    pub struct Framebuffer {
        pub fb: u32,
        pub width: u32,
        pub height: u32,
        pub fourcc: u32,
        pub flags: u32,
        pub handles: [u32; 4],
        pub strides: [u32; 4],
        pub offsets: [u32; 4],
        pub modifiers: [u64; 4],
    }

    /// `struct drm_mode_crtc_page_flip`.
    #[repr(C)]
    pub struct Flip {
        pub crtc: u32,
        pub fb: u32,
        pub flags: u32,
        pub reserved: u32,
        pub user_data: u64,
    }

    nix::ioctl_readwrite!(get_resources, b'd', 0xa0, Resources);
    nix::ioctl_readwrite!(set_crtc, b'd', 0xa2, Crtc);
    nix::ioctl_readwrite!(remove_framebuffer, b'd', 0xaf, u32);
    nix::ioctl_readwrite!(page_flip, b'd', 0xb0, Flip);
    nix::ioctl_readwrite!(add_framebuffer, b'd', 0xb8, Framebuffer);

    const _: () = assert!(size_of::<Mode>() == 68 && size_of::<Resources>() == 64);
    const _: () = assert!(size_of::<Crtc>() == 104 && size_of::<Framebuffer>() == 104);
    const _: () = assert!(size_of::<Flip>() == 24);
}

/// 1920 x 1080, of which the device looks at nothing else.
const MODE: ioctl::Mode = ioctl::Mode {
    clock: 148_500,
    horizontal: [WIDTH as u16, 2008, 2052, 2200, 0],
    vertical: [HEIGHT as u16, 1084, 1089, 1125, 0],
    refresh: 60,
    flags: 0,
    kind: 0,
    name: [0; 32],
};

/// Why a buffer is not shown.
#[derive(Debug, thiserror::Error)]
pub enum Refusal {
    /// The device does not take the memory.
    #[error("refused at PRIME import: {}", .0.desc())]
    Import(nix::Error),
    /// It takes the memory, and not as a picture.
    #[error("refused at ADDFB2: {}", .0.desc())]
    Framebuffer(nix::Error),
    /// It does not show it.
    #[error("not shown: {0}")]
    Show(io::Error),
}

/// The screen, with this process its master.
#[derive(Debug)]
pub struct Display {
    card: Card,
    crtc: u32,
    connector: u32,
}

/// A buffer that the display can show, for as long as this lives.
#[derive(Debug)]
pub struct Frame<'a> {
    display: &'a Display,
    handle: u32,
    fb: u32,
}

/// The node of the display, if there is one.
fn node() -> Option<PathBuf> {
    let cards = fs::read_dir("/sys/class/drm").ok()?;
    let mut paths = cards.filter_map(|card| card.ok().map(|card| card.path()));
    let card = paths.find(|card| {
        // Connectors are there as well, without a driver of their own.
        fs::read_link(card.join("device/driver")).is_ok_and(|driver| driver.ends_with("ramfb"))
    })?;
    Some(Path::new("/dev/dri").join(card.file_name()?))
}

impl Display {
    /// Takes the screen; a test that wants one is skipped where there is none.
    pub fn open() -> Result<Self, Box<dyn Error>> {
        let Some(node) = node() else {
            return skip("there is no display that is known to need contiguous memory (ramfb)");
        };
        let card = Card::open(&node)?;
        let (mut crtc, mut connector) = (0u32, 0u32);
        let mut resources = ioctl::Resources {
            crtcs: &raw mut crtc as u64,
            connectors: &raw mut connector as u64,
            counts: [0, 1, 1, 0],
            ..ioctl::Resources::default()
        };
        // SAFETY: a drm_mode_card_res, whose two lists have room for the one id they are said to.
        unsafe { ioctl::get_resources(card.file().as_raw_fd(), &raw mut resources) }?;
        Ok(Self { card, crtc, connector })
    }

    /// Imports the picture that this buffer begins with, as large as the screen and with rows of
    /// `stride` bytes.
    pub fn import(&self, fd: RawFd, stride: u32) -> Result<Frame<'_>, Refusal> {
        let handle = self.card.import(fd).map_err(Refusal::Import)?;
        let mut frame = Frame { display: self, handle, fb: 0 };
        let mut framebuffer = ioctl::Framebuffer {
            width: WIDTH,
            height: HEIGHT,
            fourcc: FOURCC,
            handles: [handle, 0, 0, 0],
            strides: [stride, 0, 0, 0],
            ..ioctl::Framebuffer::default()
        };
        // SAFETY: the kernel reads and writes a drm_mode_fb_cmd2, which this is.
        unsafe { ioctl::add_framebuffer(self.fd(), &raw mut framebuffer) }
            .map_err(Refusal::Framebuffer)?;
        frame.fb = framebuffer.fb;
        Ok(frame)
    }

    fn fd(&self) -> RawFd {
        self.card.file().as_raw_fd()
    }

    /// Switches the screen on, with this frame.
    fn set(&self, frame: &Frame) -> io::Result<()> {
        let connector = self.connector;
        let mut crtc = ioctl::Crtc {
            connectors: &raw const connector as u64,
            count: 1,
            crtc: self.crtc,
            fb: frame.fb,
            x: 0,
            y: 0,
            gamma_size: 0,
            mode_valid: 1,
            mode: MODE,
        };
        // SAFETY: a drm_mode_crtc with a list of one id, which is alive.
        unsafe { ioctl::set_crtc(self.fd(), &raw mut crtc) }?;
        Ok(())
    }

    fn flip(&self, frame: &Frame) -> io::Result<()> {
        let mut flip = ioctl::Flip {
            crtc: self.crtc,
            fb: frame.fb,
            flags: FLIP_EVENT,
            reserved: 0,
            user_data: u64::from(frame.fb),
        };
        // SAFETY: the kernel reads a drm_mode_crtc_page_flip, which this is.
        unsafe { ioctl::page_flip(self.fd(), &raw mut flip) }?;
        let mut event = [0; EVENT_SIZE];
        self.card.file().read_exact(&mut event)?;
        let number = |at: usize| {
            u32::from_ne_bytes([event[at], event[at + 1], event[at + 2], event[at + 3]])
        };
        // The header, and then what was given along with the flip.
        if (number(0), number(8)) == (FLIP_COMPLETE, frame.fb) {
            return Ok(());
        }
        Err(io::Error::other(format!("after a flip, the event is {event:?}")))
    }
}

impl Frame<'_> {
    /// Shows this frame; the one before is off the screen when this returns.
    pub fn show(&self) -> Result<(), Refusal> {
        // A screen that is dark, or shows something else's mode, cannot be flipped.
        let shown = match self.display.flip(self) {
            Err(error) if error.raw_os_error() == Some(nix::libc::EBUSY) => self.display.set(self),
            other => other,
        };
        shown.map_err(Refusal::Show)
    }
}

impl Drop for Frame<'_> {
    fn drop(&mut self) {
        let mut fb = self.fb;
        // SAFETY: the kernel reads a number. Where there is no such framebuffer nothing is lost.
        let _ = unsafe { ioctl::remove_framebuffer(self.display.fd(), &raw mut fb) };
        let _ = self.display.card.close(self.handle);
    }
}

/// A picture that no two places, and no two numbers, have in common: the pixel at `x`, `y` as it
/// lies in memory. Blue and green count columns and rows; red has what is left of both, and the
/// picture's number.
pub fn pixel(x: u32, y: u32, number: u8) -> [u8; 4] {
    let [blue, left, ..] = x.to_le_bytes();
    let [green, below, ..] = y.to_le_bytes();
    [blue, green, (left | below << 4) ^ number, 0xff]
}

/// Draws that picture, into rows of `stride` bytes.
pub fn draw(pixels: &mut [u8], stride: usize, number: u8) {
    for (y, row) in (0..HEIGHT).zip(pixels.chunks_mut(stride)) {
        for (x, to) in (0..WIDTH).zip(row.chunks_exact_mut(4)) {
            to.copy_from_slice(&pixel(x, y, number));
        }
    }
}
