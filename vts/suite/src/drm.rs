// SPDX-License-Identifier: Apache-2.0
//! A DRM device that imports buffers. Names, numbers and layouts are those of `drm/drm.h`.

use std::fs::File;
use std::io;
use std::os::fd::{AsRawFd, RawFd};
use std::path::Path;

/// The node of the kernel's vgem, which imports all that it is given, and keeps it.
pub const VGEM: &str = "/dev/dri/renderD128";

mod ioctl {
    /// `struct drm_prime_handle`.
    #[repr(C)]
    pub struct PrimeHandle {
        pub handle: u32,
        pub flags: u32,
        pub fd: i32,
    }

    /// `struct drm_gem_close`.
    #[repr(C)]
    pub struct GemClose {
        pub handle: u32,
        pub pad: u32,
    }

    nix::ioctl_readwrite!(prime_fd_to_handle, b'd', 0x2e, PrimeHandle);
    nix::ioctl_write_ptr!(gem_close, b'd', 0x09, GemClose);
}

/// An open device, with handles of its own.
#[derive(Debug)]
pub struct Card(File);

impl Card {
    /// Opens a node.
    pub fn open(node: &Path) -> io::Result<Self> {
        Ok(Self(File::options().read(true).write(true).open(node)?))
    }

    /// The kernel's vgem.
    pub fn vgem() -> io::Result<Self> {
        Self::open(Path::new(VGEM))
    }

    /// Imports a buffer: attached and mapped until the handle is closed. Again the same buffer is
    /// again the same handle.
    pub fn import(&self, fd: RawFd) -> nix::Result<u32> {
        let mut prime = ioctl::PrimeHandle { handle: 0, flags: 0, fd };
        // SAFETY: the kernel reads and writes a drm_prime_handle, which this is.
        unsafe { ioctl::prime_fd_to_handle(self.0.as_raw_fd(), &raw mut prime) }?;
        Ok(prime.handle)
    }

    /// Lets go of an imported buffer.
    pub fn close(&self, handle: u32) -> nix::Result<()> {
        let close = ioctl::GemClose { handle, pad: 0 };
        // SAFETY: the kernel reads a drm_gem_close, which this is.
        unsafe { ioctl::gem_close(self.0.as_raw_fd(), &raw const close) }?;
        Ok(())
    }

    /// The open file, for what only some devices can.
    pub(crate) fn file(&self) -> &File {
        &self.0
    }
}
