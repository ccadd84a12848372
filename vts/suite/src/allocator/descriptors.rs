// SPDX-License-Identifier: Apache-2.0
//! Good, bad and random descriptors.

use std::collections::HashSet;
use std::error::Error;

use dmaheap_aidl::allocator::{AllocationError, BufferDescriptorInfo};
use dmaheap_aidl::common::{BufferUsage, ExtendableType, PixelFormat};
use dmaheap_buffer::{Format, Handle};
use libtest_mimic::Trial;

use super::service::{connect, good, refusal};
use super::trial;
use crate::random::Random;

type Test = Result<(), Box<dyn Error>>;

const BAD: AllocationError = AllocationError::BAD_DESCRIPTOR;
const NO_RESOURCES: AllocationError = AllocationError::NO_RESOURCES;
const UNSUPPORTED: AllocationError = AllocationError::UNSUPPORTED;

pub fn trials() -> Vec<Trial> {
    vec![
        trial("descriptor::each_hostile_one_gets_its_error", each_hostile_one_gets_its_error),
        trial("descriptor::counts_out_of_range_are_refused", counts_out_of_range_are_refused),
        trial("descriptor::version_1_is_unsupported", version_1_is_unsupported),
        trial("descriptor::random_ones_agree_with_is_supported", random_ones_agree),
        trial("buffer::ids_are_unique", ids_are_unique),
        trial("buffer::reserved_regions_are_zero", reserved_regions_are_zero),
        trial("interface::suffix_names_the_mapper", suffix_names_the_mapper),
    ]
}

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
    ("usage 1 << 33", |d| d.usage = BufferUsage(1 << 33), UNSUPPORTED),
    ("usage all bits", |d| d.usage = BufferUsage(-1), UNSUPPORTED),
    ("usage sign bit", |d| d.usage = BufferUsage(i64::MIN), UNSUPPORTED),
    ("protected and CPU", |d| d.usage |= BufferUsage::PROTECTED, UNSUPPORTED),
    ("reserved -1", |d| d.reservedSize = -1, BAD),
    ("reserved LONG_MAX", |d| d.reservedSize = i64::MAX, UNSUPPORTED),
    ("an option", |d| d.additionalOptions = options(1), UNSUPPORTED),
    ("many options", |d| d.additionalOptions = options(10_000), UNSUPPORTED),
];

fn options(count: usize) -> Vec<ExtendableType> {
    (0..count).map(|i| ExtendableType { name: format!("option{i}"), value: 0 }).collect()
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

/// SUITE_DESCRIPTORS says how many; the full run is 100000.
fn random_ones_agree() -> Test {
    let count: u64 = std::env::var("SUITE_DESCRIPTORS").map_or(Ok(10_000), |n| n.parse())?;
    let allocator = connect()?;
    let mut random = Random(1);
    let [mut given, mut refused] = [0u64; 2];
    for _ in 0..count {
        let descriptor = random.descriptor();
        let supported = allocator.isSupported(&descriptor)?;
        match allocator.allocate2(&descriptor, 1) {
            Ok(result) => {
                assert!(supported, "allocated, but not supported: {descriptor:?}");
                let handle = Handle::decode(&result.buffers[0].ints)?;
                assert_eq!(result.stride as u32, handle.layout.stride().0);
                given += 1;
            }
            Err(status) => {
                let code = refusal(Err(status))?;
                assert_eq!(supported, code == NO_RESOURCES, "{code:?} for {descriptor:?}");
                refused += 1;
            }
        }
    }
    eprintln!("{count} descriptors: {given} allocated, {refused} refused, all as announced");
    assert!(given > count / 20, "hardly anything was allocated");
    Ok(())
}

fn ids_are_unique() -> Test {
    let allocator = connect()?;
    let mut ids = HashSet::new();
    for _ in 0..20 {
        for buffer in allocator.allocate2(&good(), 8)?.buffers {
            assert!(ids.insert(Handle::decode(&buffer.ints)?.id), "an id came twice");
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
    let region = &bytes[dmaheap_buffer::metadata::HEADER_SIZE..][..10_000];
    assert!(region.iter().all(|byte| *byte == 0));
    Ok(())
}

fn suffix_names_the_mapper() -> Test {
    let allocator = connect()?;
    assert_eq!(allocator.getIMapperLibrarySuffix()?, "dmaheap");
    assert_eq!(allocator.getInterfaceVersion()?, 2);
    assert_eq!(allocator.getInterfaceHash()?, dmaheap_aidl::allocator::HASH);
    Ok(())
}

impl Random {
    fn dimension(&mut self) -> i32 {
        match self.below(10) {
            0 => self.next() as i32,
            1 => self.below(3) as i32 - 1,
            2 => 1 << self.below(31),
            _ => 1 + self.below(700) as i32,
        }
    }

    fn descriptor(&mut self) -> BufferDescriptorInfo {
        let formats: Vec<Format> = Format::all().collect();
        let format = match self.below(12) {
            0 => self.next() as i32,
            1 => Format::IMPLEMENTATION_DEFINED,
            _ => formats[self.below(formats.len() as u64) as usize].code(),
        };
        let usage = match self.below(10) {
            0 => self.next() as i64,
            1 => 1 << self.below(64),
            _ => {
                (0..3).fold(0, |usage, _| usage | USAGES[self.below(USAGES.len() as u64) as usize])
            }
        };
        BufferDescriptorInfo {
            width: self.dimension(),
            height: if format == PixelFormat::BLOB.0 { 1 } else { self.dimension() },
            layerCount: if self.below(4) == 0 { self.below(6) as i32 } else { 1 },
            format: PixelFormat(format),
            usage: BufferUsage(usage),
            reservedSize: if self.below(8) == 0 { self.next() as i32 as i64 } else { 0 },
            ..good()
        }
    }
}

const USAGES: &[i64] = &[
    BufferUsage::CPU_READ_OFTEN.0,
    BufferUsage::CPU_WRITE_RARELY.0,
    BufferUsage::GPU_TEXTURE.0,
    BufferUsage::GPU_RENDER_TARGET.0,
    BufferUsage::COMPOSER_OVERLAY.0,
    BufferUsage::COMPOSER_CLIENT_TARGET.0,
    BufferUsage::COMPOSER_CURSOR.0,
    BufferUsage::CAMERA_OUTPUT.0,
    BufferUsage::VIDEO_ENCODER.0,
    BufferUsage::VIDEO_DECODER.0,
    BufferUsage::PROTECTED.0,
];
