// SPDX-License-Identifier: Apache-2.0
//! The rest of the table: what its calls answer to values and places of all kinds.

use std::os::fd::BorrowedFd;

use dmaheap_aidl::allocator::BufferDescriptorInfo;
use dmaheap_aidl::common::{BufferUsage, PixelFormat};
use dmaheap_buffer::handle::{FDS, INTS};
use dmaheap_buffer::standard::Rect;
use dmaheap_buffer::{Format, Type, Value};
use dmaheap_imapper::{Code, MetadataType};
use libtest_mimic::Trial;
use nix::libc::c_void;

use super::ground::{
    Allocation, CPU, Ground, Test, expect_refused, expect_value, name, number, picture, trial,
};
use super::planes;
use crate::dmabuf::DmaBuf;
use crate::imapper::{Imported, WHOLE, end_of};
use crate::service::good;

pub fn trials() -> Vec<Trial> {
    let trial = |name: &str, test| trial(format!("table::{name}"), test);
    vec![
        trial("every_standard_type_is_listed_once", every_type_is_listed),
        trial("layouts_are_linear", layouts_are_linear),
        trial("places_that_are_null_are_refused", null_places),
        trial("transport_size_is_that_of_the_raw_handle", transport_size),
        trial("an_imported_handle_is_imported_again", import_of_an_import),
        trial("dump_has_all_metadata", dump),
        trial("dump_all_has_all_buffers", dump_all),
        trial("crop_is_set_inside_each_plane_only", crop),
        trial("allocation_size_counts_all_memory", allocation_size),
        trial("strides_are_those_of_the_formats", strides),
        trial("readers_by_stride_or_plane_stay_inside", readers_stay_inside),
        trial("malformed_values_are_not_set", malformed_values),
        trial("small_places_get_the_size_and_nothing_else", small_places),
        trial("functions_of_version_6_know_of_one_view", one_view),
        trial("only_a_picture_that_may_be_hdr_has_room_for_the_longest", room),
    ]
}

fn every_type_is_listed(ground: &Ground) -> Test {
    let (mut list, mut count) = (std::ptr::null(), 0);
    let get = ground.mapper.table().v5.list_supported_metadata_types;
    // SAFETY: places for a pointer and a number.
    assert_eq!(unsafe { get(&mut list, &mut count) }, Code::NONE);
    // SAFETY: the list is static, and this long.
    let list = unsafe { std::slice::from_raw_parts(list, count) };
    let mut listed: Vec<i64> = list.iter().map(|one| one.metadata_type.value).collect();
    listed.sort_unstable();
    let mut all: Vec<i64> = Type::ALL.iter().map(|kind| kind.number()).collect();
    all.sort_unstable();
    assert_eq!(listed, all);
    Ok(())
}

fn layouts_are_linear(ground: &Ground) -> Test {
    // DRM_FORMAT_MOD_LINEAR
    expect_value(&ground.imported()?, Value::PixelFormatModifier(0))
}

fn null_places(ground: &Ground) -> Test {
    let buffer = ground.imported()?;
    let (v5, handle) = (&ground.mapper.table().v5, buffer.handle());
    let mut number = 0;
    buffer.lock(CPU, WHOLE)?;
    // SAFETY: an imported handle; null must be noticed.
    let codes = unsafe {
        [
            (v5.lock)(handle, 0x33, WHOLE, -1, std::ptr::null_mut()),
            (v5.unlock)(handle, std::ptr::null_mut()),
            (v5.get_transport_size)(handle, &mut number, std::ptr::null_mut()),
            (v5.set_standard_metadata)(handle, 17, std::ptr::null(), 4),
            (v5.list_supported_metadata_types)(std::ptr::null_mut(), std::ptr::null_mut()),
            (v5.dump_buffer)(handle, None, std::ptr::null_mut()),
            (v5.dump_all_buffers)(None, None, std::ptr::null_mut()),
            (v5.get_reserved_region)(handle, std::ptr::null_mut(), std::ptr::null_mut()),
        ]
    };
    assert_eq!(codes, [Code::BAD_VALUE; 8]);
    // What was refused did nothing.
    buffer.unlock()?;
    expect_refused("a second unlock", buffer.unlock(), Code::BAD_BUFFER)
}

/// They are there before the library says that it has version 6.
fn one_view(ground: &Ground) -> Test {
    let allocation = ground.generic()?;
    let buffer = allocation.import(ground)?;
    let v6 = &ground.mapper.table().v6;
    let (mut views, mut count, mut view, mut out) = (std::ptr::null(), 0, 0, std::ptr::null());
    for (handle, expected) in
        [(buffer.handle(), Code::UNSUPPORTED), (allocation.raw.as_ptr(), Code::BAD_BUFFER)]
    {
        // SAFETY: a handle, which is looked up and not followed, and places for what is asked.
        let codes = unsafe {
            [
                (v6.get_multi_view_info)(handle, &mut views, &mut count),
                (v6.get_base_view)(handle, &mut view),
                (v6.import_view_buffer)(handle, 0, &mut out),
            ]
        };
        assert_eq!(codes, [expected; 3]);
    }
    assert!(views.is_null() && out.is_null() && (count, view) == (0, 0));
    Ok(())
}

/// The others' metadata is a page, as it always was.
fn room(ground: &Ground) -> Test {
    let value = Value::Smpte2094_50(Some(vec![7; 10_280]));
    let window = BufferUsage::GPU_TEXTURE | BufferUsage::COMPOSER_OVERLAY;
    for (usage, format, expected) in [
        (good().usage, PixelFormat::RGBA_8888, true),
        (window, PixelFormat::RGBA_1010102, true),
        (window, PixelFormat::RGBA_8888, false),
    ] {
        let info = BufferDescriptorInfo { usage, ..picture(format) };
        let buffer = ground.allocate(info)?.import(ground)?;
        let raw = buffer.to_raw()?;
        // SAFETY: the handle keeps its descriptors open.
        let metadata = unsafe { BorrowedFd::borrow_raw(raw.fds()[1]) };
        let size = DmaBuf::new(metadata.try_clone_to_owned()?)?.size()?;
        // Of either size of page, the others have one.
        assert_eq!(size > 16384, expected, "{size} bytes: {format:?} {usage:?}");
        match buffer.set(&value) {
            Ok(()) if expected => expect_value(&buffer, value.clone())?,
            result if expected => result?,
            result => {
                expect_refused("set", result, Code::UNSUPPORTED)?;
                expect_value(&buffer, Value::Smpte2094_50(None))?;
                buffer.set(&Value::Smpte2094_50(None))?;
            }
        }
    }
    Ok(())
}

fn transport_size(ground: &Ground) -> Test {
    let allocation = ground.generic()?;
    let buffer = allocation.import(ground)?;
    let get = ground.mapper.table().v5.get_transport_size;
    let (mut fds, mut ints) = (0, 0);
    // SAFETY: an imported handle, and places for numbers.
    assert_eq!(unsafe { get(buffer.handle(), &mut fds, &mut ints) }, Code::NONE);
    assert_eq!((fds as usize, ints as usize), (FDS, INTS));
    // SAFETY: the handle is raw, which the mapper must notice.
    let raw = unsafe { get(allocation.raw.as_ptr(), &mut fds, &mut ints) };
    assert_eq!(raw, Code::BAD_BUFFER);
    Ok(())
}

fn import_of_an_import(ground: &Ground) -> Test {
    let first = ground.imported()?;
    let mut second = std::ptr::null();
    // SAFETY: an imported handle is a native handle, too.
    let code = unsafe { (ground.mapper.table().v5.import_buffer)(first.handle(), &mut second) };
    assert_eq!(code, Code::NONE);
    assert_ne!(second, first.handle());
    assert_eq!(ground.free(second), Code::NONE);
    expect_value(&first, Value::Width(64))
}

#[derive(Default)]
struct Dump {
    buffers: usize,
    values: Vec<(i64, Vec<u8>)>,
}

unsafe extern "C" fn begin(context: *mut c_void) {
    // SAFETY: the context of every dump here is a `Dump`.
    unsafe { (*context.cast::<Dump>()).buffers += 1 };
}

unsafe extern "C" fn value(
    context: *mut c_void,
    kind: MetadataType,
    value: *const c_void,
    n: usize,
) {
    // SAFETY: the value has `n` bytes, says the interface.
    let value = unsafe { std::slice::from_raw_parts(value.cast::<u8>(), n) };
    // SAFETY: as in `begin`.
    unsafe { (*context.cast::<Dump>()).values.push((kind.value, value.to_vec())) };
}

fn require_dumped(dump: &Dump, buffer: &Imported<'_>) -> Test {
    for kind in Type::ALL {
        let expected = buffer.get_encoded(*kind)?;
        let entry = (kind.number(), expected);
        let unset = entry.1.is_empty();
        assert_eq!(dump.values.contains(&entry), !unset, "{kind:?}");
    }
    Ok(())
}

fn dump(ground: &Ground) -> Test {
    let buffer = ground.allocate(BufferDescriptorInfo { name: name("dumped"), ..good() })?;
    let buffer = buffer.import(ground)?;
    buffer.set(&Value::Cta861_3(Some([1.0, 2.0])))?;
    let dump = ground.mapper.table().v5.dump_buffer;
    let mut found = Dump::default();
    // SAFETY: an imported handle, and a callback that takes this context.
    let code = unsafe { dump(buffer.handle(), Some(value), (&raw mut found).cast()) };
    assert_eq!(code, Code::NONE);
    require_dumped(&found, &buffer)?;
    // SAFETY: null must be noticed.
    let code = unsafe { dump(std::ptr::null(), Some(value), (&raw mut found).cast()) };
    assert_eq!(code, Code::BAD_BUFFER);
    Ok(())
}

fn dump_all(ground: &Ground) -> Test {
    let buffers = [ground.imported()?, ground.imported()?, ground.imported()?];
    let mut found = Dump::default();
    let dump = ground.mapper.table().v5.dump_all_buffers;
    // SAFETY: callbacks that take this context.
    let code = unsafe { dump(Some(begin), Some(value), (&raw mut found).cast()) };
    assert_eq!((code, found.buffers), (Code::NONE, 3));
    buffers.iter().try_for_each(|buffer| require_dumped(&found, buffer))
}

fn rect([left, top, right, bottom]: [i32; 4]) -> Rect {
    Rect { left, top, right, bottom }
}

/// One for each plane, in its samples.
fn crop(ground: &Ground) -> Test {
    let buffer = ground.allocate(picture(PixelFormat::YCBCR_420_888))?.import(ground)?;
    let planes = planes::layouts(&buffer)?;
    let whole: Vec<Rect> = planes
        .iter()
        .map(|plane| rect([0, 0, plane.width_in_samples as i32, plane.height_in_samples as i32]))
        .collect();
    expect_value(&buffer, Value::Crop(whole.clone()))?;

    let crop = |of: fn(&mut Rect)| {
        let mut crops = whole.clone();
        crops.iter_mut().for_each(of);
        crops
    };
    let inside = Value::Crop(crop(|plane| (plane.left, plane.top) = (8, plane.bottom - 1)));
    buffer.set(&inside)?;
    for (what, outside) in [
        ("beyond the right", crop(|plane| plane.right += 1)),
        ("beyond the left", crop(|plane| plane.left = -1)),
        ("without width", crop(|plane| plane.left = plane.right)),
        ("at the other end", crop(|plane| *plane = rect([i32::MIN; 4]))),
        ("in pixels", vec![whole[0]; whole.len()]),
        ("of luma only", vec![whole[0]]),
        ("of a plane more", [whole.clone(), vec![whole[0]]].concat()),
        ("of nothing", vec![]),
    ] {
        let refused = buffer.set(&Value::Crop(outside));
        expect_refused(&format!("a crop {what}"), refused, Code::UNSUPPORTED)?;
    }
    expect_value(&buffer, inside)
}

/// The interface: "including its metadata and extra padding". Kernels with larger pages add more.
fn allocation_size(ground: &Ground) -> Test {
    for (reserved, metadata) in [(0, 4096), (5000, 4096 + 8192)] {
        let info = BufferDescriptorInfo { reservedSize: reserved, ..good() };
        let buffer = ground.allocate(info)?.import(ground)?;
        assert_eq!(number(&buffer, Type::AllocationSize)?, 64 * 64 * 4 + metadata);
    }
    Ok(())
}

/// Bytes where the format is defined so; a camera's frame of 1920 pixels is what the framework
/// aborts for otherwise.
fn strides(ground: &Ground) -> Test {
    for (format, least) in [
        (PixelFormat::RAW10, 2400),
        (PixelFormat::RAW12, 2880),
        (PixelFormat::RAW16, 1920),
        (PixelFormat::Y8, 1920),
        (PixelFormat::Y16, 1920),
        (PixelFormat::YV12, 1920),
    ] {
        let info = BufferDescriptorInfo { width: 1920, height: 16, ..picture(format) };
        let allocation = ground.allocate(info)?;
        let stride = number(&allocation.import(ground)?, Type::Stride)? as usize;
        assert_eq!(stride, allocation.stride, "{format:?}");
        assert!((least..least + 64).contains(&stride), "{format:?}: {stride}");
        assert!(stride.is_multiple_of(16), "{format:?}: {stride}");
    }
    Ok(())
}

/// Bytes of the pixels, as the kernel knows them.
fn real_size(allocation: &Allocation) -> Result<usize, Box<dyn std::error::Error>> {
    Ok(DmaBuf::of_number(allocation.raw.fds()[0])?.size()?)
}

/// As libui does it, and by the planes.
fn readers_stay_inside(ground: &Ground) -> Test {
    let whole_pixels = |format: &Format| format.planes().len() == 1 && !format.is_blob();
    for format in Format::all().filter(whole_pixels) {
        for (width, height, layers) in [(1, 1, 1), (67, 33, 1), (64, 64, 3)] {
            let code = PixelFormat(format.code());
            let layered = BufferDescriptorInfo { layerCount: layers, ..picture(code) };
            let allocation = ground.allocate(BufferDescriptorInfo { width, height, ..layered })?;
            let buffer = allocation.import(ground)?;
            let bytes = match format.has_stride_in_bytes() {
                true => 1,
                false => format.planes()[0].bytes / format.planes()[0].width,
            };
            let layer = number(&buffer, Type::Stride)? as usize * height as usize * bytes as usize;
            let size = real_size(&allocation)?;
            assert!(layer * layers as usize <= size, "{format}: {layer} x {layers} of {size}");
            assert!(end_of(&planes::layouts(&buffer)?) <= size, "{format}");
        }
    }
    Ok(())
}

fn malformed_values(ground: &Ground) -> Test {
    let buffer = ground.imported()?;
    let good = Value::Dataspace(5).encode();
    buffer.set_encoded(Type::Dataspace, &good)?;
    for cut in 0..good.len() {
        let refused = buffer.set_encoded(Type::Dataspace, &good[..cut]);
        expect_refused("a cut value", refused, Code::UNSUPPORTED)?;
    }
    let mut huge = Value::Smpte2094_40(Some(vec![1])).encode();
    let length = huge.len() - 9;
    for bytes in [&[0xff; 8], &(i64::MAX).to_le_bytes(), &1025i64.to_le_bytes()] {
        huge[length..][..8].copy_from_slice(bytes);
        let refused = buffer.set_encoded(Type::Smpte2094_40, &huge);
        expect_refused("a length that lies", refused, Code::UNSUPPORTED)?;
    }
    let long = Value::Smpte2094_40(Some(vec![1; 1025]));
    expect_refused("a long value", buffer.set(&long), Code::UNSUPPORTED)?;
    let endless = vec![0x41; 1 << 20];
    let refused = buffer.set_encoded(Type::Smpte2094_40, &endless);
    expect_refused("an endless value", refused, Code::UNSUPPORTED)?;
    for constant in [Type::BufferId, Type::Width, Type::Usage, Type::PlaneLayouts, Type::Stride] {
        let value = buffer.get_encoded(constant)?;
        let refused = buffer.set_encoded(constant, &value);
        expect_refused(&format!("{constant:?}"), refused, Code::BAD_VALUE)?;
    }
    expect_value(&buffer, Value::Dataspace(5))?;
    expect_value(&buffer, Value::Smpte2094_40(None))
}

fn small_places(ground: &Ground) -> Test {
    let buffer = ground.imported()?;
    let get = ground.mapper.table().v5.get_standard_metadata;
    for kind in Type::ALL {
        let whole = buffer.get_encoded(*kind)?;
        for room in 0..whole.len() {
            let mut place = vec![0xee; whole.len()];
            let start = place.as_mut_ptr().cast();
            // SAFETY: an imported handle; the place has at least `room` bytes.
            let size = unsafe { get(buffer.handle(), kind.number(), start, room) };
            assert_eq!(size as usize, whole.len());
            assert!(place[room..].iter().all(|byte| *byte == 0xee), "{kind:?} in {room} bytes");
        }
    }
    Ok(())
}
