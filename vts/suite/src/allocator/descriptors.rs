// SPDX-License-Identifier: Apache-2.0
//! The exact answer to each bad descriptor, and what is in our handles.

use std::error::Error;

use dmaheap_aidl::allocator::{AllocationError, BufferDescriptorInfo};
use dmaheap_aidl::common::{BufferUsage, ExtendableType, PixelFormat};
use dmaheap_buffer::{Format, Handle};
use libtest_mimic::Trial;

use super::callers::Want;
use crate::service::{DATASPACE, connect, good, refusal, trial};

type Test = Result<(), Box<dyn Error>>;

const BAD: AllocationError = AllocationError::BAD_DESCRIPTOR;
const NO_RESOURCES: AllocationError = AllocationError::NO_RESOURCES;
const UNSUPPORTED: AllocationError = AllocationError::UNSUPPORTED;

pub fn trials() -> Vec<Trial> {
    vec![
        trial("descriptor::each_hostile_one_gets_its_error", each_hostile_one_gets_its_error),
        trial("descriptor::what_can_never_fit_is_unsupported", what_can_never_fit),
        trial("descriptor::counts_out_of_range_are_refused", counts_out_of_range_are_refused),
        trial("descriptor::version_1_is_unsupported", version_1_is_unsupported),
        trial("buffer::handle_has_the_stride_of_the_answer", handle_has_the_stride),
        trial("buffer::reserved_regions_are_zero", reserved_regions_are_zero),
        trial("interface::suffix_names_the_mapper", suffix_names_the_mapper),
    ]
}

const CUBE: i64 = BufferUsage::GPU_CUBE_MAP.0 | BufferUsage::GPU_TEXTURE.0;

type Change = fn(&mut BufferDescriptorInfo);

const HOSTILE: &[(&str, Change, AllocationError)] = &[
    ("width 0", |d| d.width = 0, BAD),
    ("height 0", |d| d.height = 0, BAD),
    ("width negative", |d| d.width = -1, BAD),
    ("height INT_MIN", |d| d.height = i32::MIN, BAD),
    ("width INT_MAX", |d| d.width = i32::MAX, BAD),
    ("height INT_MAX", |d| d.height = i32::MAX, UNSUPPORTED),
    ("layers 0", |d| d.layerCount = 0, BAD),
    ("layers -1", |d| d.layerCount = -1, BAD),
    ("layers INT_MAX", |d| d.layerCount = i32::MAX, UNSUPPORTED),
    ("2^32 bytes", |d| (d.width, d.height) = (1 << 15, 1 << 15), UNSUPPORTED),
    ("2^64 bytes", |d| (d.width, d.height, d.layerCount) = (1 << 28, 1 << 30, 16), BAD),
    ("BLOB of two rows", |d| d.format = PixelFormat::BLOB, BAD),
    ("format unspecified", |d| d.format = PixelFormat::UNSPECIFIED, UNSUPPORTED),
    ("format unknown", |d| d.format = PixelFormat(0x7777), UNSUPPORTED),
    ("format negative", |d| d.format = PixelFormat(-1), UNSUPPORTED),
    ("usage NPU", |d| d.usage = BufferUsage::NPU, UNSUPPORTED),
    ("usage 1 << 13, which ACodec adds and libui removes", |d| d.usage.0 |= 1 << 13, UNSUPPORTED),
    ("mipmaps", |d| d.usage |= BufferUsage::GPU_MIPMAP_COMPLETE, UNSUPPORTED),
    ("cube of five faces", |d| (d.usage.0, d.layerCount) = (CUBE, 5), BAD),
    ("cube that is not square", |d| (d.usage.0, d.layerCount, d.width) = (CUBE, 6, 65), BAD),
    ("usage all bits", |d| d.usage = BufferUsage(-1), UNSUPPORTED),
    ("usage sign bit", |d| d.usage = BufferUsage(i64::MIN), UNSUPPORTED),
    ("protected and CPU", |d| d.usage |= BufferUsage::PROTECTED, UNSUPPORTED),
    ("reserved -1", |d| d.reservedSize = -1, BAD),
    ("reserved LONG_MAX", |d| d.reservedSize = i64::MAX, UNSUPPORTED),
    ("an option", |d| d.additionalOptions = options(1), UNSUPPORTED),
    ("a dataspace twice", |d| d.additionalOptions = vec![dataspace(1), dataspace(1)], UNSUPPORTED),
    ("a dataspace of 33 bits", |d| d.additionalOptions = vec![dataspace(1 << 32)], UNSUPPORTED),
    ("many options", |d| d.additionalOptions = options(10_000), UNSUPPORTED),
];

fn options(count: usize) -> Vec<ExtendableType> {
    (0..count).map(|i| ExtendableType { name: format!("option{i}"), value: 0 }).collect()
}

fn dataspace(value: i64) -> ExtendableType {
    ExtendableType { name: DATASPACE.to_owned(), value }
}

fn each_hostile_one_gets_its_error() -> Test {
    let allocator = connect()?;
    for (what, change, expected) in HOSTILE {
        let mut descriptor = good();
        change(&mut descriptor);
        let got =
            refusal(allocator.allocate2(&descriptor, 1)).map_err(|e| format!("{what}: {e}"))?;
        assert_eq!(got, *expected, "{what}");
        assert!(!allocator.isSupported(&descriptor)?, "{what} is said to be supported");
    }
    // Odd and tiny pictures with subsampled chroma are pictures.
    for (width, height) in [(1, 1), (3, 3), (641, 481), (1920, 1)] {
        let odd =
            BufferDescriptorInfo { width, height, format: PixelFormat::YCBCR_420_888, ..good() };
        assert!(allocator.isSupported(&odd)?);
        assert_eq!(allocator.allocate2(&odd, 1)?.buffers.len(), 1);
    }
    // A name without an end is cut.
    let endless = BufferDescriptorInfo { name: [b'x'; 128], ..good() };
    assert_eq!(allocator.allocate2(&endless, 1)?.buffers.len(), 1);
    Ok(())
}

/// 160 MiB of a region of 128, a picture of 63 MiB where a uid may have 48, and half of each: the
/// first cannot be promised to anybody, the second can.
fn what_can_never_fit() -> Test {
    let allocator = connect()?;
    let framebuffer = |height| BufferDescriptorInfo {
        width: 8192,
        height,
        usage: BufferUsage::COMPOSER_CLIENT_TARGET,
        ..good()
    };
    let picture = |height| BufferDescriptorInfo {
        width: 8192,
        height: height * 21 / 20,
        ..Want::Preview.descriptor()
    };
    for of in [&framebuffer as &dyn Fn(i32) -> _, &picture] {
        let (never, sometimes) = (of(5120), of(2560));
        assert!(!allocator.isSupported(&never)?, "{never:?} is said to be supported");
        assert_eq!(refusal(allocator.allocate2(&never, 1))?, UNSUPPORTED, "{never:?}");
        assert!(allocator.isSupported(&sometimes)?, "{sometimes:?} is said to be impossible");
        assert_eq!(allocator.allocate2(&sometimes, 1)?.buffers.len(), 1);
    }
    Ok(())
}

fn counts_out_of_range_are_refused() -> Test {
    let allocator = connect()?;
    for (count, expected) in [
        (0, BAD),
        (-1, BAD),
        (i32::MIN, BAD),
        (65, NO_RESOURCES),
        (1025, NO_RESOURCES),
        (i32::MAX, NO_RESOURCES),
    ] {
        assert_eq!(refusal(allocator.allocate2(&good(), count))?, expected, "count {count}");
    }
    assert_eq!(allocator.allocate2(&good(), 64)?.buffers.len(), 64);
    Ok(())
}

#[allow(deprecated)]
fn version_1_is_unsupported() -> Test {
    let allocator = connect()?;
    for bytes in [&[][..], &[0xff; 172], &[0; 100_000]] {
        assert_eq!(refusal(allocator.allocate(bytes, 1))?, UNSUPPORTED);
    }
    Ok(())
}

fn handle_has_the_stride() -> Test {
    let allocator = connect()?;
    for format in Format::all().filter(|format| format.code() != PixelFormat::BLOB.0) {
        for width in [1, 30, 641] {
            let info = BufferDescriptorInfo { width, format: PixelFormat(format.code()), ..good() };
            let given = allocator.allocate2(&info, 1)?;
            let handle = Handle::decode(&given.buffers[0].ints)?;
            assert_eq!(given.stride as u32, handle.layout.stride().0, "{info:?}");
        }
    }
    Ok(())
}

fn reserved_regions_are_zero() -> Test {
    let descriptor = BufferDescriptorInfo { reservedSize: 10_000, ..good() };
    let buffer = connect()?.allocate2(&descriptor, 1)?.buffers.remove(0);
    let handle = Handle::decode(&buffer.ints)?;
    assert_eq!(handle.reserved.0, 10_000);
    let [_, metadata] = <[_; 2]>::try_from(buffer.fds).map_err(|_| "not two descriptors")?;
    let bytes = crate::dmabuf::DmaBuf::new(metadata.into())?.map()?.read()?;
    let region = &bytes[handle.header_size()..][..10_000];
    assert!(region.iter().all(|byte| *byte == 0));
    Ok(())
}

fn suffix_names_the_mapper() -> Test {
    let allocator = connect()?;
    assert_eq!(allocator.getIMapperLibrarySuffix()?, "dmaheap");
    Ok(())
}
