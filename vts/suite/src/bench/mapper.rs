// SPDX-License-Identifier: Apache-2.0
//! What the mapper costs above the system calls that it must make.

use std::hint::black_box;
use std::os::fd::{AsRawFd, BorrowedFd};
use std::ptr;
use std::time::Duration;

use dmaheap_aidl::allocator::IAllocator;
use dmaheap_buffer::Type;
use dmaheap_imapper::BufferHandle;
use nix::libc;

use super::{Comparison, Match, Result, timed};
use crate::imapper::{Mapper, RawHandle, WHOLE};
use crate::service;

/// Rounds of each measurement.
const ROUNDS: usize = 2000;

/// Import and free, lock and unlock of a mapped buffer, and a metadata get, each beside the system
/// calls that it cannot do without.
pub fn measure() -> Result<Vec<Comparison>> {
    let mapper = Mapper::load()?;
    let mut given = service::connect()?.allocate2(&service::good(), 1)?;
    let raw = RawHandle::from_binder(given.buffers.pop().ok_or("no buffer")?);
    Ok(vec![import_free(&mapper, &raw)?, lock_unlock(&mapper, &raw)?, get(&mapper, &raw)?])
}

/// The mapper's call and the bare ones, which return nothing.
fn compare(
    name: &str,
    bare_calls: &str,
    target: Option<f64>,
    mut ours: impl FnMut(),
    mut bare: impl FnMut(),
) -> Result<Comparison> {
    let contest = Match {
        name: name.to_owned(),
        ours: "mapper.dmaheap.so",
        baseline: bare_calls,
        rounds: ROUNDS,
        rest: Duration::ZERO,
        target,
    };
    contest.play(
        || {
            timed(|| {
                ours();
                Ok(())
            })
        },
        || {
            timed(|| {
                bare();
                Ok(())
            })
        },
    )
}

fn import_free(mapper: &Mapper, raw: &RawHandle) -> Result<Comparison> {
    let v5 = &mapper.table().v5;
    let ours = || {
        let mut handle = ptr::null();
        // SAFETY: a native handle, and a place for another.
        unsafe { (v5.import_buffer)(raw.as_ptr(), &mut handle) };
        // SAFETY: imported just now.
        unsafe { (v5.free_buffer)(handle) };
    };
    let [pixels, metadata] = [raw.fds()[0], raw.fds()[1]];
    let bare = || {
        // Own descriptors that are known to be dma-bufs of some size, and the header page, read.
        let [one, other] = [pixels, metadata].map(own_dma_buf);
        let page = map(other);
        // SAFETY: just mapped.
        black_box(unsafe { page.cast::<u32>().read_volatile() });
        unmap(page);
        for fd in [one, other] {
            // SAFETY: opened by `own_dma_buf`.
            unsafe { libc::close(fd) };
        }
    };
    compare("import + free", "dup, fstat, mmap, …", Some(1.3), ours, bare)
}

const PAGE: usize = 4096;
/// `DMA_BUF_IOCTL_SYNC`.
const SYNC: libc::c_ulong = 0x4008_6200;
const READ_WRITE: u64 = 3;
const END: u64 = 4;

fn own_dma_buf(fd: i32) -> i32 {
    // SAFETY: the call takes numbers.
    let own = unsafe { libc::fcntl(fd, libc::F_DUPFD_CLOEXEC, 0) };
    let mut status = std::mem::MaybeUninit::<libc::stat>::uninit();
    // SAFETY: a place for what the call writes.
    unsafe { libc::fstat(own, status.as_mut_ptr()) };
    sync(own, 0);
    // SAFETY: the call takes numbers.
    unsafe { libc::lseek(own, 0, libc::SEEK_END) };
    own
}

fn sync(fd: i32, flags: u64) {
    // SAFETY: the request reads a number of 64 bits.
    unsafe { libc::ioctl(fd, SYNC as _, &raw const flags) };
}

fn map(fd: i32) -> *mut libc::c_void {
    let access = libc::PROT_READ | libc::PROT_WRITE;
    // SAFETY: no address is asked for, so the mapping replaces no other.
    unsafe { libc::mmap(ptr::null_mut(), PAGE, access, libc::MAP_SHARED, fd, 0) }
}

fn unmap(page: *mut libc::c_void) {
    // SAFETY: mapped by `map`, and not used any more.
    unsafe { libc::munmap(page, PAGE) };
}

fn lock_unlock(mapper: &Mapper, raw: &RawHandle) -> Result<Comparison> {
    let v5 = &mapper.table().v5;
    let buffer = mapper.import(raw)?;
    let handle: BufferHandle = buffer.handle();
    let ours = || {
        let (mut start, mut fence) = (ptr::null_mut(), -1);
        // SAFETY: imported, no fence, a place for an address.
        unsafe { (v5.lock)(handle, 0x33, WHOLE, -1, &mut start) };
        // SAFETY: imported, a place for a number.
        unsafe { (v5.unlock)(handle, &mut fence) };
    };
    // SAFETY: the handle keeps its descriptors open.
    let fd = unsafe { BorrowedFd::borrow_raw(raw.fds()[0]) };
    let bare = || {
        sync(fd.as_raw_fd(), READ_WRITE);
        sync(fd.as_raw_fd(), READ_WRITE | END);
    };
    compare("lock + unlock", "two SYNC ioctls", Some(1.2), ours, bare)
}

/// Must make no system call, which a trace shows (`tracing::metadata_takes_no_system_call`); the
/// cheapest one there is, to compare.
fn get(mapper: &Mapper, raw: &RawHandle) -> Result<Comparison> {
    let v5 = &mapper.table().v5;
    let buffer = mapper.import(raw)?;
    let handle: BufferHandle = buffer.handle();
    let mut place = [0u8; 512];
    let ours = || {
        let (number, out) = (Type::Dataspace.number(), place.as_mut_ptr());
        // SAFETY: imported, and the place has so many bytes.
        black_box(unsafe { (v5.get_standard_metadata)(handle, number, out.cast(), 512) });
    };
    let bare = || {
        // SAFETY: the call takes nothing.
        black_box(unsafe { libc::syscall(libc::SYS_getppid) });
    };
    compare("getStandardMetadata", "getppid", None, ours, bare)
}
