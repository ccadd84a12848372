// SPDX-License-Identifier: Apache-2.0
//! A device that imports buffers and keeps them: the kernel's vgem.

use std::fs::File;
use std::io;
use std::os::fd::{AsRawFd, RawFd};

/// Its node on the board.
pub const VGEM: &str = "/dev/dri/renderD128";

mod ioctl {
    /// `struct drm_prime_handle` of `drm/drm.h`.
    #[repr(C)]
    pub struct PrimeHandle {
        pub handle: u32,
        pub flags: u32,
        pub fd: i32,
    }

    /// `struct drm_gem_close` of `drm/drm.h`.
    #[repr(C)]
    pub struct GemClose {
        pub handle: u32,
        pub pad: u32,
    }

    nix::ioctl_readwrite!(prime_fd_to_handle, b'd', 0x2e, PrimeHandle);
    nix::ioctl_write_ptr!(gem_close, b'd', 0x09, GemClose);
}

/// The vgem device, with handles of its own in each open file.
#[derive(Debug)]
pub struct Vgem(File);

impl Vgem {
    /// Opens the device.
    pub fn open() -> io::Result<Self> {
        Ok(Self(File::options().read(true).write(true).open(VGEM)?))
    }

    /// Imports a buffer: attached and mapped until the handle is closed.
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
}
