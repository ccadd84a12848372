// SPDX-License-Identifier: Apache-2.0
//! A device tree as dtc and the kernel exchange it (Devicetree Specification 0.4, chapter 5).
//!
//! By hand, for what reads it strictly by the specification, as dtoolkit 0.4 does, refuses HiKey's own
//! tree: `#pinctrl-single,gpio-range-cells` has 32 characters, and the specification allows 31.

use std::collections::BTreeMap;
use std::ffi::CStr;
use std::ops::Range;

const MAGIC: [u8; 4] = [0xd0, 0x0d, 0xfe, 0xed];

/// Deeper than any tree is.
const DEPTH: u32 = 64;

/// Each property of a node.
pub(super) type Properties = BTreeMap<String, Vec<u8>>;

/// A node of a blob.
#[derive(Debug)]
pub(super) struct Node {
    /// Without its folder; the root's is empty.
    pub name: String,
    pub properties: Properties,
    pub children: Vec<Node>,
}

impl Node {
    /// The child of this name.
    pub fn child(&self, name: &str) -> Option<&Node> {
        self.children.iter().find(|child| child.name == name)
    }
}

/// Whether these are the first bytes of a blob.
pub(super) fn is_one(bytes: &[u8]) -> bool {
    bytes.starts_with(&MAGIC)
}

/// The root, and what `/memreserve/` has; nothing if the blob is cut or damaged.
pub(super) fn read(blob: &[u8]) -> Option<(Node, Vec<Range<u64>>)> {
    let header = blob.as_chunks::<4>().0;
    let from = |word: usize| blob.get(number(u32::from_be_bytes(*header.get(word)?))?..);
    let mut reserved = Vec::new();
    for part in from(4)?.as_chunks::<16>().0 {
        let (start, size) = part.split_first_chunk::<8>()?;
        let (start, size) = (u64::from_be_bytes(*start), u64::from_be_bytes(*size.as_array()?));
        if size == 0 {
            break;
        }
        reserved.push(start..start.checked_add(size)?);
    }
    let mut structure = Structure { rest: from(2)?, names: from(3)? };
    while structure.word()? != Structure::BEGIN {}
    Some((structure.node(DEPTH)?, reserved))
}

/// What is left of the structure block, and the block of names.
struct Structure<'b> {
    rest: &'b [u8],
    names: &'b [u8],
}

impl<'b> Structure<'b> {
    const BEGIN: u32 = 1;
    const END: u32 = 2;
    const PROPERTY: u32 = 3;
    const NOTHING: u32 = 4;

    /// The node whose beginning was read.
    fn node(&mut self, depth: u32) -> Option<Node> {
        let depth = depth.checked_sub(1)?;
        let name = text(self.rest)?;
        self.take(name.len().checked_add(1)?)?;
        let mut node = Node { name, properties: Properties::new(), children: Vec::new() };
        loop {
            match self.word()? {
                Self::BEGIN => node.children.push(self.node(depth)?),
                Self::PROPERTY => {
                    let (length, name) = (number(self.word()?)?, number(self.word()?)?);
                    let value = self.take(length)?.to_vec();
                    node.properties.insert(text(self.names.get(name..)?)?, value);
                }
                Self::NOTHING => {}
                Self::END => return Some(node),
                _ => return None,
            }
        }
    }

    fn word(&mut self) -> Option<u32> {
        let (word, rest) = self.rest.split_first_chunk()?;
        self.rest = rest;
        Some(u32::from_be_bytes(*word))
    }

    /// So many bytes; what follows begins at a whole word.
    fn take(&mut self, length: usize) -> Option<&'b [u8]> {
        let (taken, rest) = self.rest.split_at_checked(length.checked_next_multiple_of(4)?)?;
        self.rest = rest;
        taken.get(..length)
    }
}

fn number(word: u32) -> Option<usize> {
    usize::try_from(word).ok()
}

fn text(bytes: &[u8]) -> Option<String> {
    Some(CStr::from_bytes_until_nul(bytes).ok()?.to_str().ok()?.to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A root with one property of one byte and one child, and one reservation.
    fn blob() -> Vec<u8> {
        let words =
            [0xd00d_feed, 0, 72, 132, 40, 17, 16, 0, 0, 0, 0, 0x1000, 0, 0x2000, 0, 0, 0, 0];
        let root = [1, 0, 3, 1, 0, 0x0700_0000, 4, 1, 0x6340_3100, 2, 2, 9, 0, 0, 0];
        let words = words.into_iter().chain(root).flat_map(u32::to_be_bytes);
        words.chain(*b"some\0").collect()
    }

    #[test]
    fn nodes_properties_and_reservations_are_read() {
        let (root, reserved) = read(&blob()).unwrap();
        assert_eq!(reserved, std::slice::from_ref(&(0x1000..0x3000)));
        assert_eq!(root.properties, Properties::from([("some".to_owned(), vec![7])]));
        assert!(root.child("c@1").is_some() && root.child("c").is_none());
    }

    #[test]
    fn a_damaged_blob_is_none() {
        let whole = blob();
        for length in 0..whole.len() {
            assert!(read(&whole[..length]).is_none(), "{length}");
        }
        for byte in 0..whole.len() {
            for value in [0, 1, 0x7f, 0xff] {
                let mut damaged = whole.clone();
                damaged[byte] = value;
                // It may still be one, of something else.
                let _ = read(&damaged);
            }
        }
        let deep = std::iter::repeat_n([0u8, 0, 0, 1, 0, 0, 0, 0], 1 << 20).flatten();
        let deep: Vec<u8> = whole[..72].iter().copied().chain(deep).collect();
        assert!(read(&deep).is_none());
    }
}
