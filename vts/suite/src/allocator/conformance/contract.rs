// SPDX-License-Identifier: Apache-2.0
//! What is announced is given, what is not is refused, and no buffer is given twice.

use std::collections::HashSet;

use dmaheap_aidl::allocator::{AllocationError, BufferDescriptorInfo};
use dmaheap_aidl::common::{BufferUsage, PixelFormat};
use dmaheap_buffer::{Format, Type, Value};
use fastrand::Rng;
use libtest_mimic::Trial;

use crate::baseline;
use crate::harness::{Outcome, effort};
use crate::imapper::{Mapper, RawHandle};
use crate::service::{connect, good, refusal, trial};

pub fn trials() -> Vec<Trial> {
    vec![
        trial("ground::leaks_are_counted", baseline::leaks_are_counted),
        trial("contract::random_descriptors_agree_with_is_supported", random_ones_agree),
        trial("buffer::ids_are_unique", ids_are_unique),
        trial("buffer::holds_what_it_says", holds_what_it_says),
    ]
}

/// SUITE_DESCRIPTORS says how many; the full run is 100000.
fn random_ones_agree() -> Outcome {
    let count = effort("SUITE_DESCRIPTORS", 10_000)?;
    let allocator = connect()?;
    let mut random = Rng::with_seed(1);
    let [mut given, mut refused] = [0u64; 2];
    for _ in 0..count {
        let descriptor = descriptor(&mut random);
        let supported = allocator.isSupported(&descriptor)?;
        match allocator.allocate2(&descriptor, 1) {
            Ok(result) => {
                assert!(supported, "allocated, but not supported: {descriptor:?}");
                assert!(result.stride >= descriptor.width, "{} for {descriptor:?}", result.stride);
                given += 1;
            }
            Err(status) => {
                let code = refusal(Err(status))?;
                assert_eq!(
                    supported,
                    code == AllocationError::NO_RESOURCES,
                    "{code:?} for {descriptor:?}"
                );
                refused += 1;
            }
        }
    }
    eprintln!("{count} descriptors: {given} allocated, {refused} refused, all as announced");
    assert!(given > count / 20, "hardly anything was allocated");
    Ok(())
}

/// As the mapper reads them; both belong together.
fn ids_are_unique() -> Outcome {
    let (allocator, mapper) = (connect()?, Mapper::load()?);
    let mut ids = HashSet::new();
    for _ in 0..20 {
        for buffer in allocator.allocate2(&good(), 8)?.buffers {
            let buffer = mapper.import(&RawHandle::from_binder(buffer))?;
            let Value::BufferId(id) = buffer.get(Type::BufferId)? else { panic!("no id") };
            assert!(ids.insert(id), "id {id} came twice");
        }
    }
    Ok(())
}

/// What libui compares after each allocation, and room for all rows.
fn holds_what_it_says() -> Outcome {
    let (allocator, mapper) = (connect()?, Mapper::load()?);
    for width in [1, 63, 64, 65, 333, 1920] {
        let mut given = allocator.allocate2(&BufferDescriptorInfo { width, ..good() }, 1)?;
        let native = given.buffers.pop().ok_or("no buffer and no error")?;
        let buffer = mapper.import(&RawHandle::from_binder(native))?;
        assert_eq!(buffer.get(Type::Stride)?, Value::Stride(given.stride.cast_unsigned()));
        assert_eq!(buffer.get(Type::Width)?, Value::Width(width as u64));
        assert_eq!(buffer.get(Type::Height)?, Value::Height(64));
        assert!(buffer.size()? >= 4 * given.stride as usize * 64, "width {width}");
    }
    Ok(())
}

fn dimension(random: &mut Rng) -> i32 {
    match random.u8(..10) {
        0 => random.i32(..),
        1 => random.i32(-1..2),
        2 => 1 << random.u8(..31),
        _ => random.i32(1..=700),
    }
}

fn descriptor(random: &mut Rng) -> BufferDescriptorInfo {
    let formats: Vec<Format> = Format::all().collect();
    let format = match random.u8(..12) {
        0 => random.i32(..),
        1 => Format::IMPLEMENTATION_DEFINED,
        _ => formats[random.usize(..formats.len())].code(),
    };
    let usage = match random.u8(..10) {
        0 => random.i64(..),
        1 => 1 << random.u8(..64),
        _ => (0..3).fold(0, |usage, _| usage | USAGES[random.usize(..USAGES.len())]),
    };
    BufferDescriptorInfo {
        width: dimension(random),
        height: if format == PixelFormat::BLOB.0 { 1 } else { dimension(random) },
        layerCount: if random.u8(..4) == 0 { random.i32(..6) } else { 1 },
        format: PixelFormat(format),
        usage: BufferUsage(usage),
        reservedSize: if random.u8(..8) == 0 { random.i32(..).into() } else { 0 },
        ..good()
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
