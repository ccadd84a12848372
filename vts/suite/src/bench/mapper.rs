// SPDX-License-Identifier: Apache-2.0
//! What the mapper costs above the system calls that it must make.
//!
//! Each round does both, one after the other, so that whatever slows the machine slows both.

use std::error::Error;
use std::hint::black_box;
use std::os::fd::{AsRawFd, BorrowedFd};
use std::ptr;
use std::time::{Duration, Instant};

use dmaheap_aidl::allocator::BufferDescriptorInfo;
use dmaheap_buffer::Type;
use dmaheap_mapper::abi::BufferHandle;
use nix::libc;

use crate::allocator::service;
use crate::imapper::{Mapper, RawHandle, WHOLE};

/// Rounds of each measurement.
const ROUNDS: usize = 2000;
/// Rounds before the first that counts.
const WARM_UP: usize = 100;

/// One call, round by round.
#[derive(Debug)]
pub struct Measurement {
    /// What was called.
    pub name: &'static str,
    /// The mapper's call.
    pub ours: Vec<Duration>,
    /// The system calls that it cannot do without.
    pub bare: Vec<Duration>,
    /// The most that the mapper may take, as a multiple of the bare calls.
    pub limit: f64,
}

/// Measures import and free, lock and unlock of a mapped buffer, and a metadata get.
///
/// # Errors
/// No allocator, no mapper, or one of them refuses.
pub fn measure() -> Result<Vec<Measurement>, Box<dyn Error>> {
    let mapper = Mapper::load()?;
    let native = service::connect()?
        .allocate2(&BufferDescriptorInfo { ..service::good() }, 1)?
        .buffers
        .pop()
        .ok_or("no buffer")?;
    let raw = RawHandle::from_binder(native);
    Ok(vec![import_free(&mapper, &raw), lock_unlock(&mapper, &raw)?, get(&mapper, &raw)?])
}

/// Both in turn, in turns of their own order.
fn interleave(
    name: &'static str,
    limit: f64,
    mut ours: impl FnMut(),
    mut bare: impl FnMut(),
) -> Measurement {
    let mut times = [Vec::with_capacity(ROUNDS), Vec::with_capacity(ROUNDS)];
    for round in 0..WARM_UP + ROUNDS {
        let mut time = |which: usize, work: &mut dyn FnMut()| {
            let start = Instant::now();
            work();
            if round >= WARM_UP {
                times[which].push(start.elapsed());
            }
        };
        if round.is_multiple_of(2) {
            time(0, &mut ours);
            time(1, &mut bare);
        } else {
            time(1, &mut bare);
            time(0, &mut ours);
        }
    }
    let [ours, bare] = times;
    Measurement { name, ours, bare, limit }
}

fn import_free(mapper: &Mapper, raw: &RawHandle) -> Measurement {
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
    interleave("import + free", 1.3, ours, bare)
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
    unsafe { libc::ioctl(fd, SYNC, &raw const flags) };
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

fn lock_unlock(mapper: &Mapper, raw: &RawHandle) -> Result<Measurement, Box<dyn Error>> {
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
    Ok(interleave("lock + unlock", 1.2, ours, bare))
}

/// Must make no system call, which a trace shows (`tracing::metadata_takes_no_system_call`); the
/// cheapest one there is, to compare.
fn get(mapper: &Mapper, raw: &RawHandle) -> Result<Measurement, Box<dyn Error>> {
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
    Ok(interleave("getStandardMetadata, beside getppid", f64::INFINITY, ours, bare))
}
