// SPDX-License-Identifier: Apache-2.0
//! The cases of the interface's conformance test (VtsHalGraphicsMapperStableC), by their names
//! there. What they ask is known; how they ask is written here.

mod metadata;

use std::error::Error;
use std::ptr;

use dmaheap_aidl::allocator::BufferDescriptorInfo;
use dmaheap_aidl::common::PixelFormat;
use dmaheap_buffer::Usage;
use dmaheap_buffer::format::ComponentKind;
use dmaheap_buffer::standard::PlaneLayout;
use dmaheap_imapper::{AIMapper, ARect, Code, VERSION};
use libtest_mimic::Trial;

use super::ground::{Allocation, CPU, EMPTY, Ground, Test, expect_refused, picture, trial};
use super::planes::{self, Samples};
use crate::imapper::{Imported, WHOLE};

use metadata::*;

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
    Lock_RAW14: lock_raw14,
    Lock_RGB_Format: lock_rgb,
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
    GetSmpte2094_50: get_smpte2094_50,
    GetStride: get_stride,
    SupportsRequiredGettersSetters: required_getters_and_setters,
    CheckRequiredSettersIfHasGetters: required_setters_if_getters,
    ListSupportedWorks: list_supported_works,
    GetMetadataBadValue: get_metadata_bad_value,
    GetUnsupportedMetadata: get_unsupported_metadata,
}

/// All tests; their names alone need no device.
pub fn trials() -> Vec<Trial> {
    CASES.iter().map(|(name, test)| trial((*name).to_owned(), *test)).collect()
}

/// As numbers, so that a null one would show.
fn functions(table: &AIMapper) -> [usize; 15] {
    let start = (&raw const table.v5).cast::<[usize; 15]>();
    // SAFETY: the table is 15 function pointers and nothing else.
    unsafe { start.read() }
}

fn version_checks(ground: &Ground) -> Test {
    assert_eq!(ground.mapper.table().version, 5);
    assert_eq!(ground.mapper.number("ANDROID_HAL_MAPPER_VERSION")?, 5);
    Ok(())
}

fn all_callbacks_defined(ground: &Ground) -> Test {
    let table = ground.mapper.table();
    assert!(table.version >= VERSION);
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

/// A 64 x 64 picture. Devices must have these formats, and may have the others.
fn of_format(ground: &Ground, format: PixelFormat) -> Result<Allocation, Box<dyn Error>> {
    if [PixelFormat::YV12, PixelFormat::YCBCR_420_888].contains(&format) {
        return ground.allocate(picture(format));
    }
    ground.allocate_optional(&format!("{format:?}"), picture(format))
}

/// Allocates a 64 x 64 picture, fills and reads its components, and lets `check` judge them.
fn lock_ycbcr(
    ground: &Ground,
    format: PixelFormat,
    subsampling: [i64; 2],
    judge: fn(&[Samples; 3]),
) -> Test {
    let allocation = of_format(ground, format)?;
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
    let buffer = of_format(ground, format)?.import(ground)?;
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

fn lock_raw14(ground: &Ground) -> Test {
    lock_raw(ground, PixelFormat::RAW14)
}

/// Formats of red, green and blue; devices must have the first five.
const RGB: [PixelFormat; 10] = [
    PixelFormat::RGBA_8888,
    PixelFormat::RGBX_8888,
    PixelFormat::RGB_888,
    PixelFormat::RGB_565,
    PixelFormat::BGRA_8888,
    PixelFormat::RGBA_1010102,
    PixelFormat::BGRA_1010102,
    PixelFormat::BGRX_1010102,
    PixelFormat::RGBA_FP16,
    PixelFormat::RGBA_10101010,
];

/// One plane each, with the components that the name says, as far as they are whole bytes.
fn lock_rgb(ground: &Ground) -> Test {
    for (place, format) in RGB.into_iter().enumerate() {
        if place >= 5 && !ground.allocator.isSupported(&picture(format))? {
            continue;
        }
        let allocation = ground.allocate(picture(format))?;
        let buffer = allocation.import(ground)?;
        let planes = planes::layouts(&buffer)?;
        let [plane] = &planes[..] else { panic!("{format:?}: {} planes", planes.len()) };
        let colours = [ComponentKind::R, ComponentKind::G, ComponentKind::B];
        for kind in colours {
            assert!(plane.components.iter().any(|c| c.kind.value == kind as i64), "{format:?}");
        }
        let stride = usize::try_from(plane.stride_in_bytes)?;
        let step = usize::try_from(plane.sample_increment_in_bits / 8)?;
        assert_eq!(stride, step * allocation.stride, "{format:?}");
        let row = |y: usize| (0..64 * step).map(move |x| (x + 7 * y) as u8);
        write_and_read(
            &buffer,
            CPU,
            |pixels| {
                for (y, bytes) in pixels.chunks_mut(stride).take(64).enumerate() {
                    bytes.iter_mut().zip(row(y)).for_each(|(to, byte)| *to = byte);
                }
            },
            |pixels| {
                for (y, bytes) in pixels.chunks(stride).take(64).enumerate() {
                    assert!(bytes[..64 * step].iter().copied().eq(row(y)), "{format:?} row {y}");
                }
                Ok(())
            },
        )?;
    }
    Ok(())
}

fn lock_raw(ground: &Ground, format: PixelFormat) -> Test {
    let buffer = of_format(ground, format)?.import(ground)?;
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
    buffer.lock(CPU, WHOLE)?;
    buffer.lock(CPU, WHOLE)?;
    buffer.unlock()?;
    buffer.unlock()?;
    expect_refused("a third unlock", buffer.unlock(), Code::BAD_BUFFER)
}

fn flush_reread(ground: &Ground) -> Test {
    let allocation = ground.generic()?;
    let (writer, reader) = (allocation.import(ground)?, allocation.import(ground)?);
    let to = writer.lock(Usage::CPU_WRITE_OFTEN, WHOLE)?;
    let from = reader.lock(Usage::CPU_READ_OFTEN, WHOLE)?;
    assert_ne!(writer.handle(), reader.handle());
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
    Ok(())
}

fn reread_bad_buffer(ground: &Ground) -> Test {
    let reread = ground.mapper.table().v5.reread_locked_buffer;
    // SAFETY: null must be noticed.
    assert_eq!(unsafe { reread(ptr::null()) }, Code::BAD_BUFFER);
    Ok(())
}
