// SPDX-License-Identifier: Apache-2.0
//! The settable facts while a peer writes to them what it likes, when it likes: every call ends,
//! and what is read is nothing that the buffer cannot have.
//!
//! The input is a list of a place, two bytes, and a word, which another thread writes there round
//! and round while this one gets and sets. So a run is not repeated exactly; what it can find is a
//! look at shared memory that was judged before by another look.
#![no_main]

use std::sync::atomic::{AtomicBool, AtomicU32, Ordering};
use std::sync::{LazyLock, Mutex, PoisonError};

use dmaheap_buffer::header::{HEADER_SIZE, ORIGIN_SIZE};
use dmaheap_buffer::settable::{Shared, is_settable};
use dmaheap_buffer::{
    Bytes, Constraints, Error, Extent, Format, Handle, Header, Layout, Origin, Type, Usage, Value,
};
use libfuzzer_sys::fuzz_target;

const WORDS: usize = HEADER_SIZE / 4;

static PAGE: [AtomicU32; WORDS] = [const { AtomicU32::new(0) }; WORDS];

/// What the other thread writes.
static SCRIPT: Mutex<Vec<(usize, u32)>> = Mutex::new(Vec::new());
static CHANGED: AtomicBool = AtomicBool::new(false);

static BUFFER: LazyLock<(Handle, Header)> = LazyLock::new(|| {
    std::thread::spawn(write_for_ever);
    let extent = Extent::new(1920, 1080, 1).expect("it exists");
    let format = Format::from_name("YV12").expect("it is in the table");
    let handle = Handle {
        id: 1,
        usage: Usage::CPU_READ_OFTEN,
        any_format: false,
        layout: Layout::new(format, extent, &Constraints::default()).expect("it is not large"),
        reserved: Bytes(0),
    };
    let text = String::new;
    let origin = Origin { rule: text(), heap: text(), node: text(), name: text() };
    (handle, Header { id: 1, origin })
});

fn write_for_ever() {
    loop {
        let script = SCRIPT.lock().unwrap_or_else(PoisonError::into_inner).clone();
        CHANGED.store(false, Ordering::Relaxed);
        while !CHANGED.load(Ordering::Relaxed) {
            for (place, word) in &script {
                PAGE[*place].store(*word, Ordering::Relaxed);
            }
            if script.is_empty() {
                std::thread::yield_now();
            }
        }
    }
}

fuzz_target!(|data: &[u8]| {
    const START: usize = ORIGIN_SIZE / 4;
    let (handle, header) = &*BUFFER;
    let place = |bytes: [u8; 2]| START + usize::from(u16::from_le_bytes(bytes)) % (WORDS - START);
    let entry = |[a, b, word @ ..]: &[u8; 6]| (place([*a, *b]), u32::from_le_bytes(*word));
    let script = data.as_chunks().0.iter().map(entry).collect();
    *SCRIPT.lock().unwrap_or_else(PoisonError::into_inner) = script;
    CHANGED.store(true, Ordering::Relaxed);

    let shared = Shared::new(&PAGE).expect("the page is whole");
    for kind in Type::ALL {
        match shared.current(*kind, handle, header) {
            Ok(value) => {
                assert_eq!(value.kind(), *kind);
                assert!(value.fits(&handle.layout), "{value:?}");
                let again = Value::decode(*kind, &value.encode()).expect("it was encoded");
                assert_eq!(again.encode(), value.encode());
            }
            Err(error) => assert_eq!(error, Error::Contended),
        }
        if is_settable(*kind) {
            let content = Value::initial(*kind, handle, header).content();
            if let Err(error) = shared.write(*kind, content.as_deref()) {
                assert_eq!(error, Error::Contended);
            }
        }
    }
});
