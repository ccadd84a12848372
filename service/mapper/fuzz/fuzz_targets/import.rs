// SPDX-License-Identifier: Apache-2.0
//! importBuffer and the calls that look a handle up, with handles that were good before bits of
//! them flipped and addresses that were made up. The descriptors are of anything but a dma-buf, so
//! that all must be refused, and no byte may be read that the handle's counts do not promise.
//!
//! The input is a list of a place, one byte, and what to flip there, four bytes. What an accepted
//! handle says is the target `reader` of `service/buffer`.
#![no_main]

use std::fs::File;
use std::os::fd::AsRawFd;
use std::ptr;
use std::sync::LazyLock;

use dmaheap_buffer::handle::FDS;
use dmaheap_buffer::{Bytes, Constraints, Extent, Format, Handle, Layout, Usage};
use dmaheap_mapper::abi::{self, Code};
use libfuzzer_sys::fuzz_target;

static FILE: LazyLock<File> = LazyLock::new(|| File::open("/dev/null").expect("it exists"));

/// A native handle.
static GOOD: LazyLock<Vec<i32>> = LazyLock::new(|| {
    let format = Format::from_name("YV12").expect("it is in the table");
    let extent = Extent::new(1920, 1080, 2).expect("it exists");
    let handle = Handle {
        id: 0x1234_5678_9abc_def0,
        usage: Usage::CPU_READ_OFTEN | Usage::CAMERA_OUTPUT,
        any_format: true,
        layout: Layout::new(format, extent, &Constraints::default()).expect("it is not large"),
        reserved: Bytes(5000),
    };
    let ints = handle.encode();
    let counts = [12, FDS as i32, ints.len() as i32, -1, -1];
    counts.into_iter().chain(ints).collect()
});

fuzz_target!(|data: &[u8]| {
    let mut table: *const abi::AIMapper = ptr::null();
    // SAFETY: a place for a pointer.
    assert_eq!(unsafe { abi::AIMapper_loadIMapper(&mut table) }, Code::NONE);
    // SAFETY: the call succeeded.
    let v5 = unsafe { &(*table).v5 };

    let mut words = GOOD.clone();
    let count = words.len();
    for [place, flip @ ..] in data.as_chunks::<5>().0 {
        words[usize::from(*place) % count] ^= i32::from_le_bytes(*flip);
    }
    let is_shaped = words[..3] == GOOD[..3];
    for fd in [-1, FILE.as_raw_fd()] {
        words[3..3 + FDS].fill(fd);
        // With other counts there need not be more than the counts.
        let handle = if is_shaped { words.clone() } else { words[..3].to_vec() };
        let handle = handle.into_boxed_slice();
        let mut out = ptr::null();
        // SAFETY: as many words as the counts say, or the mapper must not read them.
        let code = unsafe { (v5.import_buffer)(handle.as_ptr().cast(), &mut out) };
        assert_eq!((code, out.is_null()), (Code::BAD_BUFFER, true));
        // SAFETY: a raw handle, and below a number, which the mapper must look up.
        assert_eq!(unsafe { (v5.free_buffer)(handle.as_ptr().cast()) }, Code::BAD_BUFFER);
    }
    if let Some(address) = data.first_chunk() {
        let handle = ptr::without_provenance(usize::from_le_bytes(*address));
        // SAFETY: as above.
        assert_eq!(unsafe { (v5.free_buffer)(handle) }, Code::BAD_BUFFER);
    }
});
