// SPDX-License-Identifier: Apache-2.0
//! The system calls that have no safe form: allocating from a DMA-BUF heap,
//! naming a dma-buf, writing to one, and two small
//! questions. Layouts and numbers are those of
//! `linux/dma-heap.h` and `linux/dma-buf.h`.

use std::ffi::{CStr, CString};
use std::num::NonZeroUsize;
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, FromRawFd, OwnedFd};
use std::os::unix::ffi::OsStrExt;
use std::path::Path;
use std::ptr::NonNull;

use dmaheap_buffer::Bytes;
use nix::errno::Errno;
use nix::sys::mman::{MapFlags, ProtFlags, mmap, munmap};

/// Longest name of a dma-buf, with its NUL (`DMA_BUF_NAME_LEN`).
pub const NAME_LEN: usize = 32;

/// `struct dma_heap_allocation_data`.
#[repr(C)]
struct HeapAllocation {
    len: u64,
    fd: u32,
    fd_flags: u32,
    heap_flags: u64,
}

/// `struct dma_buf_sync`.
#[repr(C)]
struct Sync {
    flags: u64,
}

const SYNC_WRITE: u64 = 2;
const SYNC_START: u64 = 0;
const SYNC_END: u64 = 4;

nix::ioctl_readwrite!(dma_heap_ioctl_alloc, b'H', 0, HeapAllocation);
nix::ioctl_write_ptr!(dma_buf_ioctl_sync, b'b', 0, Sync);
nix::ioctl_write_ptr!(dma_buf_set_name, b'b', 1, *const libc::c_char);

/// Allocates a dma-buf of at least `size`. The memory is zero.
pub fn allocate(heap: BorrowedFd<'_>, size: Bytes) -> Result<OwnedFd, Errno> {
    let mut data = HeapAllocation {
        len: size.0,
        fd: 0,
        // Both non-negative constants.
        fd_flags: (libc::O_RDWR | libc::O_CLOEXEC).unsigned_abs(),
        heap_flags: 0,
    };
    // SAFETY: `data` is the structure this request reads and writes, and it
    // lives until the call returns.
    unsafe { dma_heap_ioctl_alloc(heap.as_raw_fd(), &mut data) }?;
    let fd = i32::try_from(data.fd).map_err(|_| Errno::EBADF)?;
    // SAFETY: the request succeeded, so the kernel has just opened this
    // descriptor for us, and nobody else knows of it.
    Ok(unsafe { OwnedFd::from_raw_fd(fd) })
}

/// Gives a dma-buf the name by which it is found in the kernel's lists.
pub fn set_name(buffer: &OwnedFd, name: &CStr) -> Result<(), Errno> {
    // SAFETY: the request takes a pointer to a NUL-terminated string, of which
    // it reads at most NAME_LEN bytes; the string outlives the call.
    unsafe { dma_buf_set_name(buffer.as_raw_fd(), name.as_ptr().cast()) }?;
    Ok(())
}

/// The start of a dma-buf, mapped for writing.
#[derive(Debug)]
pub struct Mapping {
    address: NonNull<libc::c_void>,
    length: NonZeroUsize,
}

// SAFETY: the address is valid in every thread, and only the owner uses it.
unsafe impl Send for Mapping {}

impl Mapping {
    /// Maps `length` bytes.
    pub fn new(buffer: &OwnedFd, length: usize) -> Result<Mapping, Errno> {
        let length = NonZeroUsize::new(length).ok_or(Errno::EINVAL)?;
        let (access, kind) = (ProtFlags::PROT_WRITE, MapFlags::MAP_SHARED);
        // SAFETY: no address is asked for, so the mapping replaces no other.
        let address = unsafe { mmap(None, length, access, kind, buffer, 0) }?;
        Ok(Mapping { address, length })
    }

    /// Copies `data` to its start. `buffer` is the one that was mapped.
    pub fn write(&mut self, buffer: &OwnedFd, data: &[u8]) -> Result<(), Errno> {
        if data.len() > self.length.get() {
            return Err(Errno::EINVAL);
        }
        sync(buffer.as_fd(), SYNC_START | SYNC_WRITE)?;
        let to = self.address.cast::<u8>().as_ptr();
        // SAFETY: the mapping is writable and at least `data.len()` bytes long,
        // and as memory of the kernel's it cannot overlap `data`.
        unsafe { to.copy_from_nonoverlapping(data.as_ptr(), data.len()) };
        sync(buffer.as_fd(), SYNC_END | SYNC_WRITE)
    }
}

impl Drop for Mapping {
    fn drop(&mut self) {
        // SAFETY: mapped by `new` with this length, and no reference to it is
        // ever made. It cannot fail for a whole mapping.
        let _ = unsafe { munmap(self.address, self.length.get()) };
    }
}

fn sync(buffer: BorrowedFd<'_>, flags: u64) -> Result<(), Errno> {
    let sync = Sync { flags };
    // SAFETY: `sync` is the structure this request reads, and it lives until
    // the call returns.
    unsafe { dma_buf_ioctl_sync(buffer.as_raw_fd(), &sync) }?;
    Ok(())
}

/// The SELinux context of a file, where the kernel has SELinux.
pub fn label(path: &Path) -> Option<String> {
    let path = CString::new(path.as_os_str().as_bytes()).ok()?;
    let mut context = vec![0u8; 256];
    // SAFETY: both strings are NUL-terminated, and the kernel writes at most
    // `context.len()` bytes to `context`; both live until the call returns.
    let length = unsafe {
        libc::getxattr(
            path.as_ptr(),
            c"security.selinux".as_ptr(),
            context.as_mut_ptr().cast(),
            context.len(),
        )
    };
    context.truncate(usize::try_from(length).ok()?);
    String::from_utf8(context).ok()
}

/// Lets every other thread run before this one, at once when it wakes up: a low
/// nice value only makes for a small share, taken when it hurts most.
pub fn lower_priority() -> Result<(), Errno> {
    const THIS_THREAD: libc::pid_t = 0;
    let parameters = libc::sched_param { sched_priority: 0 };
    // SAFETY: the call reads `parameters`, which outlives it.
    let result =
        unsafe { libc::sched_setscheduler(THIS_THREAD, libc::SCHED_IDLE, &raw const parameters) };
    Errno::result(result).map(drop)
}
