// SPDX-License-Identifier: Apache-2.0
//! The C declarations of `android/hardware/graphics/mapper/IMapper.h`, version
//! 5, and of the structures it takes from others. Every offset is asserted.
//!
//! There is no code here, and no symbol: whoever calls a mapper, or stands in
//! front of one, takes these declarations and loads the library.

use std::mem::{align_of, offset_of, size_of};

use libc::{c_char, c_int, c_void};

/// `AIMapper_Error`; a number, because it also comes from other libraries.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[repr(transparent)]
pub struct Code(pub i32);

impl Code {
    /// It worked.
    pub const NONE: Code = Code(0);
    /// The handle is none, or not in the state for this.
    pub const BAD_BUFFER: Code = Code(2);
    /// An argument is impossible.
    pub const BAD_VALUE: Code = Code(3);
    /// It may work later.
    pub const NO_RESOURCES: Code = Code(5);
    /// It will never work.
    pub const UNSUPPORTED: Code = Code(7);
}

/// `native_handle_t`, in front of its integers.
#[derive(Debug)]
#[repr(C)]
pub struct NativeHandle {
    /// Bytes of this structure.
    pub version: c_int,
    /// Descriptors behind it.
    pub num_fds: c_int,
    /// Integers behind those.
    pub num_ints: c_int,
    /// Where the descriptors begin.
    pub data: [c_int; 0],
}

/// `buffer_handle_t`.
pub type BufferHandle = *const NativeHandle;

/// `ARect`.
#[derive(Debug, Clone, Copy)]
#[repr(C)]
#[allow(missing_docs)]
pub struct ARect {
    pub left: i32,
    pub top: i32,
    pub right: i32,
    pub bottom: i32,
}

/// `AIMapper_MetadataType`.
#[derive(Debug, Clone, Copy)]
#[repr(C)]
pub struct MetadataType {
    /// The list that the number is of; ends with a NUL.
    pub name: *const c_char,
    /// The number.
    pub value: i64,
}

/// `AIMapper_MetadataTypeDescription`.
#[derive(Debug, Clone, Copy)]
#[repr(C)]
pub struct MetadataTypeDescription {
    /// What it describes.
    pub metadata_type: MetadataType,
    /// For people; null for the standard types.
    pub description: *const c_char,
    /// Whether it can be got.
    pub is_gettable: bool,
    /// Whether it can be set.
    pub is_settable: bool,
    /// Zero.
    pub reserved: [u8; 32],
}

/// `AIMapper_BeginDumpBufferCallback`; takes the context.
pub type BeginDump = Option<unsafe extern "C" fn(*mut c_void)>;

/// `AIMapper_DumpBufferCallback`; takes the context, and a value with its size.
pub type Dump = Option<unsafe extern "C" fn(*mut c_void, MetadataType, *const c_void, usize)>;

/// `AIMapperV5`. Functions are described in the public header.
#[derive(Debug, Clone, Copy)]
#[repr(C)]
#[allow(missing_docs)]
pub struct AIMapperV5 {
    pub import_buffer: unsafe extern "C" fn(BufferHandle, *mut BufferHandle) -> Code,
    pub free_buffer: unsafe extern "C" fn(BufferHandle) -> Code,
    pub get_transport_size: unsafe extern "C" fn(BufferHandle, *mut u32, *mut u32) -> Code,
    pub lock: unsafe extern "C" fn(BufferHandle, u64, ARect, c_int, *mut *mut c_void) -> Code,
    pub unlock: unsafe extern "C" fn(BufferHandle, *mut c_int) -> Code,
    pub flush_locked_buffer: unsafe extern "C" fn(BufferHandle) -> Code,
    pub reread_locked_buffer: unsafe extern "C" fn(BufferHandle) -> Code,
    pub get_metadata: unsafe extern "C" fn(BufferHandle, MetadataType, *mut c_void, usize) -> i32,
    pub get_standard_metadata: unsafe extern "C" fn(BufferHandle, i64, *mut c_void, usize) -> i32,
    pub set_metadata:
        unsafe extern "C" fn(BufferHandle, MetadataType, *const c_void, usize) -> Code,
    pub set_standard_metadata:
        unsafe extern "C" fn(BufferHandle, i64, *const c_void, usize) -> Code,
    pub list_supported_metadata_types:
        unsafe extern "C" fn(*mut *const MetadataTypeDescription, *mut usize) -> Code,
    pub dump_buffer: unsafe extern "C" fn(BufferHandle, Dump, *mut c_void) -> Code,
    pub dump_all_buffers: unsafe extern "C" fn(BeginDump, Dump, *mut c_void) -> Code,
    pub get_reserved_region: unsafe extern "C" fn(BufferHandle, *mut *mut c_void, *mut u64) -> Code,
}

/// `AIMapperV6`.
#[derive(Debug, Clone, Copy)]
#[repr(C)]
#[allow(missing_docs)]
pub struct AIMapperV6 {
    pub get_multi_view_info:
        unsafe extern "C" fn(BufferHandle, *mut *const u32, *mut usize) -> Code,
    pub get_base_view: unsafe extern "C" fn(BufferHandle, *mut u32) -> Code,
    pub import_view_buffer: unsafe extern "C" fn(BufferHandle, u32, *mut BufferHandle) -> Code,
}

/// `AIMapper`, aligned as `max_align_t` is.
#[derive(Debug, Clone, Copy)]
#[cfg_attr(target_pointer_width = "64", repr(C, align(16)))]
#[cfg_attr(not(target_pointer_width = "64"), repr(C, align(8)))]
pub struct AIMapper {
    /// [`VERSION`].
    pub version: u32,
    /// The functions of version 5.
    pub v5: AIMapperV5,
    /// Those of version 6, which clients of version 5 do not look at.
    pub v6: AIMapperV6,
}

/// `AIMAPPER_VERSION_5`. The table has all of version 6, and this is the one number
/// to change for it. But the conformance test of the release that has version 6
/// still wants the library to say 5, and no framework wants more.
pub const VERSION: u32 = 5;

const fn size_of_field<T, F>(_: fn(&T) -> &F) -> usize {
    size_of::<F>()
}

/// Fails to compile unless a structure has this size, and each of its fields
/// this offset and size.
macro_rules! layout {
    ($type:ty, $size:expr, $($field:ident: $offset:expr, $bytes:expr);* $(;)?) => {
        const _: () = assert!(size_of::<$type>() == $size);
        $(const _: () = assert!(offset_of!($type, $field) == $offset);
        const _: () = assert!(size_of_field(|value: &$type| &value.$field) == $bytes);)*
    };
}

const P: usize = size_of::<*const c_void>();

layout!(NativeHandle, 12, version: 0, 4; num_fds: 4, 4; num_ints: 8, 4; data: 12, 0);
layout!(ARect, 16, left: 0, 4; top: 4, 4; right: 8, 4; bottom: 12, 4);
layout!(MetadataType, 16, name: 0, P; value: 8, 8);
#[cfg(target_pointer_width = "64")]
layout!(MetadataTypeDescription, 64,
    metadata_type: 0, 16; description: 16, 8; is_gettable: 24, 1; is_settable: 25, 1;
    reserved: 26, 32);
layout!(AIMapperV5, 15 * P,
    import_buffer: 0, P; free_buffer: P, P; get_transport_size: 2 * P, P; lock: 3 * P, P;
    unlock: 4 * P, P; flush_locked_buffer: 5 * P, P; reread_locked_buffer: 6 * P, P;
    get_metadata: 7 * P, P; get_standard_metadata: 8 * P, P; set_metadata: 9 * P, P;
    set_standard_metadata: 10 * P, P; list_supported_metadata_types: 11 * P, P;
    dump_buffer: 12 * P, P; dump_all_buffers: 13 * P, P; get_reserved_region: 14 * P, P);
layout!(AIMapperV6, 3 * P,
    get_multi_view_info: 0, P; get_base_view: P, P; import_view_buffer: 2 * P, P);
layout!(AIMapper, 20 * P, version: 0, 4; v5: P, 15 * P; v6: 16 * P, 3 * P);
const _: () = assert!(align_of::<AIMapper>() == 2 * P);
const _: () = assert!(size_of::<Code>() == 4 && size_of::<Dump>() == P);
