// SPDX-License-Identifier: Apache-2.0
//! The C interface: where a client's calls come in.
//!
//! What comes from a client is made safe here: a pointer is read once, counts
//! before what they count, and everything behind is called with values. A
//! handle that must be imported is not read at all, see `registry`.
//! A panic, which would be a defect of this library, ends here as an error; on a device, where panics
//! end the process, a test of the linked library shows that there is none.

pub use dmaheap_imapper::*;

use std::ffi::CStr;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::slice;

use dmaheap_buffer::handle::{FDS, INTS};
use dmaheap_buffer::standard::Rect;
use dmaheap_buffer::{Type, header, settable};
use libc::{c_int, c_void};

use crate::error::{Error, Result};
use crate::import::{Import, PREFIX, RawHandle};
use crate::registry::{self, Address};
use crate::slab::Used;
use crate::sys::Fence;
use crate::{copies, values, views};

/// The version of the interface that this library implements.
#[unsafe(no_mangle)]
pub static ANDROID_HAL_MAPPER_VERSION: u32 = VERSION;

/// The same by the name that the interface's documentation gives it.
#[unsafe(no_mangle)]
pub static ANDROID_HAL_STABLEC_VERSION: u32 = VERSION;

static MAPPER: AIMapper = AIMapper {
    version: VERSION,
    v5: AIMapperV5 {
        import_buffer,
        free_buffer,
        get_transport_size,
        lock,
        unlock,
        flush_locked_buffer,
        reread_locked_buffer,
        get_metadata,
        get_standard_metadata,
        set_metadata,
        set_standard_metadata,
        list_supported_metadata_types,
        dump_buffer,
        dump_all_buffers,
        get_reserved_region,
    },
    v6: views::V6,
};

/// Hands out the interface; always the same, whichever copy of this library is
/// asked, see `copies`.
///
/// # Safety
/// `out` is null or points to a place for a pointer.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn AIMapper_loadIMapper(out: *mut *const AIMapper) -> Code {
    #[cfg(target_os = "android")]
    android_logger::init_once(
        android_logger::Config::default()
            .with_tag("mapper.dmaheap")
            .with_max_level(log::LevelFilter::Info),
    );
    // SAFETY: the caller promises it.
    code("AIMapper_loadIMapper", || unsafe { put(out, copies::serving(&MAPPER)) })
}

/// Does a client's call, and logs why it failed.
fn call<T>(name: &str, body: impl FnOnce() -> Result<T>) -> Result<T> {
    // What the body leaves behind when it panics is in order: every mutex here
    // guards values that are changed in one step.
    let done = catch_unwind(AssertUnwindSafe(body)).unwrap_or(Err(Error::Panicked));
    done.inspect_err(|error| match error {
        // Clients ask to find out.
        Error::UnknownType => log::debug!("{name}: {error}"),
        _ => log::warn!("{name}: {error}"),
    })
}

pub(crate) fn code(name: &str, body: impl FnOnce() -> Result<()>) -> Code {
    call(name, body).map_or_else(|error| error.code(), |()| Code::NONE)
}

/// Writes a result.
///
/// # Safety
/// `place` is null or points to a place for a `T`.
unsafe fn put<T>(place: *mut T, value: T) -> Result<()> {
    if place.is_null() {
        return Err(Error::Null);
    }
    // SAFETY: not null, and so a place for a `T`.
    unsafe { place.write(value) };
    Ok(())
}

pub(crate) fn imported(handle: BufferHandle) -> Result<Used<Import>> {
    registry::find(Address(handle.addr()))
}

/// Copies what a client's native handle holds.
///
/// # Safety
/// `handle` is null or points to a native handle, with as much behind it as
/// its counts say.
unsafe fn read_handle(handle: BufferHandle) -> Result<RawHandle> {
    if handle.is_null() {
        return Err(Error::NoHandle);
    }
    // SAFETY: not null, and so a native handle, of which this is the fixed part.
    let prefix = unsafe { handle.cast::<[c_int; 3]>().read() };
    if prefix != PREFIX {
        let [version, fds, ints] = prefix;
        return Err(Error::BadShape { version, fds, ints });
    }
    /// A handle of ours.
    #[repr(C)]
    struct Ours {
        prefix: [c_int; 3],
        fds: [c_int; FDS],
        ints: [c_int; INTS],
    }
    // SAFETY: the counts are those of a handle of ours, so this much is there.
    let Ours { fds, ints, .. } = unsafe { handle.cast::<Ours>().read() };
    Ok(RawHandle { fds, ints })
}

unsafe extern "C" fn import_buffer(handle: BufferHandle, out: *mut BufferHandle) -> Code {
    code("importBuffer", || {
        if out.is_null() {
            return Err(Error::Null);
        }
        // SAFETY: the interface's contract.
        let import = registry::import(&unsafe { read_handle(handle) }?)?;
        // SAFETY: the interface's contract.
        unsafe { put(out, import.address().cast()) }
    })
}

unsafe extern "C" fn free_buffer(handle: BufferHandle) -> Code {
    code("freeBuffer", || registry::free(Address(handle.addr())))
}

unsafe extern "C" fn get_transport_size(
    handle: BufferHandle,
    fds: *mut u32,
    ints: *mut u32,
) -> Code {
    code("getTransportSize", || {
        imported(handle)?;
        // SAFETY: the interface's contract.
        unsafe { put(fds, FDS as u32) }?;
        // SAFETY: the interface's contract.
        unsafe { put(ints, INTS as u32) }
    })
}

unsafe extern "C" fn lock(
    handle: BufferHandle,
    usage: u64,
    region: ARect,
    fence: c_int,
    out: *mut *mut c_void,
) -> Code {
    // SAFETY: the interface hands the fence over, whatever comes of it.
    let fence = unsafe { Fence::adopt(fence) };
    code("lock", || {
        let import = imported(handle)?;
        let ARect { left, top, right, bottom } = region;
        if out.is_null() {
            return Err(Error::Null);
        }
        let start = import.lock(usage, Rect { left, top, right, bottom }, fence?)?;
        // SAFETY: the interface's contract.
        unsafe { put(out, start.as_ptr()) }
    })
}

unsafe extern "C" fn unlock(handle: BufferHandle, release_fence: *mut c_int) -> Code {
    const NO_FENCE: c_int = -1;
    code("unlock", || {
        let import = imported(handle)?;
        // Nothing is pending. SAFETY: the interface's contract.
        unsafe { put(release_fence, NO_FENCE) }?;
        import.unlock()
    })
}

unsafe extern "C" fn flush_locked_buffer(handle: BufferHandle) -> Code {
    code("flushLockedBuffer", || imported(handle)?.flush())
}

unsafe extern "C" fn reread_locked_buffer(handle: BufferHandle) -> Code {
    code("rereadLockedBuffer", || imported(handle)?.reread())
}

/// The type of a name and a number.
///
/// # Safety
/// The name is null or ends with a NUL.
unsafe fn kind(kind: MetadataType) -> Result<Type> {
    if kind.name.is_null() {
        return Err(Error::UnknownType);
    }
    // SAFETY: not null, and so a C string.
    let name = unsafe { CStr::from_ptr(kind.name) };
    let known = Type::new(kind.value).filter(|_| name == METADATA_NAME);
    known.ok_or(Error::UnknownType)
}

fn standard(number: i64) -> Result<Type> {
    Type::new(number).ok_or(Error::UnknownType)
}

/// Gets metadata: its size, and its bytes if they fit.
///
/// # Safety
/// `out` is null or points to `room` bytes.
unsafe fn get(handle: BufferHandle, kind: Result<Type>, out: *mut c_void, room: usize) -> i32 {
    let size = call("getMetadata", || {
        let value = values::get(&*imported(handle)?, kind?)?;
        if !out.is_null() && value.len() <= room {
            // SAFETY: there is room, and a place for results is no part of a
            // vector of ours.
            unsafe { out.cast::<u8>().copy_from_nonoverlapping(value.as_ptr(), value.len()) };
        }
        // The longest value has about ten thousand bytes.
        Ok(i32::try_from(value.len()).unwrap_or(i32::MAX))
    });
    size.unwrap_or_else(|error| error.code().0.wrapping_neg())
}

unsafe extern "C" fn get_metadata(
    handle: BufferHandle,
    metadata_type: MetadataType,
    out: *mut c_void,
    room: usize,
) -> i32 {
    // SAFETY: the interface's contract.
    let kind = unsafe { kind(metadata_type) };
    // SAFETY: the interface's contract.
    unsafe { get(handle, kind, out, room) }
}

unsafe extern "C" fn get_standard_metadata(
    handle: BufferHandle,
    number: i64,
    out: *mut c_void,
    room: usize,
) -> i32 {
    // SAFETY: the interface's contract.
    unsafe { get(handle, standard(number), out, room) }
}

/// Sets metadata.
///
/// # Safety
/// `bytes` is null or points to `size` bytes.
unsafe fn set(handle: BufferHandle, kind: Result<Type>, bytes: *const c_void, size: usize) -> Code {
    /// Nothing that is longer has a place.
    const LONGEST: usize = header::LONG_HEADER_SIZE;
    code("setMetadata", || {
        let (import, kind) = (imported(handle)?, kind?);
        let value = match (bytes.is_null(), size) {
            (_, 0) => &[],
            (true, _) => return Err(Error::Null),
            // SAFETY: not null, so it points to `size` bytes, of which we take
            // no more than that. Nobody else writes them during the call.
            _ => unsafe { slice::from_raw_parts(bytes.cast::<u8>(), size.min(LONGEST)) },
        };
        values::set(&import, kind, value)
    })
}

unsafe extern "C" fn set_metadata(
    handle: BufferHandle,
    metadata_type: MetadataType,
    bytes: *const c_void,
    size: usize,
) -> Code {
    // SAFETY: the interface's contract.
    let kind = unsafe { kind(metadata_type) };
    // SAFETY: the interface's contract.
    unsafe { set(handle, kind, bytes, size) }
}

unsafe extern "C" fn set_standard_metadata(
    handle: BufferHandle,
    number: i64,
    bytes: *const c_void,
    size: usize,
) -> Code {
    // SAFETY: the interface's contract.
    unsafe { set(handle, standard(number), bytes, size) }
}

/// [`dmaheap_buffer::standard::NAME`] for clients.
const METADATA_NAME: &CStr = c"android.hardware.graphics.common.StandardMetadataType";

const fn name_of(kind: Type) -> MetadataType {
    MetadataType { name: METADATA_NAME.as_ptr(), value: kind.number() }
}

struct Descriptions([MetadataTypeDescription; Type::ALL.len()]);

// SAFETY: its pointers are null or to a static string, and nobody changes it.
unsafe impl Sync for Descriptions {}

const fn describe(kind: Type) -> MetadataTypeDescription {
    MetadataTypeDescription {
        metadata_type: name_of(kind),
        description: std::ptr::null(),
        is_gettable: true,
        is_settable: settable::is_settable(kind),
        reserved: [0; 32],
    }
}

/// Made by the compiler: what is made at the first call is made under a lock.
static DESCRIPTIONS: Descriptions = Descriptions({
    let mut all = [describe(Type::BufferId); Type::ALL.len()];
    let (mut places, mut kinds): (&mut [_], _) = (&mut all, Type::ALL);
    while let ([place, places_left @ ..], [kind, kinds_left @ ..]) = (places, kinds) {
        *place = describe(*kind);
        (places, kinds) = (places_left, kinds_left);
    }
    all
});

unsafe extern "C" fn list_supported_metadata_types(
    list: *mut *const MetadataTypeDescription,
    count: *mut usize,
) -> Code {
    code("listSupportedMetadataTypes", || {
        let Descriptions(descriptions) = &DESCRIPTIONS;
        // SAFETY: the interface's contract.
        unsafe { put(list, descriptions.as_ptr()) }?;
        // SAFETY: the interface's contract.
        unsafe { put(count, descriptions.len()) }
    })
}

/// Hands a client everything about a buffer.
///
/// # Safety
/// The callback may be called with the context.
unsafe fn dump(import: &Import, callback: Dump, context: *mut c_void) -> Result<()> {
    let callback = callback.ok_or(Error::Null)?;
    for (kind, value) in values::dump(import) {
        // SAFETY: the caller's contract; the value outlives the call.
        unsafe { callback(context, name_of(kind), value.as_ptr().cast(), value.len()) };
    }
    Ok(())
}

unsafe extern "C" fn dump_buffer(
    handle: BufferHandle,
    callback: Dump,
    context: *mut c_void,
) -> Code {
    // SAFETY: the interface's contract.
    code("dumpBuffer", || unsafe { dump(&*imported(handle)?, callback, context) })
}

unsafe extern "C" fn dump_all_buffers(
    begin: BeginDump,
    callback: Dump,
    context: *mut c_void,
) -> Code {
    code("dumpAllBuffers", || {
        let begin = begin.ok_or(Error::Null)?;
        callback.ok_or(Error::Null)?;
        for import in registry::all() {
            // SAFETY: the interface's contract.
            unsafe { begin(context) };
            // SAFETY: the interface's contract.
            unsafe { dump(&import, callback, context) }?;
        }
        Ok(())
    })
}

unsafe extern "C" fn get_reserved_region(
    handle: BufferHandle,
    region: *mut *mut c_void,
    size: *mut u64,
) -> Code {
    code("getReservedRegion", || {
        let import = imported(handle)?;
        let (start, bytes) = import.reserved();
        let start = start.map_or(std::ptr::null_mut(), |start| start.as_ptr());
        // SAFETY: the interface's contract.
        unsafe { put(region, start) }?;
        // SAFETY: the interface's contract.
        unsafe { put(size, bytes.0) }
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_name_for_clients_is_that_of_the_encoding() {
        assert_eq!(METADATA_NAME.to_str(), Ok(dmaheap_buffer::standard::NAME));
    }
}
