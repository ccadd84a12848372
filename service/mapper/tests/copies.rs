// SPDX-License-Identifier: Apache-2.0
//! Several copies of the library in one process hand out one table, whichever is asked first.
#![allow(clippy::unwrap_used)]

use std::path::PathBuf;
use std::ptr;
use std::sync::Barrier;

use dmaheap_imapper::{AIMapper, Code};
use libloading::Library;

type Load = unsafe extern "C" fn(*mut *const AIMapper) -> Code;

/// The library as it was built beside this test.
fn library() -> PathBuf {
    std::env::current_exe().unwrap().with_file_name("libdmaheap_mapper.so")
}

fn table(library: &Library) -> usize {
    // SAFETY: the interface gives this symbol this type.
    let load = unsafe { library.get::<Load>(b"AIMapper_loadIMapper") }.unwrap();
    let mut table = ptr::null();
    // SAFETY: a place for a pointer.
    assert_eq!(unsafe { load(&mut table) }, Code::NONE);
    table.addr()
}

#[test]
fn all_copies_hand_out_one_table() {
    let folder = tempfile::tempdir().unwrap();
    let copies: Vec<Library> = (0..4)
        .map(|number| {
            let copy = folder.path().join(format!("mapper.copy{number}.so"));
            std::fs::copy(library(), &copy).unwrap();
            // SAFETY: a mapper does nothing when it is loaded.
            unsafe { Library::new(copy) }.unwrap()
        })
        .collect();
    let start = Barrier::new(copies.len());
    let mut tables: Vec<usize> = std::thread::scope(|scope| {
        let ask = |copy| {
            start.wait();
            table(copy)
        };
        let threads: Vec<_> =
            copies.iter().rev().map(|copy| scope.spawn(move || ask(copy))).collect();
        threads.into_iter().map(|thread| thread.join().unwrap()).collect()
    });
    let late = folder.path().join("mapper.late.so");
    std::fs::copy(library(), &late).unwrap();
    // SAFETY: as above.
    tables.push(table(&unsafe { Library::new(late) }.unwrap()));
    tables.dedup();
    assert_eq!(tables.len(), 1, "{tables:x?}");

    // It stays, whoever unloads his copy.
    drop(copies);
    let first = ptr::with_exposed_provenance::<AIMapper>(tables[0]);
    // SAFETY: a table, unless it was unloaded.
    assert_eq!(unsafe { (*first).version }, 5);
}
