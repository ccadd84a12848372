// SPDX-License-Identifier: Apache-2.0
//! Locks: their usages, regions and fences.

use std::error::Error;
use std::fs::File;
use std::io::pipe;
use std::os::fd::{AsRawFd, FromRawFd, IntoRawFd, OwnedFd, RawFd};
use std::thread;
use std::time::Duration;

use dmaheap_aidl::allocator::BufferDescriptorInfo;
use dmaheap_aidl::common::{BufferUsage, PixelFormat};
use dmaheap_buffer::{Format, Type, Usage};
use dmaheap_imapper::{ARect, Code};
use libtest_mimic::Trial;
use nix::fcntl::{FcntlArg, fcntl};
use nix::libc::c_void;

use super::ground::{CPU, Ground, Test, expect_refused, picture, trial};
use crate::imapper::WHOLE;
use crate::service::good;

pub fn trials() -> Vec<Trial> {
    let trial = |name: &str, test| trial(format!("locks::{name}"), test);
    vec![
        trial("usages_that_no_lock_has_are_refused", bad_usages),
        trial("directions_the_buffer_has_not_are_refused", other_directions),
        trial("regions_out_of_bounds_are_refused", bad_regions),
        trial("regions_inside_are_locked", good_regions),
        trial("every_format_holds_what_is_written", every_format),
        trial("a_blob_is_locked_in_place", blob),
        trial("a_fence_is_waited_for", fence_is_waited_for),
        trial("a_fence_is_closed_whatever_happens", fence_is_closed),
        trial("a_fence_that_is_none_is_refused", bad_fences),
        trial("a_fence_that_never_signals_ends_the_lock", endless_fence),
        trial("endless_nesting_is_refused", too_many_locks),
        trial("a_locked_buffer_may_be_freed", free_while_locked),
    ]
}

fn bad_usages(ground: &Ground) -> Test {
    let buffer = ground.imported()?;
    let lock = ground.mapper.table().v5.lock;
    for usage in [0, 1, 0x10, 0x44, 1 << 8 | 3, 1 << 33 | 3, 1 << 63 | 3, 1 << 14 | 3, u64::MAX] {
        let mut start = std::ptr::null_mut();
        // SAFETY: an imported handle, no fence, a place for an address.
        let code = unsafe { lock(buffer.handle(), usage, WHOLE, -1, &mut start) };
        assert_eq!((code, start.is_null()), (Code::BAD_VALUE, true), "usage {usage:#x}");
    }
    Ok(())
}

fn other_directions(ground: &Ground) -> Test {
    let of = |usage| ground.allocate(BufferDescriptorInfo { usage, ..good() });
    let read = of(BufferUsage::CPU_READ_OFTEN)?.import(ground)?;
    let write = of(BufferUsage::CPU_WRITE_OFTEN)?.import(ground)?;
    let neither = of(BufferUsage::GPU_TEXTURE)?.import(ground)?;
    read.lock(Usage::CPU_READ_RARELY, WHOLE)?;
    write.lock(Usage::CPU_WRITE_RARELY, WHOLE)?;
    for (what, buffer, usage) in [
        ("writing", &read, Usage::CPU_WRITE_OFTEN),
        ("reading", &write, Usage::CPU_READ_OFTEN),
        ("both", &read, CPU),
        ("nothing for the CPU", &neither, Usage::CPU_READ_RARELY),
    ] {
        expect_refused(what, buffer.lock(usage, WHOLE), Code::BAD_VALUE)?;
    }
    Ok(())
}

fn bad_regions(ground: &Ground) -> Test {
    let buffer = ground.imported()?;
    for [left, top, right, bottom] in [
        [0, 0, 65, 64],
        [0, 0, 64, 65],
        [-1, 0, 64, 64],
        [0, -1, 64, 64],
        [64, 0, 0, 64],
        [0, 0, 0, 64],
        [32, 32, 32, 32],
        [0, 0, i32::MAX, i32::MAX],
        [i32::MIN, i32::MIN, i32::MAX, i32::MAX],
        [i32::MIN, i32::MIN, i32::MIN, i32::MIN],
    ] {
        let region = ARect { left, top, right, bottom };
        expect_refused(&format!("{region:?}"), buffer.lock(CPU, region), Code::BAD_VALUE)?;
    }
    expect_refused("unlock", buffer.unlock(), Code::BAD_BUFFER)
}

fn good_regions(ground: &Ground) -> Test {
    let buffer = ground.imported()?;
    let start = buffer.lock(CPU, WHOLE)?;
    for [left, top, right, bottom] in [[0, 0, 64, 64], [63, 63, 64, 64], [0, 10, 1, 11]] {
        let region = ARect { left, top, right, bottom };
        assert_eq!(buffer.lock(CPU, region)?, start, "always the first pixel");
        buffer.unlock()?;
    }
    buffer.unlock()?;
    Ok(())
}

fn every_format(ground: &Ground) -> Test {
    for format in Format::all() {
        let mut info = picture(PixelFormat(format.code()));
        (info.width, info.height) = if format.is_blob() { (4099, 1) } else { (67, 33) };
        let buffer = ground.allocate(info)?.import(ground)?;
        let fill = |pixels: &mut [u8]| {
            pixels.iter_mut().enumerate().for_each(|(offset, byte)| *byte = (offset % 253) as u8);
        };
        buffer.with_pixels(Usage::CPU_WRITE_OFTEN, fill)?;
        let same = |pixels: &mut [u8]| {
            pixels.iter().enumerate().all(|(offset, byte)| *byte == (offset % 253) as u8)
        };
        assert!(buffer.with_pixels(Usage::CPU_READ_OFTEN, same)?, "{format}");
        for kind in Type::ALL {
            buffer.get(*kind).map_err(|e| format!("{format}, {kind:?}: {e}"))?;
        }
    }
    Ok(())
}

fn blob(ground: &Ground) -> Test {
    let info = BufferDescriptorInfo { width: 10_000, height: 1, ..picture(PixelFormat::BLOB) };
    let allocation = ground.allocate(info)?;
    let (one, other) = (allocation.import(ground)?, allocation.import(ground)?);
    let (to, from) = (one.lock(CPU, WHOLE)?, other.lock(CPU, WHOLE)?);
    for offset in [0, 1, 9_999] {
        // SAFETY: both locks cover 10000 bytes; this thread is the only one that uses them.
        let seen = unsafe {
            to.add(offset).write_volatile(91);
            from.add(offset).read_volatile()
        };
        assert_eq!(seen, 91);
    }
    one.unlock()?;
    other.unlock()?;
    Ok(())
}

/// The kernel's software timeline, which makes real fences.
struct Timeline(File);

mod sw_sync {
    /// `struct sw_sync_create_fence_data`.
    #[repr(C)]
    pub struct CreateFence {
        pub value: u32,
        pub name: [u8; 32],
        pub fence: i32,
    }

    nix::ioctl_readwrite!(create_fence, b'W', 0, CreateFence);
    nix::ioctl_write_ptr!(increment, b'W', 1, u32);
}

impl Timeline {
    fn new() -> Result<Timeline, Box<dyn Error>> {
        let node = File::options().read(true).write(true).open("/sys/kernel/debug/sync/sw_sync");
        Ok(Timeline(node?))
    }

    /// A fence that signals when the timeline has reached 1.
    fn fence(&self) -> Result<OwnedFd, Box<dyn Error>> {
        let mut data = sw_sync::CreateFence { value: 1, name: [0; 32], fence: -1 };
        // SAFETY: `data` is the structure this request reads and writes.
        unsafe { sw_sync::create_fence(self.0.as_raw_fd(), &raw mut data) }?;
        // SAFETY: the kernel has just opened it for us.
        Ok(unsafe { OwnedFd::from_raw_fd(data.fence) })
    }

    fn signal(&self) -> nix::Result<i32> {
        let by = 1;
        // SAFETY: the request reads a number.
        unsafe { sw_sync::increment(self.0.as_raw_fd(), &raw const by) }
    }
}

fn fence_is_waited_for(ground: &Ground) -> Test {
    let buffer = ground.imported()?;
    let timeline = Timeline::new()?;
    let fence = timeline.fence()?;
    let signalled = std::sync::atomic::AtomicBool::new(false);
    thread::scope(|scope| -> Test {
        let later = scope.spawn(|| {
            thread::sleep(Duration::from_millis(200));
            signalled.store(true, std::sync::atomic::Ordering::SeqCst);
            timeline.signal()
        });
        buffer.lock_after(Some(fence), CPU, WHOLE)?;
        assert!(signalled.load(std::sync::atomic::Ordering::SeqCst), "locked before the signal");
        later.join().map_err(|_| "the signal did not come")??;
        Ok(())
    })?;
    buffer.unlock()?;
    // One that has signalled before.
    buffer.lock_after(Some(timeline.fence()?), CPU, WHOLE)?;
    buffer.unlock()?;
    Ok(())
}

fn is_open(fd: RawFd) -> bool {
    fcntl(fd, FcntlArg::F_GETFD).is_ok()
}

/// A descriptor that is ready to be read, as a fence that has signalled is.
fn ready() -> std::io::Result<RawFd> {
    let (from, to) = pipe()?;
    std::io::Write::write_all(&mut &to, &[1])?;
    Ok(OwnedFd::from(from).into_raw_fd())
}

fn fence_is_closed(ground: &Ground) -> Test {
    let buffer = ground.imported()?;
    let lock = ground.mapper.table().v5.lock;
    let bad = ARect { left: 0, top: 0, right: 65, bottom: 64 };
    let mut start: *mut c_void = std::ptr::null_mut();
    let place = &raw mut start;
    let null = std::ptr::null_mut();
    for (what, handle, usage, region, place, expected) in [
        ("a lock", buffer.handle(), 0x33, WHOLE, place, Code::NONE),
        ("no usage", buffer.handle(), 0, WHOLE, place, Code::BAD_VALUE),
        ("a bad region", buffer.handle(), 0x33, bad, place, Code::BAD_VALUE),
        ("no place", buffer.handle(), 0x33, WHOLE, null, Code::BAD_VALUE),
        ("no handle", std::ptr::null(), 0x33, WHOLE, place, Code::BAD_BUFFER),
    ] {
        let fence = ready()?;
        // SAFETY: the fence is handed over, and `place` is null or a place for an address.
        let code = unsafe { lock(handle, usage, region, fence, place) };
        assert_eq!(code, expected, "{what}");
        assert!(!is_open(fence), "{what} leaves the fence open");
    }
    buffer.unlock()?;
    Ok(())
}

fn bad_fences(ground: &Ground) -> Test {
    let buffer = ground.imported()?;
    let lock = ground.mapper.table().v5.lock;
    let mut start = std::ptr::null_mut();
    let mut lock = |fence| {
        // SAFETY: whatever `fence` is, the mapper must notice.
        unsafe { lock(buffer.handle(), 0x33, WHOLE, fence, &mut start) }
    };
    let (from, to) = pipe()?;
    drop(from);
    let hung_up = OwnedFd::from(to).into_raw_fd();
    assert_eq!(lock(hung_up), Code::BAD_VALUE, "an end without another");
    assert!(!is_open(hung_up));
    assert_eq!(lock(hung_up), Code::BAD_VALUE, "a closed descriptor");
    assert_eq!(lock(i32::MAX), Code::BAD_VALUE, "a number that no descriptor has");
    for none in [-1, -2, i32::MIN] {
        assert_eq!(lock(none), Code::NONE, "negative is no fence");
        buffer.unlock()?;
    }
    expect_refused("unlock", buffer.unlock(), Code::BAD_BUFFER)
}

fn endless_fence(ground: &Ground) -> Test {
    let buffer = ground.imported()?;
    let timeline = Timeline::new()?;
    let fence = timeline.fence()?;
    let number = fence.as_raw_fd();
    expect_refused("lock", buffer.lock_after(Some(fence), CPU, WHOLE), Code::NO_RESOURCES)?;
    assert!(!is_open(number));
    Ok(())
}

fn too_many_locks(ground: &Ground) -> Test {
    let buffer = ground.imported()?;
    let mut locked = 0;
    while buffer.lock(CPU, WHOLE).is_ok() {
        locked += 1;
    }
    assert!(locked >= 30, "{locked}");
    expect_refused("one more", buffer.lock(CPU, WHOLE), Code::NO_RESOURCES)?;
    for _ in 0..locked {
        buffer.unlock()?;
    }
    expect_refused("one more unlock", buffer.unlock(), Code::BAD_BUFFER)
}

fn free_while_locked(ground: &Ground) -> Test {
    let buffer = ground.imported()?;
    buffer.lock(CPU, WHOLE)?;
    buffer.lock(Usage::CPU_READ_OFTEN, WHOLE)?;
    Ok(())
}
