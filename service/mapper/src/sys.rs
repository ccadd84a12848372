// SPDX-License-Identifier: Apache-2.0
//! The system calls on a buffer's descriptors, and its mappings. Numbers and
//! layouts are those of `linux/dma-buf.h`.

use std::num::NonZeroUsize;
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, FromRawFd, OwnedFd, RawFd};
use std::ptr::NonNull;
use std::sync::atomic::{AtomicPtr, AtomicU32, Ordering};

use dmaheap_buffer::{Bytes, Usage};
use libc::{c_int, c_void};
use nix::errno::Errno;
use nix::poll::{PollFd, PollFlags, PollTimeout, poll};
use nix::sys::mman::{MapFlags, ProtFlags, mmap, munmap};
use nix::sys::stat::{SFlag, fstat};
use nix::unistd::{Whence, lseek64};

use crate::error::{Error, Result};

/// How long a fence may take. Drivers must signal theirs in finite time, and
/// their watchdogs see to it within ten seconds.
const FENCE_MILLISECONDS: u16 = 10_000;

/// `struct dma_buf_sync`.
#[repr(C)]
struct Sync {
    flags: u64,
}

const SYNC_READ: u64 = 1;
const SYNC_WRITE: u64 = 2;
const SYNC_END: u64 = 4;
/// Neither direction: every kernel since 4.6 refuses it before it does
/// anything, with EINVAL where everything but a dma-buf says ENOTTY.
const SYNC_NOTHING: u64 = 0;

nix::ioctl_write_ptr!(dma_buf_ioctl_sync, b'b', 0, Sync);

/// What the CPU does with a buffer while it is locked.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Access(u64);

impl Access {
    /// The access of a usage; `None` if the CPU has no part in it.
    pub fn new(usage: Usage) -> Option<Access> {
        let read = if usage.cpu_reads() { SYNC_READ } else { 0 };
        let write = if usage.cpu_writes() { SYNC_WRITE } else { 0 };
        Some(Access(read | write)).filter(|access| access.0 != 0)
    }

    /// Both directions in two bits, of which one is set at least.
    pub fn bits(self) -> u64 {
        self.0
    }

    /// The access of these bits; `None` if they are those of none.
    pub fn from_bits(bits: u64) -> Option<Access> {
        (1..=SYNC_READ | SYNC_WRITE).contains(&bits).then_some(Access(bits))
    }

    /// Whether it writes.
    pub fn writes(self) -> bool {
        self.0 & SYNC_WRITE != 0
    }

    /// Whether it reads.
    pub fn reads(self) -> bool {
        self.0 & SYNC_READ != 0
    }
}

/// A descriptor of a dma-buf, with the size that the kernel gives it. A
/// dma-buf never changes its size.
#[derive(Debug)]
pub struct DmaBuf {
    fd: OwnedFd,
    size: Bytes,
}

impl DmaBuf {
    /// Duplicates a descriptor from a handle, if it is open and one of a dma-buf.
    ///
    /// The magic number that `fstatfs` gives would be the plainer test, but
    /// SELinux guards it with a permission on the file system, which Android's
    /// policy gives nobody for that of dma-bufs.
    pub fn duplicate(fd: RawFd) -> Result<DmaBuf> {
        let fd = duplicate(fd)?;
        require_no_device(fd.as_fd())?;
        match sync(fd.as_fd(), SYNC_NOTHING) {
            Err(Errno::EINVAL) => {}
            _ => return Err(Error::NoDmaBuf),
        }
        let end = lseek64(&fd, 0, Whence::SeekEnd).map_err(|_| Error::NoDmaBuf)?;
        let size = u64::try_from(end).map(Bytes).map_err(|_| Error::NoDmaBuf)?;
        Ok(DmaBuf { fd, size })
    }

    /// Its real size.
    pub fn size(&self) -> Bytes {
        self.size
    }

    /// The descriptor's number, for the client.
    pub fn number(&self) -> RawFd {
        self.fd.as_raw_fd()
    }

    /// Makes the buffer ready for the CPU.
    pub fn begin(&self, access: Access) -> Result<()> {
        let system = |cause| Error::System { what: "starting CPU access", cause };
        sync(self.fd.as_fd(), access.0).map_err(system)
    }

    /// Makes what the CPU did visible for others.
    pub fn end(&self, access: Access) -> Result<()> {
        let system = |cause| Error::System { what: "ending CPU access", cause };
        sync(self.fd.as_fd(), access.0 | SYNC_END).map_err(system)
    }

    /// Maps the first `size` bytes, which must be there.
    pub fn map(&self, size: Bytes) -> Result<Mapping> {
        let system = |cause| Error::System { what: "mapping a buffer", cause };
        let length = usize::try_from(size.0).ok().and_then(NonZeroUsize::new);
        let length = length.filter(|_| size <= self.size).ok_or(system(Errno::EINVAL))?;
        let access = ProtFlags::PROT_READ | ProtFlags::PROT_WRITE;
        // SAFETY: no address is asked for, so the mapping replaces no other.
        let start = unsafe { mmap(None, length, access, MapFlags::MAP_SHARED, &self.fd, 0) };
        Ok(Mapping { start: start.map_err(system)?, length })
    }
}

fn duplicate(fd: RawFd) -> Result<OwnedFd> {
    // SAFETY: the call takes numbers, and answers EBADF to what is not open.
    let new = unsafe { libc::fcntl(fd, libc::F_DUPFD_CLOEXEC, 0) };
    match Errno::result(new) {
        // SAFETY: the kernel has just opened it for us; nobody else knows it.
        Ok(new) => Ok(unsafe { OwnedFd::from_raw_fd(new) }),
        Err(Errno::EBADF) => Err(Error::Closed),
        Err(cause) => Err(Error::System { what: "duplicating a descriptor", cause }),
    }
}

/// No driver shall see an ioctl that is not meant for it: a dma-buf's inode
/// has no type, or that of a file on kernels that give every inode one.
fn require_no_device(fd: BorrowedFd<'_>) -> Result<()> {
    let mode = fstat(fd).map_err(|_| Error::NoDmaBuf)?.st_mode;
    match SFlag::from_bits_truncate(mode) & SFlag::S_IFMT {
        kind if kind.is_empty() || kind == SFlag::S_IFREG => Ok(()),
        _ => Err(Error::NoDmaBuf),
    }
}

/// Asks until it is answered: the kernel gives up when a signal comes.
fn sync(fd: BorrowedFd<'_>, flags: u64) -> std::result::Result<(), Errno> {
    let sync = Sync { flags };
    loop {
        // SAFETY: `sync` is the structure this request reads, and it lives
        // until the call returns.
        match unsafe { dma_buf_ioctl_sync(fd.as_raw_fd(), &raw const sync) } {
            Err(Errno::EINTR | Errno::EAGAIN) => {}
            other => return other.map(drop),
        }
    }
}

/// Shared memory of a dma-buf. Others change it at any time, so there are no
/// references to it but to atomics.
#[derive(Debug)]
pub struct Mapping {
    start: NonNull<c_void>,
    length: NonZeroUsize,
}

// SAFETY: the mapping is memory of the process, not of a thread, and all access
// through it is atomic.
unsafe impl Send for Mapping {}
// SAFETY: as above.
unsafe impl std::marker::Sync for Mapping {}

impl Mapping {
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
}

impl Drop for Mapping {
    fn drop(&mut self) {
        // SAFETY: mapped with this length by `DmaBuf::map`, and whoever had a
        // reference or an address from here has given it back.
        let unmapped = unsafe { munmap(self.start, self.length.get()) };
        debug_assert_eq!(unmapped, Ok(()));
    }
}

/// The first bytes of a buffer, mapped when they are first wanted. Not a
/// `OnceLock`: whoever is forked while another thread fills one waits for ever.
#[derive(Debug)]
pub struct LateMapping {
    start: AtomicPtr<c_void>,
    size: Bytes,
}

impl LateMapping {
    /// Not mapped yet.
    pub fn new(size: Bytes) -> LateMapping {
        LateMapping { start: AtomicPtr::default(), size }
    }

    /// The address of the first byte; it stays. Always of the same buffer.
    pub fn get(&self, buffer: &DmaBuf) -> Result<NonNull<c_void>> {
        if let Some(start) = NonNull::new(self.start.load(Ordering::Acquire)) {
            return Ok(start);
        }
        let mapping = buffer.map(self.size)?;
        let new = mapping.start;
        let none = std::ptr::null_mut();
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

/// An acquire fence, closed when it is dropped.
#[derive(Debug)]
pub struct Fence(OwnedFd);

impl Fence {
    /// Takes over a client's fence; a negative number is none.
    ///
    /// # Safety
    /// The descriptor, if it is open, is handed over: nobody else closes it.
    pub unsafe fn adopt(fd: c_int) -> Result<Option<Fence>> {
        if fd < 0 {
            return Ok(None);
        }
        // SAFETY: the call takes numbers, and answers EBADF to what is not open.
        if unsafe { libc::fcntl(fd, libc::F_GETFD) } < 0 {
            return Err(Error::BadFence);
        }
        // SAFETY: it is open, and the caller hands it over.
        Ok(Some(Fence(unsafe { OwnedFd::from_raw_fd(fd) })))
    }

    /// Waits until the fence has signalled, whatever the outcome of the work
    /// it stands for.
    pub fn wait(self) -> Result<()> {
        let mut fds = [PollFd::new(self.0.as_fd(), PollFlags::POLLIN)];
        loop {
            match poll(&mut fds, PollTimeout::from(FENCE_MILLISECONDS)) {
                Err(Errno::EINTR) => {}
                Err(cause) => return Err(Error::System { what: "waiting for a fence", cause }),
                Ok(0) => return Err(Error::Late(FENCE_MILLISECONDS)),
                Ok(_) => break,
            }
        }
        let [fd] = fds;
        match fd.revents() {
            Some(events) if events.contains(PollFlags::POLLIN) => Ok(()),
            _ => Err(Error::BadFence),
        }
    }
}
