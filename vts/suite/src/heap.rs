// SPDX-License-Identifier: Apache-2.0
//! A DMA-BUF heap's device node, without any allocator before it.

use std::fs::File;
use std::io;
use std::os::fd::{AsRawFd, FromRawFd, OwnedFd};
use std::path::{Path, PathBuf};

use nix::libc;

/// Where the heaps' nodes are.
pub const NODES: &str = "/dev/dma_heap";

/// `struct dma_heap_allocation_data` of `linux/dma-heap.h`.
#[repr(C)]
#[derive(Debug, Clone, Copy)]
pub struct Request {
    /// Bytes wanted.
    pub len: u64,
    /// 0; receives the descriptor.
    pub fd: u32,
    /// The descriptor's flags.
    pub fd_flags: u32,
    /// 0.
    pub heap_flags: u64,
}

impl Request {
    /// A good one, for `len` bytes.
    pub fn of(len: u64) -> Self {
        let fd_flags = (libc::O_RDWR | libc::O_CLOEXEC) as u32;
        Self { len, fd: 0, fd_flags, heap_flags: 0 }
    }
}

mod ioctl {
    nix::ioctl_readwrite!(dma_heap_alloc, b'H', 0, super::Request);
}

/// An open heap.
#[derive(Debug)]
pub struct Heap {
    /// The name of its node.
    pub name: String,
    file: File,
}

impl Heap {
    /// Where a heap of this name has its node.
    pub fn path(name: &str) -> PathBuf {
        Path::new(NODES).join(name)
    }

    /// Opens the node; reading is the permission that allocation takes.
    pub fn open(name: &str) -> io::Result<Self> {
        let path = Self::path(name);
        let file = File::open(&path)
            .map_err(|e| io::Error::new(e.kind(), format!("{}: {e}", path.display())))?;
        Ok(Self::of(name, file))
    }

    /// Takes the node of this name, which is already open.
    pub fn of(name: &str, file: File) -> Self {
        Self { name: name.to_owned(), file }
    }

    /// A buffer of at least `len` bytes.
    pub fn allocate(&self, len: usize) -> io::Result<OwnedFd> {
        Ok(self.ask(Request::of(len as u64))?)
    }

    /// Sends a request, good or bad, and takes the descriptor that it brings.
    pub fn ask(&self, mut request: Request) -> nix::Result<OwnedFd> {
        // SAFETY: the ioctl reads and writes this structure of its own, which outlives the call.
        unsafe { self.ask_at(&raw mut request) }?;
        // SAFETY: the call succeeded, so the descriptor is new and nobody else's.
        Ok(unsafe { OwnedFd::from_raw_fd(request.fd as i32) })
    }

    /// Sends the request at an address that may be bad.
    ///
    /// # Safety
    /// If the kernel can write there, a `Request` must be there.
    pub unsafe fn ask_at(&self, request: *mut Request) -> nix::Result<()> {
        // SAFETY: the caller's promise; the kernel itself checks every access.
        unsafe { ioctl::dma_heap_alloc(self.file.as_raw_fd(), request) }?;
        Ok(())
    }
}
