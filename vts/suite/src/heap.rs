// SPDX-License-Identifier: Apache-2.0
//! A DMA-BUF heap's device node, without any allocator before it.

use std::error::Error;
use std::fs::File;
use std::io;
use std::os::fd::{AsRawFd, OwnedFd};
use std::path::{Path, PathBuf};

use dmaheap_dmabuf::sys;

use crate::dmabuf::DmaBuf;

pub use dmaheap_dmabuf::node::FOLDER as NODES;
pub use dmaheap_dmabuf::sys::Allocation as Request;

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
        // SAFETY: the call has just succeeded.
        unsafe { sys::taken(&request) }
    }

    /// Sends the request at an address that may be bad.
    ///
    /// # Safety
    /// If the kernel can write there, a `Request` must be there.
    pub unsafe fn ask_at(&self, request: *mut Request) -> nix::Result<()> {
        // SAFETY: the caller's promise; the kernel itself checks every access.
        unsafe { sys::heap_alloc(self.file.as_raw_fd(), request) }?;
        Ok(())
    }
}

/// What `allocate` takes from the system heap, in more than one piece.
///
/// That heap builds buffers from chunks of up to 1 MiB, which may lie side by side by luck. So take
/// many chunks and give back every second one in physical order: what is allocated next comes from
/// the gaps between those that are held.
pub fn scattered<T>(
    allocate: impl Fn() -> Result<T, Box<dyn Error>>,
    memory: impl Fn(&T) -> &DmaBuf,
) -> Result<T, Box<dyn Error>> {
    const TRIES: usize = 4;
    const CHUNKS: usize = 32;
    let system = Heap::open("system")?;
    let mut held = Vec::new();
    for _ in 0..TRIES {
        let mut chunks = Vec::new();
        for _ in 0..CHUNKS {
            let chunk = DmaBuf::from_heap(system.allocate(1 << 20)?);
            chunks.push((chunk.physical_segments()?.first().map_or(0, |s| s.start), chunk));
        }
        chunks.sort_by_key(|(start, _)| *start);
        held.extend(chunks.into_iter().step_by(2));
        let buffer = allocate()?;
        if memory(&buffer).physical_segments()?.len() > 1 {
            return Ok(buffer);
        }
    }
    Err("memory from the system heap is contiguous whatever is done to it".into())
}
