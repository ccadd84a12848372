// SPDX-License-Identifier: Apache-2.0
//! The primitives of the encoding.

use super::{Extendable, Rect};

/// Appends bytes behind their length.
pub(super) fn put_bytes(out: &mut Vec<u8>, bytes: &[u8]) {
    out.extend((bytes.len() as u64).to_le_bytes());
    out.extend(bytes);
}

/// Appends a named number.
pub(super) fn put_extendable(out: &mut Vec<u8>, name: &str, value: i64) {
    put_bytes(out, name.as_bytes());
    out.extend(value.to_le_bytes());
}

/// What is left of bytes from outside. Each method takes a value from the
/// front, or says `None` if there is none.
pub(super) struct Reader<'a>(&'a [u8]);

impl<'a> Reader<'a> {
    pub(super) fn new(bytes: &'a [u8]) -> Reader<'a> {
        Reader(bytes)
    }

    /// All that is left.
    pub(super) fn rest(&mut self) -> &'a [u8] {
        std::mem::take(&mut self.0)
    }

    fn array<const N: usize>(&mut self) -> Option<[u8; N]> {
        let (array, rest) = self.0.split_first_chunk()?;
        self.0 = rest;
        Some(*array)
    }

    pub(super) fn u64(&mut self) -> Option<u64> {
        self.array().map(u64::from_le_bytes)
    }

    pub(super) fn number(&mut self) -> Option<i64> {
        self.array().map(i64::from_le_bytes)
    }

    pub(super) fn u32(&mut self) -> Option<u32> {
        self.array().map(u32::from_le_bytes)
    }

    pub(super) fn i32(&mut self) -> Option<i32> {
        self.array().map(i32::from_le_bytes)
    }

    pub(super) fn floats<const N: usize>(&mut self) -> Option<[f32; N]> {
        let mut floats = [0.0; N];
        for float in &mut floats {
            *float = f32::from_le_bytes(self.array()?);
        }
        Some(floats)
    }

    pub(super) fn bytes(&mut self) -> Option<&'a [u8]> {
        let length = usize::try_from(self.u64()?).ok()?;
        let (bytes, rest) = self.0.split_at_checked(length)?;
        self.0 = rest;
        Some(bytes)
    }

    pub(super) fn string(&mut self) -> Option<&'a str> {
        str::from_utf8(self.bytes()?).ok()
    }

    pub(super) fn extendable(&mut self) -> Option<Extendable> {
        Some(Extendable { name: self.string()?.to_owned(), value: self.number()? })
    }

    pub(super) fn rect(&mut self) -> Option<Rect> {
        let [left, top, right, bottom] = [self.i32()?, self.i32()?, self.i32()?, self.i32()?];
        Some(Rect { left, top, right, bottom })
    }

    /// A list behind its length. Each item takes bytes, so a length that lies
    /// ends with the bytes, and nothing is set aside for it before.
    pub(super) fn list<T>(&mut self, item: fn(&mut Self) -> Option<T>) -> Option<Vec<T>> {
        (0..self.u64()?).map(|_| item(self)).collect()
    }
}
