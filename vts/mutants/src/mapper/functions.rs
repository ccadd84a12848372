// SPDX-License-Identifier: Apache-2.0
//! What broken mappers do with handles, locks and fences. Their callers keep the contract of the
//! function that each stands for.

use std::collections::{HashMap, HashSet};
use std::ptr;
use std::sync::{LazyLock, Mutex};

use dmaheap_imapper::{ARect, BufferHandle, Code, Dump};
use dmaheap_suite::imapper::WHOLE;
use libc::{c_int, c_void};

use super::metadata::size;
use super::sound;

/// Answers success for what the sound library refuses.
fn forgiven(_: Code) -> Code {
    Code::NONE
}

pub unsafe extern "C" fn import_once(handle: BufferHandle, out: *mut BufferHandle) -> Code {
    static IMPORTS: LazyLock<Mutex<HashMap<usize, usize>>> = LazyLock::new(Mutex::default);
    let mut imports = IMPORTS.lock().unwrap();
    if let Some(import) = imports.get(&handle.addr()) {
        // SAFETY: the caller's promise.
        unsafe { out.write(ptr::with_exposed_provenance(*import)) };
        return Code::NONE;
    }
    // SAFETY: the caller's promise.
    let code = unsafe { (sound().import_buffer)(handle, out) };
    if code == Code::NONE {
        // SAFETY: it was written just now.
        imports.insert(handle.addr(), unsafe { *out }.expose_provenance());
    }
    code
}

/// The lock of a library that was written without a thought for `fork`.
pub unsafe extern "C" fn import_under_a_lock(handle: BufferHandle, out: *mut BufferHandle) -> Code {
    static ONE_AT_A_TIME: Mutex<()> = Mutex::new(());
    let _held = ONE_AT_A_TIME.lock().unwrap();
    // SAFETY: the caller's promise.
    unsafe { (sound().import_buffer)(handle, out) }
}

/// What this copy of the library has imported.
static OURS: LazyLock<Mutex<HashSet<usize>>> = LazyLock::new(Mutex::default);

pub unsafe extern "C" fn import_here(handle: BufferHandle, out: *mut BufferHandle) -> Code {
    // SAFETY: the caller's promise.
    let code = unsafe { (sound().import_buffer)(handle, out) };
    if code == Code::NONE {
        // SAFETY: it was written just now.
        OURS.lock().unwrap().insert(unsafe { *out }.addr());
    }
    code
}

pub unsafe extern "C" fn transport_ours(
    handle: BufferHandle,
    fds: *mut u32,
    ints: *mut u32,
) -> Code {
    if !OURS.lock().unwrap().contains(&handle.addr()) {
        return Code::BAD_BUFFER;
    }
    // SAFETY: the caller's promise.
    unsafe { (sound().get_transport_size)(handle, fds, ints) }
}

pub unsafe extern "C" fn import_null(handle: BufferHandle, out: *mut BufferHandle) -> Code {
    if handle.is_null() {
        return Code::NONE;
    }
    // SAFETY: the caller's promise.
    unsafe { (sound().import_buffer)(handle, out) }
}

pub unsafe extern "C" fn keep(_: BufferHandle) -> Code {
    Code::NONE
}

pub unsafe extern "C" fn free_anything(handle: BufferHandle) -> Code {
    // SAFETY: the caller's promise.
    forgiven(unsafe { (sound().free_buffer)(handle) })
}

pub unsafe extern "C" fn transport_one(
    handle: BufferHandle,
    fds: *mut u32,
    ints: *mut u32,
) -> Code {
    // SAFETY: the caller's promise.
    let code = unsafe { (sound().get_transport_size)(handle, fds, ints) };
    if code == Code::NONE {
        // SAFETY: the caller's promise.
        unsafe { fds.write(1) };
    }
    code
}

/// Functions with the signature of `lock`, with names for its arguments.
macro_rules! locks {
    ($($name:ident: |$handle:ident, $usage:ident, $region:ident, $fence:ident, $out:ident| $body:block)*) => {
        $(pub unsafe extern "C" fn $name(
            $handle: BufferHandle,
            $usage: u64,
            $region: ARect,
            $fence: c_int,
            $out: *mut *mut c_void,
        ) -> Code $body)*
    };
}

locks! {
    lock_new_memory: |handle, usage, region, fence, out| {
        // SAFETY: the caller's promise.
        let code = unsafe { (sound().lock)(handle, usage, region, fence, out) };
        if code == Code::NONE {
            // SAFETY: the caller's promise.
            unsafe { out.write(blank(size(handle))) };
        }
        code
    }
    lock_copy: |handle, usage, region, fence, out| {
        // One copy for each import, so that its client reads what it wrote.
        static COPIES: LazyLock<Mutex<HashMap<usize, usize>>> = LazyLock::new(Mutex::default);
        // SAFETY: the caller's promise.
        let code = unsafe { (sound().lock)(handle, usage, region, fence, out) };
        if code == Code::NONE {
            let mut copies = COPIES.lock().unwrap();
            let new = || blank(size(handle)).expose_provenance();
            let copy = *copies.entry(handle.addr()).or_insert_with(new);
            // SAFETY: the caller's promise.
            unsafe { out.write(ptr::with_exposed_provenance_mut(copy)) };
        }
        code
    }
    lock_any_region: |handle, usage, _region, fence, out| {
        // SAFETY: the caller's promise.
        unsafe { (sound().lock)(handle, usage, WHOLE, fence, out) }
    }
    lock_once: |handle, usage, region, fence, out| {
        if !LOCKED.lock().unwrap().insert(handle.addr()) {
            return Code::NO_RESOURCES;
        }
        // SAFETY: the caller's promise.
        unsafe { (sound().lock)(handle, usage, region, fence, out) }
    }
    lock_without_sync: |handle, _usage, _region, _fence, out| {
        let bytes = size(handle);
        // SAFETY: a handle has its descriptors right behind its counts.
        let pixels = unsafe { handle.add(1).cast::<c_int>().read() };
        let access = libc::PROT_READ | libc::PROT_WRITE;
        // SAFETY: a new mapping touches no other memory.
        let start =
            unsafe { libc::mmap(ptr::null_mut(), bytes, access, libc::MAP_SHARED, pixels, 0) };
        // SAFETY: the caller's promise.
        unsafe { out.write(start) };
        if start == libc::MAP_FAILED { Code::NO_RESOURCES } else { Code::NONE }
    }
    lock_four_bytes_on: |handle, usage, region, fence, out| {
        // SAFETY: the caller's promise.
        let code = unsafe { (sound().lock)(handle, usage, region, fence, out) };
        if code == Code::NONE {
            // SAFETY: the caller's promise, and the buffer is longer than that.
            unsafe { *out = (*out).byte_add(4) };
        }
        code
    }
    lock_at_once: |handle, usage, region, fence, out| {
        if fence >= 0 {
            // SAFETY: the caller hands it over.
            unsafe { libc::close(fence) };
        }
        // SAFETY: the caller's promise.
        unsafe { (sound().lock)(handle, usage, region, -1, out) }
    }
    keep_fence: |handle, usage, region, fence, out| {
        // SAFETY: only the kernel uses the number.
        let another = if fence < 0 { fence } else { unsafe { libc::dup(fence) } };
        // SAFETY: the caller's promise.
        unsafe { (sound().lock)(handle, usage, region, another, out) }
    }
}

/// Memory of its own, never given back.
fn blank(size: usize) -> *mut c_void {
    vec![0u64; size.div_ceil(8)].leak().as_mut_ptr().cast()
}

/// Imports that are locked.
static LOCKED: LazyLock<Mutex<HashSet<usize>>> = LazyLock::new(Mutex::default);

pub unsafe extern "C" fn unlock_once(handle: BufferHandle, fence: *mut c_int) -> Code {
    LOCKED.lock().unwrap().remove(&handle.addr());
    // SAFETY: the caller's promise.
    unsafe { (sound().unlock)(handle, fence) }
}

pub unsafe extern "C" fn unlock_unlocked(handle: BufferHandle, fence: *mut c_int) -> Code {
    // SAFETY: the caller's promise.
    let code = unsafe { (sound().unlock)(handle, fence) };
    if is_imported(handle) { forgiven(code) } else { code }
}

pub unsafe extern "C" fn unlock_foreign(handle: BufferHandle, fence: *mut c_int) -> Code {
    // SAFETY: the caller's promise.
    let code = unsafe { (sound().unlock)(handle, fence) };
    if is_imported(handle) { code } else { forgiven(code) }
}

fn is_imported(handle: BufferHandle) -> bool {
    let (mut fds, mut ints) = (0, 0);
    // SAFETY: the library looks handles up, and there are places for two numbers.
    unsafe { (sound().get_transport_size)(handle, &mut fds, &mut ints) == Code::NONE }
}

pub unsafe extern "C" fn flush_anything(handle: BufferHandle) -> Code {
    // SAFETY: the caller's promise.
    forgiven(unsafe { (sound().flush_locked_buffer)(handle) })
}

pub unsafe extern "C" fn reserved_here(
    handle: BufferHandle,
    region: *mut *mut c_void,
    size: *mut u64,
) -> Code {
    // SAFETY: the caller's promise.
    let code = unsafe { (sound().get_reserved_region)(handle, region, size) };
    // SAFETY: as above.
    let size = unsafe { size.read() } as usize;
    if code == Code::NONE && size > 0 {
        // SAFETY: as above.
        unsafe { region.write(blank(size)) };
    }
    code
}

pub unsafe extern "C" fn dump_nothing(_: BufferHandle, _: Dump, _: *mut c_void) -> Code {
    Code::NONE
}
