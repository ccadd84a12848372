// SPDX-License-Identifier: Apache-2.0
//! A dma-buf behind a descriptor: what it is, its name, and the bracket around
//! the CPU's access that devices and caches need.

use std::ffi::CStr;
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, OwnedFd, RawFd};

use dmaheap_buffer::{Bytes, Usage};
use nix::errno::Errno;
use nix::sys::stat::{SFlag, fstat};
use nix::unistd::{Whence, lseek64};

use crate::error::{Error, Result};
use crate::mapping::Mapping;
use crate::sys::{self, SYNC_END, SYNC_READ, SYNC_WRITE};

/// Neither direction: every kernel since 4.6 refuses it before it does
/// anything, with EINVAL where everything but a dma-buf says ENOTTY.
const SYNC_NOTHING: u64 = 0;

/// What the CPU does with a buffer.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Access(u64);

impl Access {
    /// Writing and no reading.
    pub const WRITE: Access = Access(SYNC_WRITE);

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

/// A descriptor that is known to be one of a dma-buf, with the size that the
/// kernel gives it. A dma-buf never changes its size.
#[derive(Debug)]
pub struct DmaBuf {
    fd: OwnedFd,
    size: Bytes,
}

impl DmaBuf {
    /// Duplicates a descriptor from a handle.
    ///
    /// The magic number that `fstatfs` gives would be the plainer test, but
    /// SELinux guards it with a permission on the file system, which Android's
    /// policy gives nobody for that of dma-bufs.
    ///
    /// # Errors
    /// If it is not open, or not one of a dma-buf.
    pub fn duplicate(fd: RawFd) -> Result<DmaBuf> {
        let fd = sys::duplicate(fd).map_err(|cause| match cause {
            Errno::EBADF => Error::Closed,
            cause => Error::System { what: "duplicating a descriptor", cause },
        })?;
        require_no_device(fd.as_fd())?;
        match sync(fd.as_fd(), SYNC_NOTHING) {
            Err(Errno::EINVAL) => {}
            _ => return Err(Error::NoDmaBuf),
        }
        let end = lseek64(fd.as_raw_fd(), 0, Whence::SeekEnd).map_err(|_| Error::NoDmaBuf)?;
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
    ///
    /// # Errors
    /// What the kernel refused.
    pub fn begin(&self, access: Access) -> Result<()> {
        let system = |cause| Error::System { what: "starting CPU access", cause };
        begin(self.fd.as_fd(), access).map_err(system)
    }

    /// Makes what the CPU did visible for others.
    ///
    /// # Errors
    /// What the kernel refused.
    pub fn end(&self, access: Access) -> Result<()> {
        let system = |cause| Error::System { what: "ending CPU access", cause };
        end(self.fd.as_fd(), access).map_err(system)
    }

    /// Maps the first `size` bytes.
    ///
    /// # Errors
    /// If they are not there, or the kernel refuses.
    pub fn map(&self, size: Bytes) -> Result<Mapping> {
        let system = |cause| Error::System { what: "mapping a buffer", cause };
        if size > self.size {
            return Err(system(Errno::EINVAL));
        }
        Mapping::new(self.fd.as_fd(), size).map_err(system)
    }
}

/// Makes a dma-buf ready for the CPU.
///
/// # Errors
/// As in the table of [`sys`].
pub fn begin(buffer: BorrowedFd<'_>, access: Access) -> nix::Result<()> {
    sync(buffer, access.0)
}

/// Makes what the CPU did to a dma-buf visible for others.
///
/// # Errors
/// As in the table of [`sys`].
pub fn end(buffer: BorrowedFd<'_>, access: Access) -> nix::Result<()> {
    sync(buffer, access.0 | SYNC_END)
}

/// The number of a dma-buf's file, by which the kernel's lists, `/proc/PID/fdinfo`
/// and traces know it.
///
/// # Errors
/// Those of `fstat`.
pub fn inode(buffer: BorrowedFd<'_>) -> nix::Result<u64> {
    fstat(buffer.as_raw_fd()).map(|stat| stat.st_ino)
}

/// Gives a dma-buf the name by which it is found in the kernel's lists.
///
/// # Errors
/// As in the table of [`sys`].
pub fn set_name(buffer: BorrowedFd<'_>, name: &CStr) -> nix::Result<()> {
    // SAFETY: the request takes a pointer to a NUL-terminated string, of which
    // it reads at most NAME_LEN bytes; the string outlives the call.
    unsafe { sys::buf_set_name(buffer.as_raw_fd(), name.as_ptr().cast()) }.map(drop)
}

/// No driver shall see an ioctl that is not meant for it: a dma-buf's inode
/// has no type, or that of a file on kernels that give every inode one.
fn require_no_device(fd: BorrowedFd<'_>) -> Result<()> {
    let mode = fstat(fd.as_raw_fd()).map_err(|_| Error::NoDmaBuf)?.st_mode;
    match SFlag::from_bits_truncate(mode) & SFlag::S_IFMT {
        kind if kind.is_empty() || kind == SFlag::S_IFREG => Ok(()),
        _ => Err(Error::NoDmaBuf),
    }
}

/// Asks until it is answered: the kernel gives up when a signal comes.
fn sync(fd: BorrowedFd<'_>, flags: u64) -> nix::Result<()> {
    let sync = sys::Sync { flags };
    loop {
        // SAFETY: `sync` is the structure this request reads, and it lives
        // until the call returns.
        match unsafe { sys::buf_sync(fd.as_raw_fd(), &raw const sync) } {
            Err(Errno::EINTR | Errno::EAGAIN) => {}
            other => return other.map(drop),
        }
    }
}
