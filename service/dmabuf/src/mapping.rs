// SPDX-License-Identifier: Apache-2.0
//! Memory of a dma-buf in this process.

use std::num::NonZeroUsize;
use std::os::fd::BorrowedFd;
use std::ptr::NonNull;
use std::sync::atomic::{AtomicPtr, AtomicU32, Ordering};

use dmaheap_buffer::Bytes;
use libc::c_void;
use nix::errno::Errno;
use nix::sys::mman::{MapFlags, ProtFlags, mmap, munmap};

/// Shared memory of a dma-buf. Others change it at any time, so there are no
/// references to it but to atomics.
#[derive(Debug)]
pub struct Mapping {
    start: NonNull<c_void>,
    length: NonZeroUsize,
}

// SAFETY: the mapping is memory of the process, not of a thread, and all access
// through it is atomic, or through `&mut`.
unsafe impl Send for Mapping {}
// SAFETY: as above.
unsafe impl Sync for Mapping {}

impl Mapping {
    /// Maps the first `size` bytes, for reading and writing.
    ///
    /// # Errors
    /// `EINVAL` if there are not so many, or none are asked for; what the
    /// kernel refused.
    pub fn new(buffer: BorrowedFd<'_>, size: Bytes) -> nix::Result<Mapping> {
        let length = usize::try_from(size.0).ok().and_then(NonZeroUsize::new);
        let length = length.ok_or(Errno::EINVAL)?;
        let access = ProtFlags::PROT_READ | ProtFlags::PROT_WRITE;
        // SAFETY: no address is asked for, so the mapping replaces no other.
        let start = unsafe { mmap(None, length, access, MapFlags::MAP_SHARED, buffer, 0) }?;
        Ok(Mapping { start, length })
    }

    /// Its first `bytes` as words, or as many as there are.
    pub fn words(&self, bytes: usize) -> &[AtomicU32] {
        const WORD: usize = size_of::<AtomicU32>();
        let count = bytes.min(self.length.get()) / WORD;
        // SAFETY: the mapping starts on a page, has at least as many bytes and
        // lives as long as `self`; any bytes are a value of an atomic word.
        unsafe { std::slice::from_raw_parts(self.start.as_ptr().cast(), count) }
    }

    /// The address of a byte, for the client; `None` if there is no such byte.
    pub fn address(&self, offset: usize) -> Option<NonNull<c_void>> {
        if offset >= self.length.get() {
            return None;
        }
        // SAFETY: the byte is inside the mapping, as was just checked.
        Some(unsafe { self.start.byte_add(offset) })
    }

    /// Copies `data` to its start, before anybody else has the buffer.
    ///
    /// # Errors
    /// `EINVAL` if it is too long.
    pub fn write(&mut self, data: &[u8]) -> nix::Result<()> {
        if data.len() > self.length.get() {
            return Err(Errno::EINVAL);
        }
        let to = self.start.cast::<u8>().as_ptr();
        // SAFETY: the mapping is writable and at least `data.len()` bytes long,
        // and as memory of the kernel's it cannot overlap `data`.
        unsafe { to.copy_from_nonoverlapping(data.as_ptr(), data.len()) };
        Ok(())
    }
}

/// A mapping that is made when it is first wanted. Not a `OnceLock`: whoever is
/// forked while another thread fills one waits for ever.
#[derive(Debug)]
pub struct LateMapping {
    start: AtomicPtr<c_void>,
    size: Bytes,
}

impl LateMapping {
    /// Not made yet; it will be of the first `size` bytes.
    pub fn new(size: Bytes) -> LateMapping {
        LateMapping { start: AtomicPtr::default(), size }
    }

    /// The address of its first byte, which stays. `map` makes it of `size`
    /// bytes, always of the same buffer.
    ///
    /// # Errors
    /// Those of `map`.
    pub fn get<E>(
        &self,
        map: impl FnOnce(Bytes) -> Result<Mapping, E>,
    ) -> Result<NonNull<c_void>, E> {
        if let Some(start) = NonNull::new(self.start.load(Ordering::Acquire)) {
            return Ok(start);
        }
        let mapping = map(self.size)?;
        let (new, none) = (mapping.start, std::ptr::null_mut());
        let first =
            self.start.compare_exchange(none, new.as_ptr(), Ordering::AcqRel, Ordering::Acquire);
        match first.err().and_then(NonNull::new) {
            // Another thread was faster; ours is unmapped again.
            Some(first) => Ok(first),
            None => {
                std::mem::forget(mapping);
                Ok(new)
            }
        }
    }
}

impl Drop for LateMapping {
    fn drop(&mut self) {
        let length = usize::try_from(self.size.0).ok().and_then(NonZeroUsize::new);
        if let (Some(start), Some(length)) = (NonNull::new(*self.start.get_mut()), length) {
            drop(Mapping { start, length });
        }
    }
}

impl Drop for Mapping {
    fn drop(&mut self) {
        // SAFETY: mapped with this length by `new`, and whoever had a reference
        // or an address from here has given it back.
        let unmapped = unsafe { munmap(self.start, self.length.get()) };
        debug_assert_eq!(unmapped, Ok(()));
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used, clippy::indexing_slicing)]
mod tests {
    use std::os::fd::AsFd;
    use std::sync::atomic::Ordering;

    use nix::sys::memfd::{MemFdCreateFlag, memfd_create};
    use nix::unistd::ftruncate;

    use super::*;

    const PAGE: Bytes = Bytes(4096);

    /// Memory that is mapped as a dma-buf's is.
    fn memory() -> std::os::fd::OwnedFd {
        let memory = memfd_create(c"memory", MemFdCreateFlag::MFD_CLOEXEC).unwrap();
        ftruncate(&memory, 4096).unwrap();
        memory
    }

    #[test]
    fn what_is_written_is_there_and_what_is_too_long_is_not() {
        let memory = memory();
        let mut mapping = Mapping::new(memory.as_fd(), PAGE).unwrap();
        mapping.write(&7u32.to_ne_bytes()).unwrap();
        assert_eq!(mapping.words(4)[0].load(Ordering::Relaxed), 7);
        assert_eq!(mapping.write(&[1; 4097]), Err(Errno::EINVAL));
        assert_eq!(mapping.words(4)[0].load(Ordering::Relaxed), 7);
        assert!(mapping.address(4095).is_some() && mapping.address(4096).is_none());
        assert!(Mapping::new(memory.as_fd(), Bytes(0)).is_err());
    }

    #[test]
    fn a_late_mapping_is_made_once_and_not_by_who_fails() {
        let memory = memory();
        let late = LateMapping::new(PAGE);
        assert_eq!(late.get(|_| Err(Errno::ENOMEM)), Err(Errno::ENOMEM));
        let start = late.get(|size| Mapping::new(memory.as_fd(), size)).unwrap();
        assert_eq!(late.get(|_| Err(Errno::ENOMEM)), Ok(start));
    }
}
