// SPDX-License-Identifier: Apache-2.0
//! One table for all copies of this library in a process.
//!
//! A process may have loaded the library twice: in two linker namespaces, or
//! from two paths. An import must be valid in both, says the interface. So
//! they serve as one: every copy hands out the table of that which was asked
//! first, and the others are never called again.
//!
//! They find one another without a name that a linker would have to look up,
//! which namespaces forbid: each has an ELF note with the distance to a place
//! for a table, [`CHOSEN`]. The place of the copy that was loaded first counts;
//! whoever finds it empty puts its own table there. Libraries are listed in the
//! order in which they were loaded, and this one is never unloaded (see
//! `build.rs`), so all agree for ever. A copy of another interface version has
//! another note, and serves itself.

use std::arch::global_asm;
use std::sync::atomic::{AtomicPtr, Ordering};
use std::{ptr, slice};

use dmaheap_imapper::{AIMapper, VERSION};
use libc::{PT_LOAD, PT_NOTE, c_int, c_void, dl_phdr_info};

/// The table for all copies, if this one was loaded first; otherwise what was
/// found there.
static CHOSEN: AtomicPtr<AIMapper> = AtomicPtr::new(ptr::null_mut());

/// The note's owner, with its NUL.
const NAME: &[u8; 8] = b"DMAHEAP\0";

global_asm!(
    ".pushsection .note.dmaheap, \"a\", %note",
    ".balign 4",
    ".long 8, 4, {version}",
    ".asciz \"DMAHEAP\"",
    ".long {chosen} - .",
    ".popsection",
    version = const VERSION,
    chosen = sym CHOSEN,
);

/// The table that serves this process; `own` if no other copy was asked before.
pub fn serving(own: &'static AIMapper) -> *const AIMapper {
    let known = CHOSEN.load(Ordering::Acquire);
    if !known.is_null() {
        return known;
    }
    let own = (&raw const *own).cast_mut();
    let first = first_place().unwrap_or(&CHOSEN);
    let none = ptr::null_mut();
    let table = match first.compare_exchange(none, own, Ordering::AcqRel, Ordering::Acquire) {
        Ok(_) => own,
        Err(before) => before,
    };
    CHOSEN.store(table, Ordering::Release);
    table
}

/// The place in the copy that was loaded first.
fn first_place() -> Option<&'static AtomicPtr<AIMapper>> {
    let mut place: Option<&'static AtomicPtr<AIMapper>> = None;
    // SAFETY: `visit` takes this place for a result.
    unsafe { libc::dl_iterate_phdr(Some(visit), (&raw mut place).cast()) };
    place
}

unsafe extern "C" fn visit(module: *mut dl_phdr_info, _size: usize, found: *mut c_void) -> c_int {
    // SAFETY: the linker hands in a module.
    let Some(place) = place_in(unsafe { &*module }) else { return 0 };
    // SAFETY: the place for the result of `first_place`.
    unsafe { found.cast::<Option<&'static AtomicPtr<AIMapper>>>().write(Some(place)) };
    1
}

/// The place for a table in a library, if it is a copy of this one.
fn place_in(module: &dl_phdr_info) -> Option<&'static AtomicPtr<AIMapper>> {
    if module.dlpi_phdr.is_null() {
        return None;
    }
    // SAFETY: a module has that many headers.
    let headers = unsafe { slice::from_raw_parts(module.dlpi_phdr, module.dlpi_phnum.into()) };
    let of_kind = |kind| headers.iter().filter(move |header| header.p_type == kind);
    let mut notes = of_kind(PT_NOTE).filter(|note| {
        let end = note.p_vaddr.saturating_add(note.p_memsz);
        of_kind(PT_LOAD)
            .any(|s| s.p_vaddr <= note.p_vaddr && end <= s.p_vaddr.saturating_add(s.p_memsz))
    });
    let distance = notes.find_map(|note| {
        let start = module.dlpi_addr.wrapping_add(note.p_vaddr) as usize;
        let start = ptr::with_exposed_provenance::<u8>(start);
        // SAFETY: these bytes are loaded, as was just checked, and constant.
        let notes = unsafe { slice::from_raw_parts(start, note.p_memsz as usize) };
        distance_in(notes, note.p_align == 8)
    })?;
    let place = distance.as_ptr().addr();
    let place = place.wrapping_add_signed(i32::from_ne_bytes(*distance) as isize);
    // SAFETY: only this library has such notes, and it stays loaded.
    Some(unsafe { &*ptr::with_exposed_provenance(place) })
}

/// The content of our note among these.
fn distance_in(mut notes: &[u8], by_eight: bool) -> Option<&[u8; 4]> {
    const HEAD: usize = 12;
    let align = if by_eight { 8 } else { 4 };
    loop {
        let [name_size, size, kind] = notes.first_chunk::<HEAD>()?.as_chunks::<4>().0 else {
            return None;
        };
        let [name_size, size, kind] =
            [name_size, size, kind].map(|word| u32::from_ne_bytes(*word) as usize);
        let name = notes.get(HEAD..)?.get(..name_size)?;
        let content = HEAD.checked_add(name_size)?.checked_next_multiple_of(align)?;
        let end = content.checked_add(size)?.checked_next_multiple_of(align)?;
        if kind == VERSION as usize && name == NAME {
            return notes.get(content..)?.first_chunk();
        }
        notes = notes.get(end..)?;
    }
}
