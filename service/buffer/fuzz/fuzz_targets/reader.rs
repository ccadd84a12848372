// SPDX-License-Identifier: Apache-2.0
//! A handle that somebody made up, and a client that reads by what the mapper says of it: nothing
//! that was accepted lets the client leave the two buffers.
//!
//! The input begins with the format and the layers of a good handle, and the sizes of both buffers
//! in pages, 0 for what the handle needs; then it is a list of a place and what is there instead.
//! The checksum is not looked at when fuzzing.
#![no_main]

#[path = "../../tests/reader/mod.rs"]
mod reader;

use dmaheap_buffer::{
    Bytes, Constraints, Extent, Format, Handle, Header, Layout, Origin, Type, Usage, Value,
};
use libfuzzer_sys::fuzz_target;

fn good(format: u8, layers: u8) -> Handle {
    let count = Format::all().count();
    let format = Format::all().nth(usize::from(format) % count).expect("it is below the count");
    let (width, height, layers) =
        if format.is_blob() { (5000, 1, 1) } else { (66, 34, 1 + i64::from(layers % 8)) };
    let extent = Extent::new(width, height, layers).expect("it exists");
    let constraints = Constraints { size: Bytes(4096), ..Constraints::default() };
    Handle {
        id: 0x1234_5678_9abc_def0,
        usage: Usage::CPU_READ_OFTEN,
        any_format: layers % 2 == 0,
        layout: Layout::new(format, extent, &constraints).expect("it is not large"),
        reserved: Bytes(5000),
    }
}

fuzz_target!(|data: &[u8]| {
    let Some((&[format, layers, pixels, metadata], changes)) = data.split_first_chunk() else {
        return;
    };
    let good = good(format, layers);
    let size = |pages: u8, needed: Bytes| match pages {
        0 => needed,
        pages => Bytes(u64::from(pages) << 12),
    };
    let pixels = size(pixels, good.layout.size());
    let metadata = size(metadata, good.metadata_size());
    let mut ints = good.encode();
    let count = ints.len();
    for [place, value @ ..] in changes.as_chunks::<5>().0 {
        ints[usize::from(*place) % count] = i32::from_le_bytes(*value);
    }

    let Ok(handle) = Handle::admit(&ints, pixels, metadata) else { return };
    assert_eq!(Handle::decode(&handle.encode()), Ok(handle.clone()));
    let text = String::new;
    let origin = Origin { rule: text(), heap: text(), node: text(), name: text() };
    let header = Header { id: handle.id, origin };
    for kind in Type::ALL {
        let value = Value::initial(*kind, &handle, &header);
        assert_eq!(Value::decode(*kind, &value.encode()), Ok(value));
    }
    let (reaches, allocation) = reader::reaches(&handle, &header);
    for (how, end) in reaches {
        assert!(end <= pixels.0.into(), "by {how} to {end} of {pixels}: {handle:?}");
    }
    assert!(allocation <= u128::from(pixels.0) + u128::from(metadata.0));
});
