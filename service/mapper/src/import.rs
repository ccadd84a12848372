// SPDX-License-Identifier: Apache-2.0
//! One import of a buffer.

use std::os::fd::RawFd;
use std::ptr::NonNull;
use std::sync::atomic::Ordering;

use dmaheap_buffer::handle::{FDS, INTS};
use dmaheap_buffer::header::ORIGIN_SIZE;
use dmaheap_buffer::settable::Shared;
use dmaheap_buffer::standard::Rect;
use dmaheap_buffer::{Bytes, Error as Malformed, Handle, Header, Usage};
use dmaheap_dmabuf::{Access, DmaBuf, LateMapping, Mapping};
use libc::{c_int, c_void};

use crate::error::{Error, Result};
use crate::locks::Locks;
use crate::sys::Fence;

/// What a client's native handle holds, copied: its counts are right, its
/// content is not judged yet.
#[derive(Debug, Clone, Copy)]
pub struct RawHandle {
    /// Pixels and metadata.
    pub fds: [RawFd; FDS],
    /// See [`Handle::decode`].
    pub ints: [c_int; INTS],
}

/// Integers before the descriptors of a native handle: its version, which is
/// the size of this part, and the two counts.
pub const PREFIX: [c_int; 3] = [12, FDS as c_int, INTS as c_int];

/// Integers of a whole native handle.
const WORDS: usize = PREFIX.len().saturating_add(FDS).saturating_add(INTS);

/// A buffer that this process can use.
#[derive(Debug)]
#[repr(C)]
pub struct Import {
    /// The client's native handle, at the address of the import. Its
    /// descriptors are those below.
    native: [c_int; WORDS],
    /// The facts that never change.
    pub handle: Handle,
    /// The allocator's account of it, as it was at import.
    pub header: Header,
    pixels: DmaBuf,
    // Keeps the descriptor in `native` open.
    _metadata: DmaBuf,
    shared: Mapping,
    /// The pixels, from the first lock on.
    mapped: LateMapping,
    locks: Locks,
}

impl Import {
    /// Validates a handle, and makes it usable.
    ///
    /// # Errors
    /// What is wrong with it, or what the kernel refused.
    pub fn new(raw: &RawHandle) -> Result<Import> {
        let [pixels, metadata] = raw.fds;
        if pixels == metadata {
            return Err(Malformed::BadHandle("pixels and metadata are one descriptor").into());
        }
        let pixels = DmaBuf::duplicate(pixels)?;
        let metadata = DmaBuf::duplicate(metadata)?;
        let handle = Handle::admit(&raw.ints, pixels.size(), metadata.size())?;
        let shared = metadata.map(handle.metadata_size())?;
        let header = Header::admit(&copy(&shared), handle.id)?;
        let fds = [pixels.number(), metadata.number()];
        let mut native = [0; WORDS];
        let words = PREFIX.iter().chain(&fds).chain(&raw.ints);
        native.iter_mut().zip(words).for_each(|(to, from)| *to = *from);
        let mapped = LateMapping::new(handle.layout.size());
        Ok(Import {
            native,
            handle,
            header,
            pixels,
            _metadata: metadata,
            shared,
            mapped,
            locks: Locks::default(),
        })
    }

    /// The facts that clients set.
    pub fn settable(&self) -> Result<Shared<'_>> {
        Ok(Shared::new(self.shared.words(self.handle.header_size()))?)
    }

    /// The client's own region, and its size; no address if it has no bytes.
    pub fn reserved(&self) -> (Option<NonNull<c_void>>, Bytes) {
        let size = self.handle.reserved;
        let start = match size {
            Bytes(0) => None,
            _ => self.shared.address(self.handle.header_size()),
        };
        (start, size)
    }

    /// Waits for the fence, and gives the CPU access to the pixels. Returns
    /// the address of the first.
    ///
    /// # Errors
    /// A usage or region the buffer cannot have, a fence that does not signal,
    /// or what the kernel refused.
    pub fn lock(&self, usage: u64, region: Rect, fence: Option<Fence>) -> Result<NonNull<c_void>> {
        let access = self.access(usage)?;
        self.require_inside(region)?;
        fence.map_or(Ok(()), Fence::wait)?;
        let start = self.mapped.get(|size| self.pixels.map(size))?;
        self.pixels.begin(access)?;
        if let Err(error) = self.locks.push(access) {
            self.pixels.end(access)?;
            return Err(error);
        }
        Ok(start)
    }

    /// Ends the newest lock.
    ///
    /// # Errors
    /// [`Error::NotLocked`], or what the kernel refused.
    pub fn unlock(&self) -> Result<()> {
        let access = self.locks.pop().ok_or(Error::NotLocked)?;
        Ok(self.pixels.end(access)?)
    }

    /// Makes what the CPU wrote visible for others; the buffer stays locked.
    ///
    /// # Errors
    /// [`Error::NotLocked`], or what the kernel refused.
    pub fn flush(&self) -> Result<()> {
        self.renew(Access::writes)
    }

    /// Makes what others wrote visible for the CPU; the buffer stays locked.
    ///
    /// # Errors
    /// [`Error::NotLocked`], or what the kernel refused.
    pub fn reread(&self) -> Result<()> {
        self.renew(Access::reads)
    }

    /// Ends the newest lock of this kind, and begins it again.
    fn renew(&self, kind: fn(Access) -> bool) -> Result<()> {
        self.locks.newest_first().next().ok_or(Error::NotLocked)?;
        match self.locks.newest_first().find(|access| kind(*access)) {
            Some(access) => {
                self.pixels.end(access)?;
                Ok(self.pixels.begin(access)?)
            }
            None => Ok(()),
        }
    }

    fn access(&self, bits: u64) -> Result<Access> {
        let lock = Usage::new(bits, 0).ok().filter(|usage| usage.is_only_cpu());
        let lock = lock.ok_or(Error::BadUsage(bits))?;
        let buffer = self.handle.usage;
        if lock.cpu_reads() && !buffer.cpu_reads() || lock.cpu_writes() && !buffer.cpu_writes() {
            return Err(Error::OtherUsage { buffer, lock });
        }
        Access::new(lock).ok_or(Error::BadUsage(bits))
    }

    /// All zeros stand for the whole buffer.
    fn require_inside(&self, region: Rect) -> Result<()> {
        const WHOLE: Rect = Rect { left: 0, top: 0, right: 0, bottom: 0 };
        if region == WHOLE || region.is_inside(self.handle.layout.extent().into()) {
            return Ok(());
        }
        Err(Error::BadRegion)
    }
}

impl Drop for Import {
    /// Ends the locks that a client forgot: the kernel counts them in pairs.
    fn drop(&mut self) {
        while let Some(access) = self.locks.pop() {
            // There is nobody left to tell.
            let _ = self.pixels.end(access);
        }
    }
}

/// A private copy of the header.
fn copy(shared: &Mapping) -> Vec<u8> {
    let words = shared.words(ORIGIN_SIZE).iter();
    words.flat_map(|word| word.load(Ordering::Relaxed).to_ne_bytes()).collect()
}

const _: () = assert!(std::mem::offset_of!(Import, native) == 0);
