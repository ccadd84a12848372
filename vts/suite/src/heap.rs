// SPDX-License-Identifier: Apache-2.0
//! A DMA-BUF heap's device node, without any allocator before it.

use std::fs::File;
use std::io;
use std::os::fd::{AsRawFd, FromRawFd, OwnedFd};
use std::path::{Path, PathBuf};

use nix::libc;

mod ioctl {
    /// `struct dma_heap_allocation_data` of `linux/dma-heap.h`.
    #[repr(C)]
    pub struct Allocation {
        pub len: u64,
        pub fd: u32,
        pub fd_flags: u32,
        pub heap_flags: u64,
    }

    nix::ioctl_readwrite!(dma_heap_alloc, b'H', 0, Allocation);
}

/// An open heap.
#[derive(Debug)]
pub struct Heap {
    file: File,
}

impl From<File> for Heap {
    /// Takes a node that is already open.
    fn from(file: File) -> Self {
        Self { file }
    }
}

impl Heap {
    /// Where a heap of this name has its node.
    pub fn path(name: &str) -> PathBuf {
        Path::new("/dev/dma_heap").join(name)
    }

    /// Opens the node; reading is the permission that allocation takes.
    pub fn open(name: &str) -> io::Result<Self> {
        let path = Self::path(name);
        let file = File::open(&path)
            .map_err(|e| io::Error::new(e.kind(), format!("{}: {e}", path.display())))?;
        Ok(Self { file })
    }

    /// A buffer of at least `len` bytes.
    pub fn allocate(&self, len: usize) -> io::Result<OwnedFd> {
        let mut allocation = ioctl::Allocation {
            len: len as u64,
            fd: 0,
            fd_flags: (libc::O_RDWR | libc::O_CLOEXEC) as u32,
            heap_flags: 0,
        };
        // SAFETY: the ioctl reads and writes this structure of its own, which outlives the call.
        unsafe { ioctl::dma_heap_alloc(self.file.as_raw_fd(), &raw mut allocation) }?;
        // SAFETY: the call succeeded, so the descriptor is new and nobody else's.
        Ok(unsafe { OwnedFd::from_raw_fd(allocation.fd as i32) })
    }
}
