// SPDX-License-Identifier: Apache-2.0
//! importBuffer's validation of handles that were good before bits of them flipped: first the call
//! itself, with descriptors of anything but a dma-buf, which must be refused; then what it does once
//! the descriptors are right, with sizes and a header page that others chose.
//!
//! The input is a list of a place, two bytes, and what to flip there, four bytes.
#![no_main]

use std::fs::File;
use std::os::fd::AsRawFd;
use std::ptr;
use std::sync::LazyLock;

use dmaheap_buffer::handle::{FDS, INTS};
use dmaheap_buffer::metadata::Header;
use dmaheap_buffer::{
    Bytes, Constraints, Extent, Format, Handle, Layout, Origin, Type, Usage, Value,
};
use dmaheap_mapper::abi::{self, Code};
use libfuzzer_sys::fuzz_target;

static FILE: LazyLock<File> = LazyLock::new(|| File::open("/dev/null").expect("it exists"));

/// A native handle, the sizes of its two buffers, and the header.
static GOOD: LazyLock<Vec<i32>> = LazyLock::new(|| {
    let format = Format::from_name("YV12").expect("it is in the table");
    let extent = Extent::new(1920, 1080, 2).expect("it exists");
    let handle = Handle {
        id: 0x1234_5678_9abc_def0,
        usage: Usage::CPU_READ_OFTEN | Usage::CAMERA_OUTPUT,
        requested_format: Format::IMPLEMENTATION_DEFINED,
        layout: Layout::new(format, extent, &Constraints::default()).expect("it is not large"),
        reserved: Bytes(5000),
    };
    let text = |text: &str| text.to_owned();
    let origin =
        Origin { rule: text("rule"), heap: text("heap"), node: text("node"), name: text("name") };
    let header = Header { id: handle.id, reserved: handle.reserved, origin }.encode();
    let sizes = [handle.layout.size(), handle.metadata_size()];
    let sizes = sizes.iter().flat_map(|size| [(size.0 >> 32) as i32, size.0 as i32]);
    let page = header.as_chunks::<4>().0.iter().map(|word| i32::from_ne_bytes(*word));
    let counts = [12, FDS as i32, INTS as i32, -1, -1];
    counts.into_iter().chain(handle.encode()).chain(sizes).chain(page).collect()
});

fuzz_target!(|data: &[u8]| {
    let mut words = GOOD.clone();
    let count = words.len();
    for [a, b, flip @ ..] in data.as_chunks::<6>().0 {
        words[usize::from(u16::from_le_bytes([*a, *b])) % count] ^= i32::from_le_bytes(*flip);
    }
    call(&words);
    judge(&words[3 + FDS..], data.is_empty());
});

fn call(words: &[i32]) {
    let mut table: *const abi::AIMapper = ptr::null();
    // SAFETY: a place for a pointer.
    assert_eq!(unsafe { abi::AIMapper_loadIMapper(&mut table) }, Code::NONE);
    // SAFETY: the call succeeded.
    let v5 = unsafe { &(*table).v5 };
    let mut words = words.to_vec();
    for fd in [-1, FILE.as_raw_fd()] {
        words[3..3 + FDS].fill(fd);
        let mut out = ptr::null();
        // SAFETY: there are more words than a handle of ours has; the mapper must not read more.
        let code = unsafe { (v5.import_buffer)(words.as_ptr().cast(), &mut out) };
        assert_eq!((code, out.is_null()), (Code::BAD_BUFFER, true));
    }
}

fn judge(words: &[i32], is_good: bool) {
    let (ints, rest) = words.split_at(INTS);
    let [a, b, c, d, page @ ..] = rest else { return };
    let size = |high: i32, low: i32| Bytes(u64::from(high as u32) << 32 | u64::from(low as u32));
    let (pixels, metadata) = (size(*a, *b), size(*c, *d));
    let admitted = Handle::admit(ints, pixels, metadata);
    assert!(admitted.is_ok() || !is_good);
    let Ok(handle) = admitted else { return };

    // Every byte that the layout speaks of is inside the buffer.
    let layout = &handle.layout;
    for plane in layout.planes() {
        let end =
            plane.size().and_then(|size| size.checked_add(plane.offset)).expect("it was judged");
        assert!(end <= layout.layer_size());
    }
    let all = layout.layer_size().checked_mul(layout.extent().layers().into());
    assert!(all.expect("it was judged") <= pixels);
    assert!(handle.metadata_size() <= metadata);
    assert_eq!(Handle::decode(&handle.encode()), Ok(handle.clone()));

    let page: Vec<u8> = page.iter().flat_map(|word| word.to_ne_bytes()).collect();
    let header = Header::admit(&page, &handle);
    assert!(header.is_ok() || !is_good);
    if let Ok(header) = header {
        for kind in Type::ALL {
            let value = Value::initial(*kind, &handle, &header);
            assert_eq!(Value::decode(*kind, &value.encode()), Ok(value));
        }
    }
}
