// SPDX-License-Identifier: Apache-2.0
//! The cases about metadata.

use std::ffi::CStr;
use std::ptr;

use dmaheap_aidl::allocator::BufferDescriptorInfo;
use dmaheap_aidl::common::{BlendMode, BufferUsage, Dataspace, PixelFormat};
use dmaheap_buffer::standard::{Extendable, Rect};
use dmaheap_buffer::{Type, Usage, Value};
use dmaheap_imapper::{Code, MetadataType, MetadataTypeDescription};

use super::require_rgba;
use crate::harness::skip;
use crate::imapper::WHOLE;
use crate::mapper::ground::{
    CPU, Ground, Test, expect_refused, expect_value, name, number, picture,
};
use crate::mapper::planes;
use crate::service::good;

pub fn get_buffer_id(ground: &Ground) -> Test {
    let allocation = ground.generic()?;
    let (one, same, other) =
        (allocation.import(ground)?, allocation.import(ground)?, ground.imported()?);
    let id = number(&one, Type::BufferId)?;
    assert_eq!(number(&same, Type::BufferId)?, id);
    assert_ne!(number(&other, Type::BufferId)?, id);
    Ok(())
}

pub fn get_name(ground: &Ground) -> Test {
    let info = BufferDescriptorInfo { name: name("Hello, World!"), ..good() };
    expect_value(&ground.allocate(info)?.import(ground)?, Value::Name("Hello, World!".into()))
}

pub fn get_width_height(ground: &Ground) -> Test {
    let buffer = ground.allocate(BufferDescriptorInfo { height: 128, ..good() })?;
    let buffer = buffer.import(ground)?;
    expect_value(&buffer, Value::Width(64))?;
    expect_value(&buffer, Value::Height(128))
}

pub fn get_layer_count(ground: &Ground) -> Test {
    expect_value(&ground.imported()?, Value::LayerCount(1))?;
    let layered = BufferDescriptorInfo { layerCount: 3, ..good() };
    if !ground.allocator.isSupported(&layered)? {
        return skip("the allocator does not support three layers");
    }
    expect_value(&ground.allocate(layered)?.import(ground)?, Value::LayerCount(3))
}

pub fn get_pixel_format_requested(ground: &Ground) -> Test {
    expect_value(&ground.imported()?, Value::PixelFormatRequested(PixelFormat::RGBA_8888.0))
}

pub fn get_pixel_format_fourcc(ground: &Ground) -> Test {
    let fourcc = |code: &[u8; 4]| Value::PixelFormatFourcc(u32::from_le_bytes(*code));
    expect_value(&ground.imported()?, fourcc(b"AB24"))?;
    let yv12 = ground.allocate(picture(PixelFormat::YV12))?;
    expect_value(&yv12.import(ground)?, fourcc(b"YV12"))
}

pub fn get_pixel_format_modifier(ground: &Ground) -> Test {
    // Whichever it is; a device may have layouts of its own.
    number(&ground.imported()?, Type::PixelFormatModifier)?;
    Ok(())
}

pub fn get_usage(ground: &Ground) -> Test {
    expect_value(&ground.imported()?, Value::Usage(CPU.bits()))
}

/// Bits above the 32 that older interfaces had.
pub fn get_usage64(ground: &Ground) -> Test {
    let usage = BufferUsage::FRONT_BUFFER
        | BufferUsage::GPU_RENDER_TARGET
        | BufferUsage::COMPOSER_OVERLAY
        | BufferUsage::GPU_TEXTURE;
    let info = BufferDescriptorInfo { usage, ..good() };
    let buffer = ground.allocate_optional("front buffers", info)?;
    expect_value(&buffer.import(ground)?, Value::Usage(usage.0.cast_unsigned()))
}

pub fn get_allocation_size(ground: &Ground) -> Test {
    let allocation = ground.generic()?;
    let size = number(&allocation.import(ground)?, Type::AllocationSize)?;
    let estimate = 4 * allocation.stride as u64 * 64;
    assert!((estimate..2 * estimate).contains(&size), "{size} for {estimate}");
    Ok(())
}

pub fn get_protected_content(ground: &Ground) -> Test {
    expect_value(&ground.imported()?, Value::ProtectedContent(0))?;
    let usage = BufferUsage::PROTECTED | BufferUsage::COMPOSER_OVERLAY;
    let info = BufferDescriptorInfo { usage, ..good() };
    let buffer = ground.allocate_optional("protected buffers for the CPU", info)?;
    let buffer = buffer.import(ground)?;
    expect_value(&buffer, Value::ProtectedContent(1))?;
    expect_refused("the CPU", buffer.lock(Usage::CPU_READ_RARELY, WHOLE), Code::BAD_VALUE)
}

fn none(list: &str) -> Extendable {
    Extendable { name: format!("android.hardware.graphics.common.{list}"), value: 0 }
}

pub fn get_compression(ground: &Ground) -> Test {
    expect_value(&ground.imported()?, Value::Compression(none("Compression")))
}

pub fn get_interlaced(ground: &Ground) -> Test {
    expect_value(&ground.imported()?, Value::Interlaced(none("Interlaced")))
}

pub fn get_chroma_siting(ground: &Ground) -> Test {
    expect_value(&ground.imported()?, Value::ChromaSiting(none("ChromaSiting")))
}

pub fn get_plane_layouts(ground: &Ground) -> Test {
    require_rgba(&planes::layouts(&ground.imported()?)?);
    Ok(())
}

pub fn get_crop(ground: &Ground) -> Test {
    let whole = Rect { left: 0, top: 0, right: 64, bottom: 64 };
    expect_value(&ground.imported()?, Value::Crop(vec![whole]))
}

/// A value at first, and another one once it is set, also through another import.
fn get_set(ground: &Ground, first: Value, then: Value) -> Test {
    let allocation = ground.generic()?;
    let (buffer, other) = (allocation.import(ground)?, allocation.import(ground)?);
    expect_value(&buffer, first)?;
    buffer.set(&then)?;
    expect_value(&buffer, then.clone())?;
    expect_value(&other, then.clone())?;
    if let Some(unset) = Value::unset(then.kind()) {
        buffer.set(&unset)?;
        expect_value(&other, unset)?;
    }
    Ok(())
}

pub fn get_set_dataspace(ground: &Ground) -> Test {
    let value = |dataspace: Dataspace| Value::Dataspace(dataspace.0);
    get_set(ground, value(Dataspace::UNKNOWN), value(Dataspace::DISPLAY_P3))
}

pub fn get_set_blend_mode(ground: &Ground) -> Test {
    let value = |mode: BlendMode| Value::BlendMode(mode.0);
    get_set(ground, value(BlendMode::INVALID), value(BlendMode::COVERAGE))
}

pub fn get_set_smpte2086(ground: &Ground) -> Test {
    let value = [1.0, 1.0, 2.0, 2.0, 3.0, 3.0, 400.0, 1000.0, 100_000.0, 0.0001];
    get_set(ground, Value::Smpte2086(None), Value::Smpte2086(Some(value)))
}

pub fn get_cta861_3(ground: &Ground) -> Test {
    get_set(ground, Value::Cta861_3(None), Value::Cta861_3(Some([1000.0, 140.0])))
}

fn require_offered(ground: &Ground, kind: Type) -> Test {
    if find(ground, kind).is_some() {
        return Ok(());
    }
    expect_refused(&format!("{kind:?}"), ground.imported()?.get_encoded(kind), Code::UNSUPPORTED)?;
    skip(format!("the mapper has no {kind:?} metadata"))
}

pub fn get_smpte2094_10(ground: &Ground) -> Test {
    require_offered(ground, Type::Smpte2094_10)?;
    let value = (0..=255).cycle().take(512).collect();
    get_set(ground, Value::Smpte2094_10(None), Value::Smpte2094_10(Some(value)))
}

pub fn get_smpte2094_40(ground: &Ground) -> Test {
    require_offered(ground, Type::Smpte2094_40)?;
    let value = (0..=255).cycle().take(1024).collect();
    get_set(ground, Value::Smpte2094_40(None), Value::Smpte2094_40(Some(value)))
}

/// The longest that there is.
pub fn get_smpte2094_50(ground: &Ground) -> Test {
    require_offered(ground, Type::Smpte2094_50)?;
    let value = (0..=255).cycle().take(10_280).collect();
    get_set(ground, Value::Smpte2094_50(None), Value::Smpte2094_50(Some(value)))
}

pub fn get_stride(ground: &Ground) -> Test {
    let allocation = ground.generic()?;
    let buffer = allocation.import(ground)?;
    assert_eq!(number(&buffer, Type::Stride)?, allocation.stride as u64);
    Ok(())
}

fn list(ground: &Ground) -> &'static [MetadataTypeDescription] {
    let (mut list, mut count) = (ptr::null(), 0);
    // SAFETY: places for a pointer and a number.
    let code =
        unsafe { (ground.mapper.table().v5.list_supported_metadata_types)(&mut list, &mut count) };
    assert_eq!(code, Code::NONE);
    // SAFETY: the list is static, and this long.
    unsafe { std::slice::from_raw_parts(list, count) }
}

fn find(ground: &Ground, kind: Type) -> Option<&'static MetadataTypeDescription> {
    standard(ground).find(|d| d.metadata_type.value == kind.number())
}

/// The list without the vendor's own types.
fn standard(ground: &Ground) -> impl Iterator<Item = &'static MetadataTypeDescription> {
    list(ground).iter().filter(|d| {
        // SAFETY: the interface says that it is a string.
        let name = unsafe { CStr::from_ptr(d.metadata_type.name) };
        name.to_str() == Ok(dmaheap_buffer::standard::NAME)
    })
}

/// Types that a device need not have.
const MAY_BE_ABSENT: [Type; 3] = [Type::Smpte2094_10, Type::Smpte2094_40, Type::Smpte2094_50];

const MUST_BE_SETTABLE: [Type; 4] =
    [Type::Dataspace, Type::BlendMode, Type::Smpte2086, Type::Cta861_3];

pub fn required_getters_and_setters(ground: &Ground) -> Test {
    for kind in Type::ALL.iter().filter(|kind| !MAY_BE_ABSENT.contains(kind)) {
        let description = find(ground, *kind).ok_or(format!("{kind:?} is not in the list"))?;
        assert!(description.is_gettable, "{kind:?}");
        assert!(description.is_settable || !MUST_BE_SETTABLE.contains(kind), "{kind:?}");
        assert_eq!(description.reserved, [0; 32]);
    }
    Ok(())
}

pub fn required_setters_if_getters(ground: &Ground) -> Test {
    let offered: Vec<_> = MAY_BE_ABSENT.iter().filter_map(|kind| find(ground, *kind)).collect();
    for description in offered.iter().filter(|description| description.is_gettable) {
        assert!(description.is_settable, "type {}", description.metadata_type.value);
    }
    if offered.is_empty() { skip("the mapper has no SMPTE 2094 metadata") } else { Ok(()) }
}

pub fn list_supported_works(ground: &Ground) -> Test {
    let buffer = ground.imported()?;
    let v5 = &ground.mapper.table().v5;
    for description in standard(ground).filter(|description| description.is_gettable) {
        let kind = description.metadata_type;
        // SAFETY: an imported handle; null asks for the size.
        let size = unsafe { (v5.get_metadata)(buffer.handle(), kind, ptr::null_mut(), 0) };
        let mut value = vec![0u8; usize::try_from(size)?];
        let (place, room) = (value.as_mut_ptr(), value.len());
        // SAFETY: as above, with a place of this size.
        assert_eq!(unsafe { (v5.get_metadata)(buffer.handle(), kind, place.cast(), room) }, size);
        // SAFETY: as above.
        let set = unsafe { (v5.set_metadata)(buffer.handle(), kind, place.cast(), room) };
        // All the rest was fixed when the buffer was allocated.
        assert_eq!(set == Code::NONE, description.is_settable, "type {}: {set:?}", kind.value);
    }
    Ok(())
}

pub fn get_metadata_bad_value(ground: &Ground) -> Test {
    let get = ground.mapper.table().v5.get_standard_metadata;
    for kind in Type::ALL {
        // SAFETY: null must be noticed.
        let got = unsafe { get(ptr::null(), kind.number(), ptr::null_mut(), 0) };
        assert_eq!(Code(-got), Code::BAD_BUFFER, "{kind:?}");
    }
    Ok(())
}

pub fn get_unsupported_metadata(ground: &Ground) -> Test {
    let buffer = ground.imported()?;
    let v5 = &ground.mapper.table().v5;
    let fake = MetadataType { name: c"Fake".as_ptr(), value: 1 };
    // SAFETY: an imported handle; null asks for the size.
    let got = unsafe { (v5.get_metadata)(buffer.handle(), fake, ptr::null_mut(), 0) };
    assert_eq!(Code(-got), Code::UNSUPPORTED);
    for unknown in [0, -1, i64::MIN, i64::MAX] {
        // SAFETY: as above.
        let got =
            unsafe { (v5.get_standard_metadata)(buffer.handle(), unknown, ptr::null_mut(), 0) };
        assert_eq!(Code(-got), Code::UNSUPPORTED, "type {unknown}");
        // SAFETY: as above, and no byte is read.
        let set = unsafe { (v5.set_standard_metadata)(buffer.handle(), unknown, ptr::null(), 0) };
        assert_eq!(set, Code::UNSUPPORTED, "type {unknown}");
    }
    Ok(())
}
