// SPDX-License-Identifier: Apache-2.0
//! importBuffer's validation: first the call itself, with descriptors of anything but a dma-buf,
//! which must be refused; then what it does once the descriptors are right, with sizes and a header
//! page that others chose.
#![no_main]

use std::fs::File;
use std::os::fd::AsRawFd;
use std::ptr;
use std::sync::LazyLock;

use dmaheap_buffer::handle::{FDS, INTS};
use dmaheap_buffer::metadata::{HEADER_SIZE, Header};
use dmaheap_buffer::{Bytes, Handle, Type, Value};
use dmaheap_mapper::abi::{self, Code};
use libfuzzer_sys::fuzz_target;

static FILE: LazyLock<File> = LazyLock::new(|| File::open("/dev/null").expect("it exists"));

fuzz_target!(|data: &[u8]| {
    let mut words: Vec<i32> =
        data.as_chunks::<4>().0.iter().map(|w| i32::from_ne_bytes(*w)).collect();
    words.resize(3 + FDS + INTS + 4 + HEADER_SIZE / 4, 0);
    call(&words);
    judge(&words[3 + FDS..]);
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

fn judge(words: &[i32]) {
    let (ints, rest) = words.split_at(INTS);
    let [a, b, c, d, page @ ..] = rest else { return };
    let size = |high: i32, low: i32| Bytes(u64::from(high as u32) << 32 | u64::from(low as u32));
    let (pixels, metadata) = (size(*a, *b), size(*c, *d));
    let Ok(handle) = Handle::admit(ints, pixels, metadata) else { return };

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
    if let Ok(header) = Header::admit(&page, &handle) {
        for kind in Type::ALL {
            let value = Value::initial(*kind, &handle, &header);
            assert_eq!(Value::decode(*kind, &value.encode()), Ok(value));
        }
    }
}
