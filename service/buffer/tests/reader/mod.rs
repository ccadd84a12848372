// SPDX-License-Identifier: Apache-2.0
//! A reader of buffers that knows nothing but what the mapper's metadata says, and computes from it
//! every last byte that it would touch, in each way that the interface documents. For tests and for
//! the fuzz target `reader`; its tables are its own.

use dmaheap_buffer::standard::{PlaneLayout, Rect};
use dmaheap_buffer::{Handle, Header, Type, Value};

/// `PixelFormat::IMPLEMENTATION_DEFINED`.
const IMPLEMENTATION_DEFINED: i32 = 0x22;

/// What a client asks before it touches a pixel.
#[derive(Debug)]
struct Facts {
    width: u128,
    height: u128,
    layers: u128,
    stride: u128,
    requested: i32,
    fourcc: u32,
    allocation: u128,
    planes: Vec<PlaneLayout>,
    crops: Vec<Rect>,
}

/// A way to read, and the first byte behind what it reads.
pub type Reach = (&'static str, u128);

/// Asks for one fact, in the bytes that go to a client.
fn ask(kind: Type, handle: &Handle, header: &Header) -> Value {
    let encoded = Value::initial(kind, handle, header).encode();
    Value::decode(kind, &encoded).expect("what was encoded is decoded")
}

impl Facts {
    fn of(handle: &Handle, header: &Header) -> Facts {
        let number = |kind| match ask(kind, handle, header) {
            Value::Width(n)
            | Value::Height(n)
            | Value::LayerCount(n)
            | Value::AllocationSize(n) => u128::from(n),
            Value::Stride(n) => u128::from(n),
            other => panic!("{other:?} is no number"),
        };
        let Value::PixelFormatRequested(requested) =
            ask(Type::PixelFormatRequested, handle, header)
        else {
            panic!("no format")
        };
        let Value::PixelFormatFourcc(fourcc) = ask(Type::PixelFormatFourcc, handle, header) else {
            panic!("no fourcc")
        };
        let Value::PlaneLayouts(planes) = ask(Type::PlaneLayouts, handle, header) else {
            panic!("no planes")
        };
        let Value::Crop(crops) = ask(Type::Crop, handle, header) else { panic!("no crop") };
        Facts {
            width: number(Type::Width),
            height: number(Type::Height),
            layers: number(Type::LayerCount),
            stride: number(Type::Stride),
            requested,
            fourcc,
            allocation: number(Type::AllocationSize),
            planes,
            crops,
        }
    }
}

/// Where each way to read the pixels ends, and what is said of both buffers together.
pub fn reaches(handle: &Handle, header: &Header) -> (Vec<Reach>, u128) {
    let facts = Facts::of(handle, header);
    let mut reaches = by_stride(&facts);
    reaches.extend(by_planes(&facts));
    reaches.extend(by_crop(&facts));
    (reaches, facts.allocation)
}

/// Bytes of a pixel, as the framework's own table has them: `bytesPerPixel` of libui, and those of
/// single planes that it leaves out.
fn bytes_per_pixel(requested: i32, fourcc: u32) -> Option<u128> {
    let of_format = match requested {
        0x1 | 0x2 | 0x5 | 0x2b | 0x31 | 0x32 | 0x33 | 0x3a => 4,
        0x3 | 0x37 => 3,
        0x4 | 0x14 | 0x20 | 0x30 | 0x39 | 0x2036_3159 => 2,
        0x16 | 0x3b => 8,
        0x34 => 5,
        // A row of bytes; a row of stride bytes.
        0x21 | 0x25 | 0x26 | 0x35 | 0x38 | 0x2020_3859 => 1,
        _ => 0,
    };
    let of_fourcc = match &fourcc.to_le_bytes() {
        b"AB24" | b"XB24" | b"AR24" | b"AB30" | b"GR32" => 4,
        b"BG24" => 3,
        b"RG16" | b"YUYV" | b"R16 " => 2,
        b"AB4H" | b"AB10" => 8,
        b"R8  " => 1,
        _ => 0,
    };
    let bytes = if requested == IMPLEMENTATION_DEFINED { of_fourcc } else { of_format };
    (bytes > 0).then_some(bytes)
}

/// Stride times height times bytes of a pixel, as libui does; and the formulas of `PixelFormat`.
fn by_stride(facts: &Facts) -> Vec<Reach> {
    let Facts { width, height, layers, stride, requested, fourcc, .. } = *facts;
    let pixels = bytes_per_pixel(requested, fourcc).map(|bytes| stride * height * bytes * layers);
    let y = stride * height;
    let aligned = (stride / 2).next_multiple_of(16);
    let formula = match requested {
        // YV12, NV21, NV12 by any order, NV16, P010 and P210.
        0x3231_5659 => Some(y + 2 * aligned * (height / 2)),
        0x11 | 0x23 => Some(y + stride * (height / 2)),
        0x10 => Some(y + stride * height),
        0x36 => Some(2 * (y + stride * (height / 2))),
        0x3c => Some(2 * (y + stride * height)),
        // Ten and twelve bits of each pixel.
        0x25 => Some((height - 1) * stride + (width * 10).div_ceil(8)),
        0x26 => Some((height - 1) * stride + (width * 12).div_ceil(8)),
        _ => None,
    };
    let width = bytes_per_pixel(requested, fourcc)
        .filter(|_| ![0x25, 0x26].contains(&requested))
        .map(|bytes| (height - 1) * stride * bytes + width * bytes);
    [("stride x height", pixels), ("formula", formula), ("rows by stride", width)]
        .into_iter()
        .filter_map(|(what, end)| Some((what, end?)))
        .collect()
}

fn unsigned(n: i64) -> u128 {
    n.try_into().expect("nothing in a plane's layout is negative")
}

/// Bits of the first `samples` of a row; the last has no more than its components.
fn row_bits(plane: &PlaneLayout, samples: u128, requested: i32) -> u128 {
    let increment = match (plane.sample_increment_in_bits, requested) {
        (0, 0x25) => 10,
        (0, 0x26) => 12,
        (0, _) => 16,
        (bits, _) => unsigned(bits),
    };
    let last = plane.components.iter().map(|component| {
        let size = u128::try_from(component.size_in_bits).unwrap_or(increment);
        unsigned(component.offset_in_bits) + size
    });
    (samples - 1) * increment + last.max().unwrap_or(0).max(increment)
}

fn by_planes(facts: &Facts) -> Vec<Reach> {
    let mut reaches = Vec::new();
    for plane in &facts.planes {
        let start = unsigned(plane.offset_in_bytes);
        let [width, height] = [plane.width_in_samples, plane.height_in_samples].map(unsigned);
        let stride = unsigned(plane.stride_in_bytes);
        let row = row_bits(plane, width, facts.requested).div_ceil(8);
        reaches.push(("a plane's rows", start + (height - 1) * stride + row));
        reaches.push(("a plane's strides", start + height * stride));
        reaches.push(("a plane", start + unsigned(plane.total_size_in_bytes)));
        // Whoever goes by pixels: each has a sample.
        let [across, down] =
            [plane.horizontal_subsampling, plane.vertical_subsampling].map(unsigned);
        let [x, y] = [(facts.width - 1) / across, (facts.height - 1) / down];
        let row = row_bits(plane, x + 1, facts.requested).div_ceil(8);
        reaches.push(("the last pixel", start + y * stride + row));
    }
    reaches
}

/// The crop is in samples of its plane, one for each.
fn by_crop(facts: &Facts) -> Vec<Reach> {
    assert_eq!(facts.crops.len(), facts.planes.len(), "one crop for each plane");
    let ends = facts.planes.iter().zip(&facts.crops).map(|(plane, crop)| {
        let Rect { left, top, right, bottom } = *crop;
        assert!(0 <= left && left < right && 0 <= top && top < bottom, "{crop:?}");
        let [right, bottom] = [right, bottom].map(|edge| unsigned(edge.into()));
        let row = row_bits(plane, right, facts.requested).div_ceil(8);
        let rows = (bottom - 1) * unsigned(plane.stride_in_bytes);
        ("the crop", unsigned(plane.offset_in_bytes) + rows + row)
    });
    ends.collect()
}
