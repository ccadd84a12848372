// SPDX-License-Identifier: Apache-2.0
//! Mappings as the system calls make them, good and bad.

use std::ffi::{c_int, c_void};
use std::num::NonZeroUsize;
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, RawFd};
use std::ptr::NonNull;

use nix::Result;
use nix::sys::mman::{MapFlags, MmapAdvise, ProtFlags};
use nix::sys::mman::{madvise, mmap, mmap_anonymous, mprotect, munmap};

/// For the CPU to read and write.
pub const READ_WRITE: ProtFlags = ProtFlags::PROT_READ.union(ProtFlags::PROT_WRITE);

/// From `linux/mman.h`; the crates do not have it for Android, nor the call's wrapper.
pub const MREMAP_MAYMOVE: c_int = 1;

/// A mapping, which nothing else in this process knows. All of its access is volatile and within
/// its length: devices and other processes may change what is in it.
#[derive(Debug)]
pub struct Memory {
    at: NonNull<c_void>,
    len: usize,
}

// SAFETY: nothing in a mapping belongs to a thread.
unsafe impl Send for Memory {}

impl Memory {
    /// Maps `len` bytes of a buffer, shared.
    pub fn of(buffer: impl AsFd, len: u64) -> Result<Self> {
        Self::map(buffer, len, 0, READ_WRITE, MapFlags::MAP_SHARED)
    }

    /// Maps with the arguments of mmap(2).
    pub fn map(
        buffer: impl AsFd,
        len: u64,
        offset: i64,
        protection: ProtFlags,
        flags: MapFlags,
    ) -> Result<Self> {
        let length = NonZeroUsize::new(len as usize).ok_or(nix::Error::EINVAL)?;
        // SAFETY: the kernel chooses a place where nothing is.
        let at = unsafe { mmap(None, length, protection, flags, buffer, offset) }?;
        Ok(Self { at, len: len as usize })
    }

    /// Maps a buffer by number. Another thread may exchange what the number means, by dup2.
    pub fn of_number(number: RawFd, len: u64) -> Result<Self> {
        // SAFETY: only the kernel uses the number, and it checks it.
        Self::of(unsafe { BorrowedFd::borrow_raw(number) }, len)
    }

    /// Fresh memory of this process, all of it there.
    pub fn anonymous(len: u64) -> Result<Self> {
        let length = NonZeroUsize::new(len as usize).ok_or(nix::Error::EINVAL)?;
        let flags = MapFlags::MAP_PRIVATE | MapFlags::MAP_POPULATE;
        // SAFETY: the kernel chooses a place where nothing is.
        let at = unsafe { mmap_anonymous(None, length, READ_WRITE, flags) }?;
        Ok(Self { at, len: len as usize })
    }

    pub fn address(&self) -> *mut c_void {
        self.at.as_ptr()
    }

    pub fn len(&self) -> usize {
        self.len
    }

    /// The word at `offset` bytes, which must be a multiple of eight.
    pub fn word(&self, offset: usize) -> u64 {
        // SAFETY: `place` checks that the word is in the mapping and aligned.
        unsafe { self.place(offset).read_volatile() }
    }

    /// Writes the word at `offset` bytes, which must be a multiple of eight.
    pub fn set_word(&self, offset: usize, word: u64) {
        // SAFETY: `place` checks that the word is in the mapping and aligned.
        unsafe { self.place(offset).write_volatile(word) }
    }

    fn place(&self, offset: usize) -> *mut u64 {
        assert!(offset.is_multiple_of(8) && offset + 8 <= self.len, "offset {offset}");
        self.at.as_ptr().wrapping_byte_add(offset).cast()
    }

    /// Offsets of all words.
    fn offsets(&self) -> impl Iterator<Item = usize> {
        (0..self.len).step_by(8)
    }

    pub fn fill(&self, word: u64) {
        self.offsets().for_each(|offset| self.set_word(offset, word));
    }

    /// The first word that is not zero, and where.
    pub fn first_not_zero(&self) -> Option<(usize, u64)> {
        self.offsets().map(|offset| (offset, self.word(offset))).find(|(_, word)| *word != 0)
    }

    /// mremap(2) to `len`, from `from` bytes, which need not be all.
    pub fn remap(&mut self, from: usize, len: usize, flags: c_int) -> Result<()> {
        // SAFETY: on success the kernel has moved all that this mapping had.
        let at = unsafe { libc::syscall(libc::SYS_mremap, self.at, from, len, flags) };
        let at = nix::Error::result(at)? as *mut c_void;
        self.at = NonNull::new(at).ok_or(nix::Error::EFAULT)?;
        self.len = len;
        Ok(())
    }

    /// madvise(2) on all of it.
    pub fn advise(&self, advice: MmapAdvise) -> Result<()> {
        // SAFETY: no reference into the mapping exists, so its content may change.
        unsafe { madvise(self.at, self.len, advice) }
    }

    /// mprotect(2) on all of it.
    pub fn protect(&self, protection: ProtFlags) -> Result<()> {
        // SAFETY: no reference into the mapping exists.
        unsafe { mprotect(self.at, self.len, protection) }
    }

    /// Whether the kernel can read at `offset`, which may be beyond the end.
    pub fn is_readable(&self, offset: usize) -> Result<bool> {
        let (_from, to) = nix::unistd::pipe()?;
        let at = self.at.as_ptr().wrapping_byte_add(offset);
        // SAFETY: only the kernel looks there, and it answers EFAULT if nothing is.
        match nix::Error::result(unsafe { libc::write(to.as_raw_fd(), at, 1) }) {
            Ok(_) => Ok(true),
            Err(nix::Error::EFAULT) => Ok(false),
            Err(other) => Err(other),
        }
    }
}

impl Drop for Memory {
    fn drop(&mut self) {
        // SAFETY: the mapping is ours, and nobody has a reference into it.
        if let Err(error) = unsafe { munmap(self.at, self.len) } {
            eprintln!("munmap: {error}");
        }
    }
}
