// SPDX-License-Identifier: Apache-2.0
//! What broken mappers do with metadata. Their callers keep the contract of the function that each
//! stands for.

use std::collections::HashMap;
use std::ptr;
use std::sync::{LazyLock, Mutex};

use dmaheap_buffer::format::ComponentKind;
use dmaheap_buffer::{Type, Value};
use dmaheap_imapper::{BufferHandle, Code, MetadataType, MetadataTypeDescription};
use dmaheap_suite::imapper::end_of;
use libc::c_void;

use super::sound;

/// More than any value has.
const ROOM: usize = 16384;

/// Encoded metadata by the sound library.
fn encoded(handle: BufferHandle, kind: i64) -> Result<Vec<u8>, i32> {
    let mut bytes = vec![0u8; ROOM];
    // SAFETY: the library looks handles up, and `bytes` has so many bytes.
    let size = unsafe {
        (sound().get_standard_metadata)(handle, kind, bytes.as_mut_ptr().cast(), bytes.len())
    };
    bytes.truncate(usize::try_from(size).map_err(|_| size)?);
    Ok(bytes)
}

/// Bytes of a buffer's planes; 0 of what is no buffer.
pub fn size(handle: BufferHandle) -> usize {
    let kind = Type::PlaneLayouts;
    let value = encoded(handle, kind.number()).map(|bytes| Value::decode(kind, &bytes));
    match value {
        Ok(Ok(Value::PlaneLayouts(planes))) => end_of(&planes),
        _ => 0,
    }
}

/// Answers a question for metadata with these bytes.
///
/// # Safety
/// `out` is null or points to `room` bytes.
unsafe fn answer(bytes: &[u8], out: *mut c_void, room: usize) -> i32 {
    if !out.is_null() && bytes.len() <= room {
        // SAFETY: there is room.
        unsafe { out.cast::<u8>().copy_from_nonoverlapping(bytes.as_ptr(), bytes.len()) };
    }
    bytes.len() as i32
}

/// Functions with the signature of `getStandardMetadata` that change some sound answers.
macro_rules! changes {
    ($($name:ident: $value:pat => $change:expr;)*) => {
        $(pub unsafe extern "C" fn $name(
            handle: BufferHandle,
            kind: i64,
            out: *mut c_void,
            room: usize,
        ) -> i32 {
            let mut bytes = match encoded(handle, kind) {
                Ok(bytes) => bytes,
                Err(refusal) => return refusal,
            };
            let value = Type::new(kind).and_then(|kind| Value::decode(kind, &bytes).ok());
            if let Some(mut value) = value {
                if let $value = &mut value {
                    $change;
                    bytes = value.encode();
                }
            }
            // SAFETY: the caller's promise.
            unsafe { answer(&bytes, out, room) }
        })*
    };
}

changes! {
    same_id: Value::BufferId(id) => *id = 1;
    no_name: Value::Name(name) => name.clear();
    half_usage: Value::Usage(usage) => *usage &= u64::from(u32::MAX);
    stride_in_bytes: Value::Stride(stride) => *stride *= 4;
    size_of_a_row: Value::AllocationSize(size) => *size /= 64;
    size_of_pixels: Value::AllocationSize(size) => *size -= 4096;
    stride_times_1000: Value::Stride(stride) => *stride *= 1000;
    one_crop: Value::Crop(crops) => crops.truncate(1);
    red_for_blue: Value::PixelFormatFourcc(code) => *code = u32::from_le_bytes(*b"AR24");
    no_picture: Value::Crop(crop) => crop[0].right = 0;
    compressed: Value::Compression(compression) => compression.value = 1;
    cb_for_cr: Value::PlaneLayouts(planes) => if let [_, cr, cb] = &mut planes[..] {
        std::mem::swap(&mut cr.components, &mut cb.components);
    };
    no_blue: Value::PlaneLayouts(planes) => {
        planes[0].components.retain(|component| component.kind.value != ComponentKind::B as i64);
    };
    a_kilobyte: Value::Smpte2094_50(Some(value)) => value.truncate(1024);
    half_rows: Value::PlaneLayouts(planes) => planes[0].stride_in_bytes /= 2;
}

/// RAW10 and RAW12 with the stride that every other format has.
pub unsafe extern "C" fn raw_stride_in_pixels(
    handle: BufferHandle,
    kind: i64,
    out: *mut c_void,
    room: usize,
) -> i32 {
    let planes = encoded(handle, Type::PlaneLayouts.number())
        .map(|bytes| Value::decode(Type::PlaneLayouts, &bytes));
    if kind == Type::Stride.number()
        && let Ok(Ok(Value::PlaneLayouts(planes))) = planes
        && let [plane] = &planes[..]
        && plane.sample_increment_in_bits == 0
    {
        let stride = Value::Stride(plane.width_in_samples as u32).encode();
        // SAFETY: the caller's promise.
        return unsafe { answer(&stride, out, room) };
    }
    // SAFETY: the caller's promise.
    unsafe { (sound().get_standard_metadata)(handle, kind, out, room) }
}

/// The base of every buffer is view 0.
pub unsafe extern "C" fn any_view(_: BufferHandle, _: *mut u32) -> Code {
    Code::NONE
}

pub unsafe extern "C" fn get_any(
    handle: BufferHandle,
    kind: i64,
    out: *mut c_void,
    room: usize,
) -> i32 {
    // SAFETY: the caller's promise.
    let size = unsafe { (sound().get_standard_metadata)(handle, kind, out, room) };
    if size == -Code::UNSUPPORTED.0 { 0 } else { size }
}

pub unsafe extern "C" fn get_of_null(
    handle: BufferHandle,
    kind: i64,
    out: *mut c_void,
    room: usize,
) -> i32 {
    if handle.is_null() {
        return 0;
    }
    // SAFETY: the caller's promise.
    unsafe { (sound().get_standard_metadata)(handle, kind, out, room) }
}

pub unsafe extern "C" fn set_nothing(_: BufferHandle, _: i64, _: *const c_void, _: usize) -> Code {
    Code::UNSUPPORTED
}

pub unsafe extern "C" fn lose(_: BufferHandle, _: i64, _: *const c_void, _: usize) -> Code {
    Code::NONE
}

pub unsafe extern "C" fn set_anything(
    handle: BufferHandle,
    kind: MetadataType,
    bytes: *const c_void,
    size: usize,
) -> Code {
    // SAFETY: the caller's promise.
    unsafe { (sound().set_metadata)(handle, kind, bytes, size) };
    Code::NONE
}

/// Values by import and type.
type Values = HashMap<(usize, i64), Vec<u8>>;

static SET: LazyLock<Mutex<Values>> = LazyLock::new(Mutex::default);

pub unsafe extern "C" fn set_here(
    handle: BufferHandle,
    kind: i64,
    bytes: *const c_void,
    size: usize,
) -> Code {
    let mut value = vec![0; size];
    // SAFETY: the caller's promise.
    unsafe { bytes.cast::<u8>().copy_to_nonoverlapping(value.as_mut_ptr(), size) };
    SET.lock().unwrap().insert((handle.addr(), kind), value);
    Code::NONE
}

pub unsafe extern "C" fn get_here(
    handle: BufferHandle,
    kind: i64,
    out: *mut c_void,
    room: usize,
) -> i32 {
    match SET.lock().unwrap().get(&(handle.addr(), kind)) {
        // SAFETY: the caller's promise.
        Some(value) => unsafe { answer(value, out, room) },
        // SAFETY: the caller's promise.
        None => unsafe { (sound().get_standard_metadata)(handle, kind, out, room) },
    }
}

pub unsafe extern "C" fn list_without_dataspace(
    list: *mut *const MetadataTypeDescription,
    count: *mut usize,
) -> Code {
    let (mut all, mut number) = (ptr::null(), 0);
    // SAFETY: places for a pointer and a number.
    let code = unsafe { (sound().list_supported_metadata_types)(&mut all, &mut number) };
    // SAFETY: the list is static, and this long.
    let all = unsafe { std::slice::from_raw_parts(all, number) };
    let other =
        |one: &&MetadataTypeDescription| one.metadata_type.value != Type::Dataspace.number();
    let others: Vec<_> = all.iter().filter(other).copied().collect();
    // SAFETY: the caller's promise.
    unsafe { count.write(others.len()) };
    // SAFETY: as above.
    unsafe { list.write(others.leak().as_ptr()) };
    code
}
