// SPDX-License-Identifier: Apache-2.0
//! Properties of encoded metadata, for any value and any bytes.
#![allow(clippy::unwrap_used, clippy::panic, clippy::indexing_slicing)]
#![allow(clippy::arithmetic_side_effects)]

use dmaheap_buffer::header::{HEADER_SIZE, Header};
use dmaheap_buffer::settable::Shared;
use dmaheap_buffer::standard::{Extendable, PlaneComponent, PlaneLayout, Rect};
use dmaheap_buffer::{
    Bytes, Constraints, Extent, Format, Handle, Layout, Origin, Type, Usage, Value,
};
use proptest::array::{uniform2, uniform8};
use proptest::collection::vec;
use proptest::option;
use proptest::prelude::*;

fn extendable() -> impl Strategy<Value = Extendable> {
    (".{0,40}", any::<i64>()).prop_map(|(name, value)| Extendable { name, value })
}

fn component() -> impl Strategy<Value = PlaneComponent> {
    let parts = (extendable(), any::<i64>(), any::<i64>());
    parts.prop_map(|(kind, offset_in_bits, size_in_bits)| PlaneComponent {
        kind,
        offset_in_bits,
        size_in_bits,
    })
}

fn plane() -> impl Strategy<Value = PlaneLayout> {
    (vec(component(), 0..5), uniform8(any::<i64>())).prop_map(|(components, numbers)| {
        let [offset, increment, stride, width, height, size, across, down] = numbers;
        PlaneLayout {
            components,
            offset_in_bytes: offset,
            sample_increment_in_bits: increment,
            stride_in_bytes: stride,
            width_in_samples: width,
            height_in_samples: height,
            total_size_in_bytes: size,
            horizontal_subsampling: across,
            vertical_subsampling: down,
        }
    })
}

fn rect() -> impl Strategy<Value = Rect> {
    any::<[i32; 4]>().prop_map(|[left, top, right, bottom]| Rect { left, top, right, bottom })
}

fn any_value() -> impl Strategy<Value = Value> {
    // A NaN is not equal to itself.
    let number = || prop::num::f32::NORMAL | prop::num::f32::ZERO | prop::num::f32::INFINITE;
    let bytes = || option::of(vec(any::<u8>(), 0..1100));
    let ten = prop::array::uniform10(number());
    let numbers = prop_oneof![
        any::<u64>().prop_map(Value::BufferId),
        any::<u64>().prop_map(Value::Width),
        any::<u64>().prop_map(Value::Height),
        any::<u64>().prop_map(Value::LayerCount),
        any::<u64>().prop_map(Value::PixelFormatModifier),
        any::<u64>().prop_map(Value::Usage),
        any::<u64>().prop_map(Value::AllocationSize),
        any::<u64>().prop_map(Value::ProtectedContent),
    ];
    let short = prop_oneof![
        any::<i32>().prop_map(Value::PixelFormatRequested),
        any::<u32>().prop_map(Value::PixelFormatFourcc),
        any::<i32>().prop_map(Value::Dataspace),
        any::<i32>().prop_map(Value::BlendMode),
        any::<u32>().prop_map(Value::Stride),
    ];
    let named = prop_oneof![
        ".{0,150}".prop_map(Value::Name),
        extendable().prop_map(Value::Compression),
        extendable().prop_map(Value::Interlaced),
        extendable().prop_map(Value::ChromaSiting),
    ];
    let rest = prop_oneof![
        vec(plane(), 0..4).prop_map(Value::PlaneLayouts),
        vec(rect(), 0..4).prop_map(Value::Crop),
        option::of(ten).prop_map(Value::Smpte2086),
        option::of(uniform2(number())).prop_map(Value::Cta861_3),
        bytes().prop_map(Value::Smpte2094_40),
        bytes().prop_map(Value::Smpte2094_10),
    ];
    prop_oneof![numbers, short, named, rest]
}

proptest! {
    #[test]
    fn what_was_encoded_is_decoded(value in any_value()) {
        prop_assert_eq!(Value::decode(value.kind(), &value.encode()), Ok(value.clone()));
        if let Some(content) = value.content() {
            prop_assert_eq!(Value::from_content(value.kind(), &content), Ok(value));
        }
    }

    #[test]
    fn another_length_is_refused(value in any_value(), more in 1usize..20, cut in any::<usize>()) {
        let bytes = value.encode();
        let longer = [&bytes[..], &vec![0; more]].concat();
        prop_assert!(Value::decode(value.kind(), &longer).is_err());
        if !bytes.is_empty() {
            let shorter = &bytes[..cut % bytes.len()];
            let unset = Value::unset(value.kind()).filter(|_| shorter.is_empty());
            prop_assert_eq!(Value::decode(value.kind(), shorter).ok(), unset);
        }
    }

    /// Whatever is accepted has one spelling only.
    #[test]
    fn damage_is_refused_or_another_value(
        value in any_value(), place in any::<usize>(), flip in 1u8..,
    ) {
        let mut bytes = value.encode();
        if !bytes.is_empty() {
            let place = place % bytes.len();
            bytes[place] ^= flip;
            if let Ok(other) = Value::decode(value.kind(), &bytes) {
                prop_assert_eq!(other.encode(), bytes);
            }
        }
    }

    #[test]
    fn any_bytes_are_survived(number in 0i64..30, bytes in vec(any::<u8>(), 0..HEADER_SIZE + 9)) {
        if let Some(kind) = Type::new(number) {
            let _ = Value::decode(kind, &bytes);
            let _ = Value::from_content(kind, &bytes);
        }
        let _ = Header::parse(&bytes);
    }
}

/// A buffer of this format without a name, and its header.
fn buffer(format: Format, [width, height]: [i64; 2]) -> (Handle, Header) {
    let extent = Extent::new(width, height, 1).unwrap();
    let handle = Handle {
        id: 1,
        usage: Usage::CPU_READ_OFTEN,
        any_format: false,
        layout: Layout::new(format, extent, &Constraints::default()).unwrap(),
        reserved: Bytes(0),
    };
    let origin = || String::new();
    let origin = Origin { rule: origin(), heap: origin(), node: origin(), name: origin() };
    (handle, Header { id: 1, origin })
}

/// What the interface's conformance test calls a plane of each format.
#[test]
fn every_format_has_layouts_that_fit_its_buffer() {
    for format in Format::all() {
        let (handle, header) = buffer(format, if format.is_blob() { [1000, 1] } else { [65, 33] });
        let size = i64::try_from(handle.layout.size().0).unwrap();
        let value = Value::initial(Type::PlaneLayouts, &handle, &header);
        let Value::PlaneLayouts(planes) = value else { panic!("{value:?}") };
        assert_eq!(planes.len(), format.planes().len());
        for plane in planes {
            assert!(plane.offset_in_bytes + plane.total_size_in_bytes <= size, "{format}");
            let bits = plane.width_in_samples * plane.sample_increment_in_bits;
            assert!(bits <= plane.stride_in_bytes * 8, "{format}");
            assert!(plane.stride_in_bytes * plane.height_in_samples <= plane.total_size_in_bytes);
        }
    }
}

/// The interface: as many as planes, in their order, each [0, 0, widthInSamples, heightInSamples]
/// before anybody sets another.
#[test]
fn the_crop_is_one_rectangle_for_each_plane_in_its_samples() {
    let rect = |right, bottom| Rect { left: 0, top: 0, right, bottom };
    let nv12 = buffer(Format::from_name("NV12").unwrap(), [65, 33]);
    let crop = Value::initial(Type::Crop, &nv12.0, &nv12.1);
    assert_eq!(crop, Value::Crop(vec![rect(65, 33), rect(33, 17)]));
    let layout = &nv12.0.layout;
    assert!(crop.fits(layout));
    assert!(Value::Crop(vec![rect(64, 32), rect(32, 16)]).fits(layout));
    assert!(!Value::Crop(vec![rect(64, 32)]).fits(layout), "chroma has none");
    assert!(!Value::Crop(vec![rect(64, 32); 2]).fits(layout), "in pixels");
    assert!(!Value::Crop(vec![rect(1, 1); 3]).fits(layout), "one too many");

    let page: Vec<_> = (0..HEADER_SIZE / 4).map(|_| 0u32.into()).collect();
    let shared = Shared::new(&page).unwrap();
    for format in Format::all() {
        let (handle, header) = buffer(format, if format.is_blob() { [65, 1] } else { [65, 33] });
        let value = |kind| shared.current(kind, &handle, &header).unwrap();
        let Value::PlaneLayouts(planes) = value(Type::PlaneLayouts) else { panic!("no planes") };
        let Value::Crop(crops) = value(Type::Crop) else { panic!("no crop") };
        let samples = |p: &PlaneLayout| rect(p.width_in_samples as i32, p.height_in_samples as i32);
        assert_eq!(crops, planes.iter().map(samples).collect::<Vec<_>>(), "{format}");
        // Another, which has room whatever the format.
        let other = Value::Crop(vec![rect(2, 1); planes.len()]);
        shared.write(Type::Crop, other.content().as_deref()).unwrap();
        assert_eq!(value(Type::Crop), other, "{format}");
        shared.write(Type::Crop, None).unwrap();
    }
}

#[test]
fn what_is_protected_is_what_was_asked_to_be() {
    let (mut handle, header) = buffer(Format::from_name("RGBA_8888").unwrap(), [64, 64]);
    for (usage, protected) in [(Usage::GPU_TEXTURE, 0), (Usage::PROTECTED, 1)] {
        handle.usage = usage;
        let value = |kind| Value::initial(kind, &handle, &header);
        assert_eq!(value(Type::ProtectedContent), Value::ProtectedContent(protected));
        assert_eq!(value(Type::Usage), Value::Usage(usage.bits()));
    }
}

#[test]
fn the_allocation_size_is_that_of_all_memory() {
    let (mut handle, header) = buffer(Format::from_name("RGBA_8888").unwrap(), [64, 64]);
    let size = |handle: &Handle| Value::initial(Type::AllocationSize, handle, &header);
    assert_eq!(size(&handle), Value::AllocationSize(64 * 64 * 4 + 4096));
    handle.reserved = Bytes(5000);
    assert_eq!(size(&handle), Value::AllocationSize(64 * 64 * 4 + 4096 + 8192));
}
