// SPDX-License-Identifier: Apache-2.0
//! What must be given, and what must be refused.

use dmaheap_aidl::allocator::{
    AllocationError, BufferDescriptorInfo, HASH, HASH_OF_V2, IAllocator,
};
use dmaheap_aidl::binder::Strong;
use dmaheap_aidl::common::{BufferUsage, ExtendableType, PixelFormat};
use libtest_mimic::Trial;

use crate::harness::{Outcome, skip};
use crate::service::{connect, good, refusal, trial};

pub fn trials() -> Vec<Trial> {
    vec![
        trial("CanAllocate", can_allocate),
        trial("RejectsUnknownUsages", rejects_unknown_usages),
        trial("RejectsUnknownOptions", rejects_unknown_options),
        trial("RejectsZeroLayerCount", rejects_zero_layer_count),
        trial("FrontBuffer", front_buffer),
        trial("descriptor::impossible_ones_are_refused", impossible_ones),
        trial("descriptor::odd_sizes_and_endless_names_are_served", odd_ones),
        trial("descriptor::counts_below_one_are_refused", counts_below_one),
        trial("interface::version_2_names_its_mapper", version_2_names_its_mapper),
        trial("interface::each_version_has_its_frozen_hash", frozen_hash),
        trial("interface::several_views_are_given_or_refused", several_views),
    ]
}

fn can_allocate() -> Outcome {
    let allocator = connect()?;
    assert!(allocator.isSupported(&good())?);
    for count in [1, 5] {
        let given = allocator.allocate2(&good(), count)?;
        assert_eq!(given.buffers.len(), count as usize);
        assert!(given.stride >= 64, "a stride of {} pixels for 64", given.stride);
        assert!(given.buffers.iter().all(|buffer| !buffer.fds.is_empty()), "no descriptors");
    }
    Ok(())
}

/// Bits that versions 2 and 3 give no meaning, and no vendor may; bit 33 has a name since, and is
/// still among them in the conformance test.
fn unknown_usages() -> impl Iterator<Item = i64> {
    [10, 13, 19, 21].into_iter().chain(33..48).map(|bit| 1 << bit)
}

/// Neither announced nor given, whatever the code; it is one of the allocator's own.
fn require_refused(what: &str, descriptor: &BufferDescriptorInfo) -> Outcome {
    let allocator = connect()?;
    assert!(!allocator.isSupported(descriptor)?, "{what} is said to be supported");
    refusal(allocator.allocate2(descriptor, 1)).map_err(|error| format!("{what}: {error}"))?;
    Ok(())
}

/// The same, with a code that clients can tell from success.
fn require_code(what: &str, descriptor: &BufferDescriptorInfo) -> Outcome {
    require_refused(what, descriptor)?;
    let code = refusal(connect()?.allocate2(descriptor, 1))?;
    assert_ne!(code.0, 0, "{what}");
    Ok(())
}

fn rejects_unknown_usages() -> Outcome {
    for bit in unknown_usages() {
        let usage = BufferUsage(good().usage.0 | bit);
        require_code(&format!("usage {bit:#x}"), &BufferDescriptorInfo { usage, ..good() })?;
    }
    Ok(())
}

fn rejects_unknown_options() -> Outcome {
    let option = ExtendableType { name: "FAKE_OPTION".to_owned(), value: 1 };
    require_code("an option", &BufferDescriptorInfo { additionalOptions: vec![option], ..good() })
}

/// Since version 3.
fn rejects_zero_layer_count() -> Outcome {
    let descriptor = BufferDescriptorInfo { layerCount: 0, ..good() };
    require_refused("no layer", &descriptor)?;
    let code = refusal(connect()?.allocate2(&descriptor, 1))?;
    assert_eq!(code, AllocationError::BAD_DESCRIPTOR);
    Ok(())
}

/// A front buffer is a matter of the device; saying so in time is not.
fn front_buffer() -> Outcome {
    let allocator = connect()?;
    let mut supported = 0;
    for with in [good().usage, BufferUsage::GPU_TEXTURE, BufferUsage::COMPOSER_OVERLAY] {
        let usage = BufferUsage(BufferUsage::FRONT_BUFFER.0 | with.0);
        let descriptor = BufferDescriptorInfo { usage, ..good() };
        if allocator.isSupported(&descriptor)? {
            let buffers = allocator.allocate2(&descriptor, 1)?.buffers;
            assert_eq!(buffers.len(), 1, "usage {:#x}", usage.0);
            supported += 1;
        } else {
            refusal(allocator.allocate2(&descriptor, 1))?;
        }
    }
    if supported == 0 { skip("the device has no front buffers") } else { Ok(()) }
}

type Change = fn(&mut BufferDescriptorInfo);

const IMPOSSIBLE: &[(&str, Change)] = &[
    ("width 0", |d| d.width = 0),
    ("width -1", |d| d.width = -1),
    ("width INT_MIN", |d| d.width = i32::MIN),
    ("height 0", |d| d.height = 0),
    ("height -1", |d| d.height = -1),
    ("INT_MAX squared", |d| (d.width, d.height) = (i32::MAX, i32::MAX)),
    ("layers 0", |d| d.layerCount = 0),
    ("layers -1", |d| d.layerCount = -1),
    ("2^64 bytes", |d| (d.width, d.height, d.layerCount) = (1 << 28, 1 << 30, 16)),
    ("BLOB of two rows", |d| (d.format, d.height) = (PixelFormat::BLOB, 2)),
    ("format unspecified", |d| d.format = PixelFormat::UNSPECIFIED),
    ("format unknown", |d| d.format = PixelFormat(0x7777)),
    ("format negative", |d| d.format = PixelFormat(-1)),
    ("usage all bits", |d| d.usage = BufferUsage(-1)),
    ("reserved -1", |d| d.reservedSize = -1),
    ("reserved LONG_MAX", |d| d.reservedSize = i64::MAX),
];

fn impossible_ones() -> Outcome {
    for (what, change) in IMPOSSIBLE {
        let mut descriptor = good();
        change(&mut descriptor);
        require_refused(what, &descriptor)?;
    }
    Ok(())
}

fn odd_ones() -> Outcome {
    let allocator = connect()?;
    let endless = BufferDescriptorInfo { name: [b'x'; 128], ..good() };
    let odd = [(1, 1), (3, 3), (641, 481), (1920, 1)].map(|(width, height)| BufferDescriptorInfo {
        width,
        height,
        format: PixelFormat::YCBCR_420_888,
        ..good()
    });
    for descriptor in odd.iter().chain([&endless]) {
        assert!(allocator.isSupported(descriptor)?, "{descriptor:?}");
        assert_eq!(allocator.allocate2(descriptor, 1)?.buffers.len(), 1);
    }
    Ok(())
}

fn counts_below_one() -> Outcome {
    for count in [0, -1, i32::MIN] {
        refusal(connect()?.allocate2(&good(), count)).map_err(|e| format!("count {count}: {e}"))?;
    }
    Ok(())
}

fn frozen_hash() -> Outcome {
    let allocator = connect()?;
    let version = allocator.getInterfaceVersion()?;
    let expected = match version {
        2 => HASH_OF_V2,
        3 => HASH,
        other => return skip(format!("version {other} is not known here")),
    };
    assert_eq!(allocator.getInterfaceHash()?, expected, "version {version}");
    Ok(())
}

fn several_views() -> Outcome {
    let (allocator, views) = (connect()?, [good(), good()]);
    if allocator.getInterfaceVersion()? < 3 {
        assert!(allocator.isMultiViewSupported(&views, 0).is_err(), "version 2 has no such method");
        assert!(refuses_views(&allocator, &views).is_err(), "version 2 has no such method");
        return Ok(());
    }
    match allocator.isMultiViewSupported(&views, 0)? {
        true => assert_eq!(allocator.allocateMultiView(&views, 0)?.buffers.len(), 1),
        false => assert_eq!(refuses_views(&allocator, &views)?, AllocationError::UNSUPPORTED),
    }
    Ok(())
}

/// The code of the refusal, which is one of the allocator's own.
fn refuses_views(
    allocator: &Strong<dyn IAllocator>,
    views: &[BufferDescriptorInfo],
) -> Result<AllocationError, String> {
    refusal(allocator.allocateMultiView(views, 0))
}

fn version_2_names_its_mapper() -> Outcome {
    let allocator = connect()?;
    assert!(allocator.getInterfaceVersion()? >= 2);
    assert!(!allocator.getIMapperLibrarySuffix()?.is_empty());
    Ok(())
}
