// SPDX-License-Identifier: Apache-2.0
//! The metadata that others write: a client's encoded values, and a peer's header, short or long.
#![no_main]

use std::sync::atomic::AtomicU32;

use dmaheap_buffer::header::{HEADER_SIZE, Header, LONG_HEADER_SIZE};
use dmaheap_buffer::settable::{Shared, is_settable};
use dmaheap_buffer::{Type, Value};
use libfuzzer_sys::fuzz_target;

fuzz_target!(|data: &[u8]| {
    let Some((first, bytes)) = data.split_first() else { return };
    let kind = Type::ALL[usize::from(*first) % Type::ALL.len()];
    // What is accepted has one spelling only.
    if let Ok(value) = Value::decode(kind, bytes) {
        assert_eq!(value.kind(), kind);
        assert_eq!(value.encode(), bytes);
    }
    if let Ok(value) = Value::from_content(kind, bytes) {
        assert_eq!(value.content().as_deref(), Some(bytes));
    }

    let mut page = bytes.to_vec();
    let is_long = first & 0x80 != 0;
    page.resize(if is_long { LONG_HEADER_SIZE } else { HEADER_SIZE }, 0);
    let _ = Header::parse(&page);
    let (words, _) = page.as_chunks::<4>();
    let words: Vec<AtomicU32> = words.iter().map(|w| u32::from_ne_bytes(*w).into()).collect();
    let shared = Shared::new(&words).expect("the page is whole");
    for kind in Type::ALL {
        // Nobody else writes here.
        let content = shared.read(*kind).expect("there is no contention");
        if let Some(content) = content {
            let _ = Value::from_content(*kind, &content);
        }
        // Which only a long header has room for.
        let has_room = is_long || *kind != Type::Smpte2094_50;
        if !has_room {
            assert!(shared.write(*kind, Some(&[1])).is_err());
        } else if is_settable(*kind) {
            shared.write(*kind, Some(&[1])).expect("a byte has room");
            assert_eq!(shared.read(*kind), Ok(Some(vec![1])));
        }
    }
});
