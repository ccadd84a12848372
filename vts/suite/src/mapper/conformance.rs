// SPDX-License-Identifier: Apache-2.0
//! The cases of the interface's conformance test (VtsHalGraphicsMapperStableC), by their names
//! there. What they ask is known; how they ask is written here.

use std::ffi::CStr;
use std::ptr;

use dmaheap_aidl::allocator::BufferDescriptorInfo;
use dmaheap_aidl::common::{BlendMode, BufferUsage, Dataspace, PixelFormat};
use dmaheap_buffer::format::ComponentKind;
use dmaheap_buffer::standard::{Extendable, PlaneLayout, Rect};
use dmaheap_buffer::{Type, Usage, Value};
use dmaheap_mapper::abi::{self, ARect, Code};
use libtest_mimic::Trial;

use super::ground::{
    CPU, EMPTY, Ground, Test, expect_refused, expect_value, name, number, picture, trial,
};
use super::planes::{self, Samples};
use crate::allocator::service::good;
use crate::imapper::{Imported, WHOLE};

macro_rules! cases {
    ($($name:ident: $test:ident),* $(,)?) => {
        const CASES: &[(&str, fn(&Ground) -> Test)] = &[$((stringify!($name), $test)),*];
    };
}

cases! {
    VersionChecks: version_checks,
    AllV5CallbacksDefined: all_callbacks_defined,
    DualLoadIsIdentical: dual_load_is_identical,
    CanAllocate: can_allocate,
    ImportFreeBuffer: import_free,
    ImportFreeBufferSingleton: import_free_singleton,
    ImportBufferNegative: import_negative,
    FreeBufferNegative: free_negative,
    LockUnlockBasic: lock_unlock_basic,
    Lock_YCRCB_420_SP: lock_ycrcb_420_sp,
    YV12SubsampleMetadata: yv12_subsample_metadata,
    Lock_YV12: lock_yv12,
    Lock_YCBCR_420_888: lock_ycbcr_420_888,
    Lock_RAW10: lock_raw10,
    Lock_RAW12: lock_raw12,
    Lock_YCBCR_P010: lock_p010,
    Lock_YCBCR_P210: lock_p210,
    LockBadAccessRegion: lock_bad_region,
    UnlockNegative: unlock_negative,
    UnlockNotImported: unlock_not_imported,
    UnlockNotLocked: unlock_not_locked,
    LockUnlockNested: lock_unlock_nested,
    FlushRereadBasic: flush_reread,
    FlushLockedBufferBadBuffer: flush_bad_buffer,
    RereadLockedBufferBadBuffer: reread_bad_buffer,
    GetBufferId: get_buffer_id,
    GetName: get_name,
    GetWidthHeight: get_width_height,
    GetLayerCount: get_layer_count,
    GetPixelFormatRequested: get_pixel_format_requested,
    GetPixelFormatFourCC: get_pixel_format_fourcc,
    GetPixelFormatModifier: get_pixel_format_modifier,
    GetUsage: get_usage,
    GetUsage64: get_usage64,
    GetAllocationSize: get_allocation_size,
    GetProtectedContent: get_protected_content,
    GetCompression: get_compression,
    GetInterlaced: get_interlaced,
    GetChromaSiting: get_chroma_siting,
    GetPlaneLayouts: get_plane_layouts,
    GetCrop: get_crop,
    GetSetDataspace: get_set_dataspace,
    GetSetBlendMode: get_set_blend_mode,
    GetSetSmpte2086: get_set_smpte2086,
    GetCta861_3: get_cta861_3,
    GetSmpte2094_10: get_smpte2094_10,
    GetSmpte2094_40: get_smpte2094_40,
    GetStride: get_stride,
    SupportsRequiredGettersSetters: required_getters_and_setters,
    CheckRequiredSettersIfHasGetters: required_setters_if_getters,
    ListSupportedWorks: list_supported_works,
    GetMetadataBadValue: get_metadata_bad_value,
    GetUnsupportedMetadata: get_unsupported_metadata,
}

pub fn trials() -> Vec<Trial> {
    CASES.iter().map(|(name, test)| trial(format!("conformance::{name}"), *test)).collect()
}

/// As numbers, so that a null one would show.
fn functions(table: &abi::AIMapper) -> [usize; 15] {
    let start = (&raw const table.v5).cast::<[usize; 15]>();
    // SAFETY: the table is 15 function pointers and nothing else.
    unsafe { start.read() }
}

fn version_checks(ground: &Ground) -> Test {
    assert_eq!(ground.mapper.table().version, 5);
    assert_eq!(ground.mapper.number("ANDROID_HAL_MAPPER_VERSION")?, 5);
    assert_eq!(ground.mapper.number("ANDROID_HAL_STABLEC_VERSION")?, 5);
    Ok(())
}

fn all_callbacks_defined(ground: &Ground) -> Test {
    let table = ground.mapper.table();
    assert!(table.version >= abi::VERSION);
    assert!(functions(table).iter().all(|function| *function != 0), "{table:?}");
    Ok(())
}

fn dual_load_is_identical(ground: &Ground) -> Test {
    assert_eq!(functions(ground.mapper.load_again()?), functions(ground.mapper.table()));
    Ok(())
}

fn can_allocate(ground: &Ground) -> Test {
    assert!(ground.generic()?.stride >= 64);
    Ok(())
}

fn import_free(ground: &Ground) -> Test {
    let buffer = ground.generic()?;
    let (first, second) = (buffer.import(ground)?, buffer.import(ground)?);
    assert_ne!(first.handle(), second.handle());
    Ok(())
}

fn import_free_singleton(ground: &Ground) -> Test {
    let buffer = ground.generic()?;
    let mut handle = ptr::null();
    // SAFETY: a native handle, and a place for another.
    let code =
        unsafe { (ground.mapper.table().v5.import_buffer)(buffer.raw.as_ptr(), &mut handle) };
    assert_eq!(code, Code::NONE);
    let second = ground.mapper.load_again()?;
    // SAFETY: an imported handle.
    assert_eq!(unsafe { (second.v5.free_buffer)(handle) }, Code::NONE);
    Ok(())
}

fn import_negative(ground: &Ground) -> Test {
    let mut out = ptr::null();
    let import = ground.mapper.table().v5.import_buffer;
    // SAFETY: null must be noticed.
    assert_eq!(unsafe { import(ptr::null(), &mut out) }, Code::BAD_BUFFER);
    assert_eq!(ground.import_words(&EMPTY), Code::BAD_BUFFER);
    Ok(())
}

fn free_negative(ground: &Ground) -> Test {
    assert_eq!(ground.free(ptr::null()), Code::BAD_BUFFER);
    assert_eq!(ground.free(EMPTY.as_ptr().cast()), Code::BAD_BUFFER);
    assert_eq!(ground.free(ground.generic()?.raw.as_ptr()), Code::BAD_BUFFER, "not imported");
    Ok(())
}

fn region(info: &BufferDescriptorInfo) -> ARect {
    ARect { left: 0, top: 0, right: info.width, bottom: info.height }
}

/// Writes to what a lock gave, and reads it back through another one.
fn write_and_read(
    buffer: &Imported<'_>,
    usage: Usage,
    fill: impl FnOnce(&mut [u8]),
    check: impl FnOnce(&[u8]) -> Test,
) -> Test {
    buffer.with_pixels(usage, fill)?;
    buffer.with_pixels(usage, |pixels| check(pixels))?
}

fn lock_unlock_basic(ground: &Ground) -> Test {
    let allocation = ground.generic()?;
    let buffer = allocation.import(ground)?;
    let stride = 4 * allocation.stride;
    let rows = |pixels: &mut [u8]| {
        for (y, row) in pixels.chunks_mut(stride).take(64).enumerate() {
            row[..4 * 64].fill(y as u8);
        }
    };
    write_and_read(&buffer, allocation.usage(), rows, |pixels| {
        for (y, row) in pixels.chunks(stride).take(64).enumerate() {
            assert!(row[..4 * 64].iter().all(|byte| *byte == y as u8), "row {y}");
        }
        Ok(())
    })?;
    // The region of the whole buffer may also be spelled out.
    buffer.lock(allocation.usage(), region(&allocation.info))?;
    buffer.unlock()?;
    require_rgba(&planes::layouts(&buffer)?);
    Ok(())
}

fn require_rgba(planes: &[PlaneLayout]) {
    let [plane] = planes else { panic!("{} planes", planes.len()) };
    assert_eq!(plane.components.len(), 4);
    let kinds = [ComponentKind::R, ComponentKind::G, ComponentKind::B, ComponentKind::A];
    for (place, kind) in kinds.into_iter().enumerate() {
        let component = plane.components.iter().find(|c| c.kind.value == kind as i64);
        let component = component.unwrap_or_else(|| panic!("no {kind:?}"));
        assert_eq!((component.offset_in_bits, component.size_in_bits), (8 * place as i64, 8));
    }
    assert_eq!((plane.offset_in_bytes, plane.sample_increment_in_bits), (0, 32));
    assert_eq!((plane.horizontal_subsampling, plane.vertical_subsampling), (1, 1));
    let needed = 4 * plane.width_in_samples * plane.height_in_samples;
    assert!(needed <= plane.total_size_in_bytes, "{plane:?}");
}

/// Allocates a 64 x 64 picture, fills and reads its components, and lets `check` judge them.
fn lock_ycbcr(
    ground: &Ground,
    format: PixelFormat,
    subsampling: [i64; 2],
    judge: fn(&[Samples; 3]),
) -> Test {
    let allocation = ground.allocate(picture(format))?;
    let buffer = allocation.import(ground)?;
    let components = planes::ycbcr(&buffer)?;
    let [y, cb, cr] = components;
    assert_eq!((y.width, y.height), (64, 64));
    assert_eq!((cb.subsampling, cr.subsampling), (subsampling, subsampling));
    assert_eq!((cb.stride, cb.step), (cr.stride, cr.step));
    judge(&components);
    let fill = |pixels: &mut [u8]| planes::fill(pixels, &components);
    write_and_read(&buffer, CPU, fill, |pixels| planes::check(pixels, &components))
}

fn lock_ycrcb_420_sp(ground: &Ground) -> Test {
    lock_ycbcr(ground, PixelFormat::YCRCB_420_SP, [2, 2], |[y, cb, cr]| {
        assert_eq!((y.bits, y.step), (8, 1));
        assert_eq!((cr.first + 1, cb.step), (cb.first, 2));
    })
}

fn lock_yv12(ground: &Ground) -> Test {
    lock_ycbcr(ground, PixelFormat::YV12, [2, 2], |[y, cb, cr]| {
        assert_eq!((y.bits, y.step, cb.step), (8, 1, 1));
        assert_eq!(cr.first + cr.stride * 64 / 2, cb.first);
        assert_eq!((y.stride % 16, cr.stride % 16), (0, 0));
    })
}

fn lock_ycbcr_420_888(ground: &Ground) -> Test {
    lock_ycbcr(ground, PixelFormat::YCBCR_420_888, [2, 2], |[y, cb, _]| {
        assert_eq!((y.bits, y.step), (8, 1));
        assert!(cb.step == 1 || cb.step == 2);
    })
}

fn lock_p010(ground: &Ground) -> Test {
    lock_ten_bits(ground, PixelFormat::YCBCR_P010, [2, 2])
}

fn lock_p210(ground: &Ground) -> Test {
    lock_ten_bits(ground, PixelFormat::YCBCR_P210, [2, 1])
}

fn lock_ten_bits(ground: &Ground, format: PixelFormat, subsampling: [i64; 2]) -> Test {
    lock_ycbcr(ground, format, subsampling, |[y, cb, cr]| {
        assert_eq!((y.bits, y.step), (10, 2));
        assert_eq!((cb.bits, cb.step), (10, 4));
        assert_eq!(cb.first + 2, cr.first);
    })?;
    let buffer = ground.allocate(picture(format))?.import(ground)?;
    let [luma, chroma] = &planes::layouts(&buffer)?[..] else { panic!("not two planes") };
    assert_eq!(luma.components.len(), 1);
    assert_eq!(luma.components[0].offset_in_bits, 6);
    assert_eq!(chroma.components.len(), 2);
    Ok(())
}

fn yv12_subsample_metadata(ground: &Ground) -> Test {
    let buffer = ground.allocate(picture(PixelFormat::YV12))?.import(ground)?;
    let [y, cr, cb] = &planes::layouts(&buffer)?[..] else { panic!("not three planes") };
    assert_eq!((y.width_in_samples, y.height_in_samples), (64, 64));
    for (plane, kind) in [(cr, ComponentKind::CR), (cb, ComponentKind::CB)] {
        assert_eq!(plane.components[0].kind.value, kind as i64);
        assert_eq!((plane.horizontal_subsampling, plane.vertical_subsampling), (2, 2));
        assert_eq!((plane.width_in_samples, plane.height_in_samples), (32, 32));
        assert!(plane.width_in_samples <= plane.stride_in_bytes);
    }
    Ok(())
}

fn lock_raw10(ground: &Ground) -> Test {
    lock_raw(ground, PixelFormat::RAW10)
}

fn lock_raw12(ground: &Ground) -> Test {
    lock_raw(ground, PixelFormat::RAW12)
}

fn lock_raw(ground: &Ground, format: PixelFormat) -> Test {
    let buffer = ground.allocate(picture(format))?.import(ground)?;
    let [plane] = &planes::layouts(&buffer)?[..] else { panic!("not one plane") };
    assert_eq!(plane.sample_increment_in_bits, 0);
    assert_eq!((plane.horizontal_subsampling, plane.vertical_subsampling), (1, 1));
    let [component] = &plane.components[..] else { panic!("not one component") };
    assert_eq!(component.kind.value, ComponentKind::RAW as i64);
    assert_eq!((component.offset_in_bits % 8, component.size_in_bits), (0, -1));
    let end = (plane.stride_in_bytes * plane.height_in_samples) as usize;
    write_and_read(
        &buffer,
        CPU,
        |pixels| pixels[..end].fill(0xa5),
        |pixels| {
            assert!(pixels[..end].iter().all(|byte| *byte == 0xa5));
            Ok(())
        },
    )
}

fn lock_bad_region(ground: &Ground) -> Test {
    let buffer = ground.imported()?;
    let twice = ARect { left: 0, top: 0, right: 128, bottom: 128 };
    expect_refused("twice as large", buffer.lock(CPU, twice), Code::BAD_VALUE)
}

fn unlock_negative(ground: &Ground) -> Test {
    assert_eq!(ground.unlock(ptr::null()), Code::BAD_BUFFER);
    assert_eq!(ground.unlock(EMPTY.as_ptr().cast()), Code::BAD_BUFFER);
    unlock_not_imported(ground)
}

fn unlock_not_imported(ground: &Ground) -> Test {
    assert_eq!(ground.unlock(ground.generic()?.raw.as_ptr()), Code::BAD_BUFFER);
    Ok(())
}

fn unlock_not_locked(ground: &Ground) -> Test {
    expect_refused("unlock", ground.imported()?.unlock(), Code::BAD_BUFFER)
}

fn lock_unlock_nested(ground: &Ground) -> Test {
    let buffer = ground.imported()?;
    let first = buffer.lock(CPU, WHOLE)?;
    assert_eq!(buffer.lock(CPU, WHOLE)?, first, "the mapping is made once");
    buffer.unlock()?;
    buffer.unlock()?;
    expect_refused("a third unlock", buffer.unlock(), Code::BAD_BUFFER)
}

fn flush_reread(ground: &Ground) -> Test {
    let allocation = ground.generic()?;
    let (writer, reader) = (allocation.import(ground)?, allocation.import(ground)?);
    let to = writer.lock(Usage::CPU_WRITE_OFTEN, WHOLE)?;
    let from = reader.lock(Usage::CPU_READ_OFTEN, WHOLE)?;
    assert_ne!(to, from);
    let size = 4 * allocation.stride * 64;
    let flush = ground.mapper.table().v5.flush_locked_buffer;
    let reread = ground.mapper.table().v5.reread_locked_buffer;
    for byte in [3, 7] {
        // SAFETY: locked for writing, and this long.
        unsafe { to.write_bytes(byte, size) };
        // SAFETY: an imported handle.
        assert_eq!(unsafe { flush(writer.handle()) }, Code::NONE);
        // SAFETY: as above.
        assert_eq!(unsafe { reread(reader.handle()) }, Code::NONE);
        // SAFETY: locked for reading, and this long; the writer is this thread.
        let seen = unsafe { std::slice::from_raw_parts(from, size) };
        assert!(seen.iter().all(|seen| *seen == byte));
    }
    reader.unlock()?;
    writer.unlock()?;
    Ok(())
}

fn flush_bad_buffer(ground: &Ground) -> Test {
    let flush = ground.mapper.table().v5.flush_locked_buffer;
    // SAFETY: null must be noticed.
    assert_eq!(unsafe { flush(ptr::null()) }, Code::BAD_BUFFER);
    // SAFETY: an imported handle, which is not locked.
    assert_eq!(unsafe { flush(ground.imported()?.handle()) }, Code::BAD_BUFFER);
    Ok(())
}

fn reread_bad_buffer(ground: &Ground) -> Test {
    let reread = ground.mapper.table().v5.reread_locked_buffer;
    // SAFETY: null must be noticed.
    assert_eq!(unsafe { reread(ptr::null()) }, Code::BAD_BUFFER);
    // SAFETY: an imported handle, which is not locked.
    assert_eq!(unsafe { reread(ground.imported()?.handle()) }, Code::BAD_BUFFER);
    Ok(())
}

fn get_buffer_id(ground: &Ground) -> Test {
    let allocation = ground.generic()?;
    let (one, same, other) =
        (allocation.import(ground)?, allocation.import(ground)?, ground.imported()?);
    let id = number(&one, Type::BufferId)?;
    assert_eq!(number(&same, Type::BufferId)?, id);
    assert_ne!(number(&other, Type::BufferId)?, id);
    Ok(())
}

fn get_name(ground: &Ground) -> Test {
    let info = BufferDescriptorInfo { name: name("Hello, World!"), ..good() };
    expect_value(&ground.allocate(info)?.import(ground)?, Value::Name("Hello, World!".into()))
}

fn get_width_height(ground: &Ground) -> Test {
    let buffer = ground.allocate(BufferDescriptorInfo { height: 128, ..good() })?;
    let buffer = buffer.import(ground)?;
    expect_value(&buffer, Value::Width(64))?;
    expect_value(&buffer, Value::Height(128))
}

fn get_layer_count(ground: &Ground) -> Test {
    expect_value(&ground.imported()?, Value::LayerCount(1))?;
    let buffer = ground.allocate(BufferDescriptorInfo { layerCount: 3, ..good() })?;
    expect_value(&buffer.import(ground)?, Value::LayerCount(3))
}

fn get_pixel_format_requested(ground: &Ground) -> Test {
    expect_value(&ground.imported()?, Value::PixelFormatRequested(PixelFormat::RGBA_8888.0))
}

fn get_pixel_format_fourcc(ground: &Ground) -> Test {
    let fourcc = |code: &[u8; 4]| Value::PixelFormatFourcc(u32::from_le_bytes(*code));
    expect_value(&ground.imported()?, fourcc(b"AB24"))?;
    let yv12 = ground.allocate(picture(PixelFormat::YV12))?;
    expect_value(&yv12.import(ground)?, fourcc(b"YV12"))
}

fn get_pixel_format_modifier(ground: &Ground) -> Test {
    // DRM_FORMAT_MOD_LINEAR
    expect_value(&ground.imported()?, Value::PixelFormatModifier(0))
}

fn get_usage(ground: &Ground) -> Test {
    expect_value(&ground.imported()?, Value::Usage(CPU.bits()))
}

/// Bits above the 32 that older interfaces had.
fn get_usage64(ground: &Ground) -> Test {
    let usage = BufferUsage::FRONT_BUFFER
        | BufferUsage::GPU_RENDER_TARGET
        | BufferUsage::COMPOSER_OVERLAY
        | BufferUsage::GPU_TEXTURE;
    let buffer = ground.allocate(BufferDescriptorInfo { usage, ..good() })?;
    expect_value(&buffer.import(ground)?, Value::Usage(usage.0.cast_unsigned()))
}

fn get_allocation_size(ground: &Ground) -> Test {
    let allocation = ground.generic()?;
    let size = number(&allocation.import(ground)?, Type::AllocationSize)?;
    let estimate = 4 * allocation.stride as u64 * 64;
    assert!((estimate..2 * estimate).contains(&size), "{size} for {estimate}");
    Ok(())
}

fn get_protected_content(ground: &Ground) -> Test {
    expect_value(&ground.imported()?, Value::ProtectedContent(0))?;
    let usage = BufferUsage::PROTECTED | BufferUsage::COMPOSER_OVERLAY;
    let info = BufferDescriptorInfo { usage, ..good() };
    if !ground.allocator.isSupported(&info)? {
        assert!(ground.allocator.allocate2(&info, 1).is_err());
        return Ok(());
    }
    let buffer = ground.allocate(info)?.import(ground)?;
    expect_value(&buffer, Value::ProtectedContent(1))?;
    expect_refused("the CPU", buffer.lock(Usage::CPU_READ_RARELY, WHOLE), Code::BAD_VALUE)
}

fn none(list: &str) -> Extendable {
    Extendable { name: format!("android.hardware.graphics.common.{list}"), value: 0 }
}

fn get_compression(ground: &Ground) -> Test {
    expect_value(&ground.imported()?, Value::Compression(none("Compression")))
}

fn get_interlaced(ground: &Ground) -> Test {
    expect_value(&ground.imported()?, Value::Interlaced(none("Interlaced")))
}

fn get_chroma_siting(ground: &Ground) -> Test {
    expect_value(&ground.imported()?, Value::ChromaSiting(none("ChromaSiting")))
}

fn get_plane_layouts(ground: &Ground) -> Test {
    require_rgba(&planes::layouts(&ground.imported()?)?);
    Ok(())
}

fn get_crop(ground: &Ground) -> Test {
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

fn get_set_dataspace(ground: &Ground) -> Test {
    let value = |dataspace: Dataspace| Value::Dataspace(dataspace.0);
    get_set(ground, value(Dataspace::UNKNOWN), value(Dataspace::DISPLAY_P3))
}

fn get_set_blend_mode(ground: &Ground) -> Test {
    let value = |mode: BlendMode| Value::BlendMode(mode.0);
    get_set(ground, value(BlendMode::INVALID), value(BlendMode::COVERAGE))
}

fn get_set_smpte2086(ground: &Ground) -> Test {
    let value = [1.0, 1.0, 2.0, 2.0, 3.0, 3.0, 400.0, 1000.0, 100_000.0, 0.0001];
    get_set(ground, Value::Smpte2086(None), Value::Smpte2086(Some(value)))
}

fn get_cta861_3(ground: &Ground) -> Test {
    get_set(ground, Value::Cta861_3(None), Value::Cta861_3(Some([1000.0, 140.0])))
}

fn get_smpte2094_10(ground: &Ground) -> Test {
    let value = (0..=255).cycle().take(512).collect();
    get_set(ground, Value::Smpte2094_10(None), Value::Smpte2094_10(Some(value)))
}

fn get_smpte2094_40(ground: &Ground) -> Test {
    let value = (0..=255).cycle().take(1024).collect();
    get_set(ground, Value::Smpte2094_40(None), Value::Smpte2094_40(Some(value)))
}

fn get_stride(ground: &Ground) -> Test {
    let allocation = ground.generic()?;
    let buffer = allocation.import(ground)?;
    assert_eq!(number(&buffer, Type::Stride)?, allocation.stride as u64);
    Ok(())
}

fn list(ground: &Ground) -> &'static [abi::MetadataTypeDescription] {
    let (mut list, mut count) = (ptr::null(), 0);
    // SAFETY: places for a pointer and a number.
    let code =
        unsafe { (ground.mapper.table().v5.list_supported_metadata_types)(&mut list, &mut count) };
    assert_eq!(code, Code::NONE);
    // SAFETY: the list is static, and this long.
    unsafe { std::slice::from_raw_parts(list, count) }
}

fn description(ground: &Ground, kind: Type) -> &'static abi::MetadataTypeDescription {
    let found = list(ground).iter().find(|d| d.metadata_type.value == kind.number());
    found.unwrap_or_else(|| panic!("{kind:?} is not in the list"))
}

const MUST_BE_SETTABLE: [Type; 4] =
    [Type::Dataspace, Type::BlendMode, Type::Smpte2086, Type::Cta861_3];

fn required_getters_and_setters(ground: &Ground) -> Test {
    assert_eq!(list(ground).len(), Type::ALL.len());
    for kind in Type::ALL {
        let description = description(ground, *kind);
        // SAFETY: the interface says that it is a string.
        let name = unsafe { CStr::from_ptr(description.metadata_type.name) };
        assert_eq!(name.to_str()?, dmaheap_buffer::standard::NAME);
        assert!(description.is_gettable, "{kind:?}");
        assert!(description.is_settable || !MUST_BE_SETTABLE.contains(kind), "{kind:?}");
        assert_eq!(description.reserved, [0; 32]);
    }
    Ok(())
}

fn required_setters_if_getters(ground: &Ground) -> Test {
    for kind in [Type::Smpte2094_10, Type::Smpte2094_40] {
        assert!(description(ground, kind).is_settable, "{kind:?}");
    }
    Ok(())
}

fn list_supported_works(ground: &Ground) -> Test {
    let buffer = ground.imported()?;
    let v5 = &ground.mapper.table().v5;
    for description in list(ground) {
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
        let expected = if description.is_settable { Code::NONE } else { Code::BAD_VALUE };
        assert_eq!(set, expected, "{}", kind.value);
    }
    Ok(())
}

fn get_metadata_bad_value(ground: &Ground) -> Test {
    let get = ground.mapper.table().v5.get_standard_metadata;
    for kind in Type::ALL {
        // SAFETY: null must be noticed.
        let got = unsafe { get(ptr::null(), kind.number(), ptr::null_mut(), 0) };
        assert_eq!(Code(-got), Code::BAD_BUFFER, "{kind:?}");
    }
    Ok(())
}

fn get_unsupported_metadata(ground: &Ground) -> Test {
    let buffer = ground.imported()?;
    let v5 = &ground.mapper.table().v5;
    let fake = abi::MetadataType { name: c"Fake".as_ptr(), value: 1 };
    // SAFETY: an imported handle; null asks for the size.
    let got = unsafe { (v5.get_metadata)(buffer.handle(), fake, ptr::null_mut(), 0) };
    assert_eq!(Code(-got), Code::UNSUPPORTED);
    for unknown in [0, 24, -1, i64::MIN, i64::MAX] {
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
