// SPDX-License-Identifier: Apache-2.0
//! Handles made up by somebody who knows how: whatever is accepted, no reader leaves the buffer.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing)]
#![allow(clippy::arithmetic_side_effects)]

mod reader;

use dmaheap_buffer::{Bytes, Constraints, Extent, Format, Handle, Header, Layout, Origin, Usage};

/// The checksum is no secret.
fn forge(ints: &mut [i32]) {
    let covered = ints.len() - 2;
    let bytes = ints[..covered].iter().flat_map(|int| int.to_ne_bytes());
    let sum = bytes.fold(0xcbf2_9ce4_8422_2325_u64, |hash, byte| {
        (hash ^ u64::from(byte)).wrapping_mul(0x100_0000_01b3)
    });
    ints[covered] = sum as i32;
    ints[covered + 1] = (sum >> 32) as i32;
}

fn good(format: Format, layers: i64) -> Handle {
    let (width, height) = if format.is_blob() { (1001, 1) } else { (66, 34) };
    let layers = if format.is_blob() { 1 } else { layers };
    let extent = Extent::new(width, height, layers).unwrap();
    let constraints =
        Constraints { stride: Bytes(64), size: Bytes(4096), ..Constraints::default() };
    Handle {
        id: 7,
        usage: Usage::CPU_READ_OFTEN,
        any_format: layers > 1,
        layout: Layout::new(format, extent, &constraints).unwrap(),
        reserved: Bytes(100),
    }
}

fn header(handle: &Handle) -> Header {
    let empty = String::new;
    let origin = Origin { rule: empty(), heap: empty(), node: empty(), name: empty() };
    Header { id: handle.id, origin }
}

/// Fails if a reader of this handle, which was accepted for buffers of these sizes, leaves them.
fn require_inside(handle: &Handle, [pixels, metadata]: [Bytes; 2], what: &str) {
    let (reaches, allocation) = reader::reaches(handle, &header(handle));
    for (how, end) in reaches {
        assert!(end <= pixels.0.into(), "{what}: by {how} to {end} of {pixels}: {handle:?}");
    }
    let both = u128::from(pixels.0) + u128::from(metadata.0);
    assert!(allocation <= both, "{what}: allocation of {allocation}, there are {both}");
}

#[test]
fn readers_stay_inside_whatever_integer_is_another() {
    let mut accepted = 0;
    for format in Format::all() {
        for layers in [1, 6] {
            let good = good(format, layers);
            let sizes = [good.layout.size(), good.metadata_size()];
            let ints = good.encode();
            let codes = Format::all().map(Format::code);
            let values: Vec<i32> =
                [0, 1, 2, 3, 5, 16, 34, 35, 63, 64, 65, 66, 67, 128, 4096, 1 << 20, i32::MAX, -1]
                    .into_iter()
                    .chain(codes)
                    .chain([0x22])
                    .collect();
            for place in 0..ints.len() {
                for value in &values {
                    let mut forged = ints.clone();
                    forged[place] = *value;
                    forge(&mut forged);
                    if let Ok(handle) = Handle::admit(&forged, sizes[0], sizes[1]) {
                        require_inside(&handle, sizes, &format!("{format}, int {place} = {value}"));
                        accepted += 1;
                    }
                }
            }
        }
    }
    assert!(accepted > 1000, "only {accepted} were accepted");
}
