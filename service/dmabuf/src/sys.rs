// SPDX-License-Identifier: Apache-2.0
//! The ioctls of `linux/dma-heap.h` and `linux/dma-buf.h`, and the other calls
//! of this crate that have no safe form: numbers, layouts, and nothing else.
//!
//! | ioctl | on | takes, of SELinux too | refuses with |
//! |---|---|---|---|
//! | [`heap_alloc`] | a node below `/dev/dma_heap`, open for reading | `chr_file { open read ioctl }` of the node's type | `EINVAL`: length 0 or wrapped, `fd` not 0, other flags than access mode and `O_CLOEXEC`, any heap flag; `ENOMEM`: no such piece is free; `EMFILE`, `ENFILE`: no descriptor; `EINTR`: a fatal signal; `EFAULT` |
//! | [`buf_sync`] | a dma-buf | the descriptor alone | `EINVAL`: no direction, or unknown bits; `EINTR`, `EAGAIN`: a signal while a device's fence is waited for; `EFAULT` |
//! | [`buf_set_name`] | a dma-buf | the descriptor alone | `EINVAL`: 32 bytes or more; `EBUSY` before 5.15: attached to a device; `EFAULT` |
//!
//! All answer `ENOTTY` on what is something else. The memory of a new dma-buf
//! is zero, its size is rounded up to whole pages.

use std::ffi::{CStr, CString, c_char};
use std::os::fd::{FromRawFd, OwnedFd, RawFd};
use std::os::unix::ffi::OsStrExt;
use std::path::Path;

use nix::errno::Errno;

/// `struct dma_heap_allocation_data`.
#[repr(C)]
#[derive(Debug, Clone, Copy)]
pub struct Allocation {
    /// Bytes wanted.
    pub len: u64,
    /// 0; receives the descriptor.
    pub fd: u32,
    /// The descriptor's flags.
    pub fd_flags: u32,
    /// 0.
    pub heap_flags: u64,
}

impl Allocation {
    /// A good one, for `len` bytes.
    pub const fn of(len: u64) -> Allocation {
        const FLAGS: u32 = (libc::O_RDWR | libc::O_CLOEXEC).unsigned_abs();
        Allocation { len, fd: 0, fd_flags: FLAGS, heap_flags: 0 }
    }
}

/// `struct dma_buf_sync`.
#[repr(C)]
#[derive(Debug, Clone, Copy)]
pub struct Sync {
    /// [`SYNC_READ`], [`SYNC_WRITE`] or both; with [`SYNC_END`] the access ends.
    pub flags: u64,
}

/// The CPU reads.
pub const SYNC_READ: u64 = 1;
/// The CPU writes.
pub const SYNC_WRITE: u64 = 2;
/// The access ends; without it, it begins.
pub const SYNC_END: u64 = 4;

/// Longest name of a dma-buf, with its NUL (`DMA_BUF_NAME_LEN`).
pub const NAME_LEN: usize = 32;

nix::ioctl_readwrite!(
    /// `DMA_HEAP_IOCTL_ALLOC`.
    ///
    /// # Safety
    /// If the kernel can write at `data`, an [`Allocation`] must be there.
    heap_alloc, b'H', 0, Allocation
);
nix::ioctl_write_ptr!(
    /// `DMA_BUF_IOCTL_SYNC`.
    ///
    /// # Safety
    /// If the kernel can read at `data`, a [`Sync`] must be there.
    buf_sync, b'b', 0, Sync
);
nix::ioctl_write_ptr!(
    /// `DMA_BUF_SET_NAME_A`; the argument is the string itself.
    ///
    /// # Safety
    /// If the kernel can read at `data`, a NUL-terminated string must be there.
    buf_set_name, b'b', 1, *const c_char
);

/// Takes over the descriptor that a successful [`heap_alloc`] left in its argument.
///
/// # Safety
/// It must just have succeeded with this argument.
pub unsafe fn taken(allocation: &Allocation) -> Result<OwnedFd, Errno> {
    let fd = RawFd::try_from(allocation.fd).map_err(|_| Errno::EBADF)?;
    // SAFETY: the caller's promise: the kernel has just opened this descriptor
    // for us, and nobody else knows of it.
    Ok(unsafe { OwnedFd::from_raw_fd(fd) })
}

/// A descriptor of one's own for what this number means now.
///
/// # Errors
/// `EBADF` if it means nothing, `EMFILE` if there is no room for another.
pub fn duplicate(fd: RawFd) -> Result<OwnedFd, Errno> {
    // SAFETY: the call takes numbers, and answers EBADF to what is not open.
    let new = Errno::result(unsafe { libc::fcntl(fd, libc::F_DUPFD_CLOEXEC, 0) })?;
    // SAFETY: the kernel has just opened it for us; nobody else knows it.
    Ok(unsafe { OwnedFd::from_raw_fd(new) })
}

/// The SELinux context of a file, where the kernel has SELinux.
pub fn label(path: &Path) -> Option<String> {
    const ATTRIBUTE: &CStr = c"security.selinux";
    let path = CString::new(path.as_os_str().as_bytes()).ok()?;
    let mut context = vec![0u8; 256];
    let (to, room) = (context.as_mut_ptr().cast(), context.len());
    // SAFETY: both strings are NUL-terminated, and the kernel writes at most
    // `room` bytes to `context`; all live until the call returns.
    let length = unsafe { libc::lgetxattr(path.as_ptr(), ATTRIBUTE.as_ptr(), to, room) };
    context.truncate(usize::try_from(length).ok()?);
    String::from_utf8(context).ok()
}
