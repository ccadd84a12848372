// SPDX-License-Identifier: Apache-2.0
//! The second dma-buf of every buffer: a header and, behind it, the region
//! that the client reserved for itself.
//!
//! The header is a page, or six where HDR metadata of ten kilobytes may come
//! ([`size_for`]), and has two parts. The *origin* is written once by the allocator and
//! says why the buffer is where it is. The *settable* facts (dataspace, HDR
//! and the like) belong to whoever holds the buffer; see
//! [`settable`](crate::settable). The only fact that is also in the handle is
//! the id, so there is nothing else in which the two could disagree.
//!
//! The memory is shared with processes that may be hostile or may die at any
//! moment. So: copy first, then judge the copy, and use no length from it
//! that is not checked. [`Header::parse`] takes such a copy.

use zerocopy::{FromBytes, FromZeros, Immutable, IntoBytes, KnownLayout};

use crate::units::Bytes;
use crate::{Error, Format, Usage};

/// Bytes of a header: a page, so that the region behind it can be mapped on its
/// own wherever pages are this size.
pub const HEADER_SIZE: usize = 4096;

/// Bytes of one with room for SMPTE 2094-50, which is longer than all else.
pub const LONG_HEADER_SIZE: usize = HEADER_SIZE * 6;

/// Bytes of the header, and so before the reserved region, of a buffer for this.
/// The long one is for pictures that may be in HDR: those that a video decoder
/// or the CPU fills, or with more than eight bits. Windows, previews and what
/// the display scans out have the short one.
pub fn size_for(format: Format, usage: Usage) -> usize {
    let is_filled = usage.contains(Usage::VIDEO_DECODER) || usage.cpu_writes();
    if format.is_colour() && (format.is_deep() || is_filled) {
        LONG_HEADER_SIZE
    } else {
        HEADER_SIZE
    }
}

const MAGIC: u32 = u32::from_le_bytes(*b"DMAM");
const VERSION: u32 = 3;
const TEXT: usize = 64;
const NAME: usize = 128;

/// Bytes of a metadata buffer for this with so much reserved, if that can be.
pub fn size(format: Format, usage: Usage, reserved: Bytes) -> Option<Bytes> {
    let header = Bytes(size_for(format, usage) as u64);
    let page = Bytes(HEADER_SIZE as u64);
    header.checked_add(reserved)?.align_up(page).filter(|size| i64::try_from(size.0).is_ok())
}

/// Why a buffer is where it is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Origin {
    /// The policy rule that matched.
    pub rule: String,
    /// The logical heap that the memory came from: the rule's own, or the one
    /// it degraded to.
    pub heap: String,
    /// The heap's device node, without its folder.
    pub node: String,
    /// What the client called the buffer.
    pub name: String,
}

/// What the header says about its buffer.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Header {
    /// The same as in the handle, or the two do not belong together.
    pub id: u64,
    /// Why the buffer is where it is.
    pub origin: Origin,
}

#[derive(FromBytes, IntoBytes, Immutable, KnownLayout)]
#[repr(C)]
struct Wire {
    magic: u32,
    version: u32,
    id: u64,
    rule: [u8; TEXT],
    heap: [u8; TEXT],
    node: [u8; TEXT],
    name: [u8; NAME],
}

/// Bytes of its first part, which never changes; the settable facts are
/// right behind it.
pub const ORIGIN_SIZE: usize = size_of::<Wire>();

impl Header {
    /// The bytes of a new buffer's header. What is behind it is zero in memory
    /// that a heap gave, which is as it should be: no fact is set yet.
    pub fn encode(&self) -> Vec<u8> {
        let mut wire = Wire::new_zeroed();
        wire.magic = MAGIC;
        wire.version = VERSION;
        wire.id = self.id;
        put_text(&mut wire.rule, &self.origin.rule);
        put_text(&mut wire.heap, &self.origin.heap);
        put_text(&mut wire.node, &self.origin.node);
        put_text(&mut wire.name, &self.origin.name);
        wire.as_bytes().to_vec()
    }

    /// Judges a private copy of the first [`ORIGIN_SIZE`] bytes.
    ///
    /// # Errors
    /// [`Error::BadMetadata`] if it is not a header of this version.
    pub fn parse(copy: &[u8]) -> Result<Header, Error> {
        let (wire, _) = Wire::read_from_prefix(copy)
            .map_err(|_| Error::BadMetadata("too short for a header"))?;
        if wire.magic != MAGIC {
            return Err(Error::BadMetadata("the magic number is another"));
        }
        if wire.version != VERSION {
            return Err(Error::BadMetadata("the version is another"));
        }
        Ok(Header {
            id: wire.id,
            origin: Origin {
                rule: text(&wire.rule),
                heap: text(&wire.heap),
                node: text(&wire.node),
                name: text(&wire.name),
            },
        })
    }

    /// Judges a private copy, as [`Header::parse`] does, and whether it is the
    /// header of the buffer with this id.
    ///
    /// # Errors
    /// [`Error::BadMetadata`] if it is not.
    pub fn admit(copy: &[u8], id: u64) -> Result<Header, Error> {
        let header = Header::parse(copy)?;
        if header.id != id {
            return Err(Error::BadMetadata("it belongs to another buffer"));
        }
        Ok(header)
    }
}

/// Writes as much of `text` as fits before a final NUL, in whole characters.
fn put_text(field: &mut [u8], text: &str) {
    let room = field.len().saturating_sub(1);
    let end = text.floor_char_boundary(room);
    for (to, from) in field.iter_mut().zip(text.bytes().take(end)) {
        *to = from;
    }
}

/// The bytes up to the first NUL, which a hostile writer may have removed.
fn text(field: &[u8]) -> String {
    let end = field.iter().position(|byte| *byte == 0).unwrap_or(field.len());
    String::from_utf8_lossy(field.get(..end).unwrap_or(field)).into_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn header() -> Header {
        Header {
            id: 7,
            origin: Origin {
                rule: "camera".into(),
                heap: "camera".into(),
                node: "camera@54000000".into(),
                name: "preview".into(),
            },
        }
    }

    #[test]
    fn what_was_encoded_is_parsed() {
        let mut page = header().encode();
        page.resize(HEADER_SIZE, 0);
        assert_eq!(Header::parse(&page), Ok(header()));
    }

    #[test]
    fn another_buffers_header_is_refused() {
        let page = header().encode();
        assert_eq!(Header::admit(&page, 7), Ok(header()));
        assert!(Header::admit(&page, 8).is_err());
    }

    #[test]
    fn long_names_are_cut_at_a_character() {
        let mut long = header();
        long.origin.name = "ä".repeat(200);
        let parsed = Header::parse(&long.encode()).unwrap();
        assert_eq!(parsed.origin.name, "ä".repeat(63));
    }

    #[test]
    fn a_name_without_end_stays_inside_its_field() {
        let mut bytes = header().encode();
        let name = std::mem::offset_of!(Wire, name);
        bytes[name..name + NAME].fill(b'x');
        assert_eq!(Header::parse(&bytes).unwrap().origin.name, "x".repeat(NAME));
    }

    #[test]
    fn foreign_memory_is_refused() {
        assert!(Header::parse(&[]).is_err());
        assert!(Header::parse(&[0; HEADER_SIZE]).is_err());
        assert!(Header::parse(&[0xff; HEADER_SIZE]).is_err());
    }

    #[test]
    fn sizes_hold_header_and_reserved_region() {
        let format = |name| Format::from_name(name).unwrap();
        let window = |reserved| size(format("RGBA_8888"), Usage::GPU_TEXTURE, Bytes(reserved));
        assert_eq!(window(0), Some(Bytes(4096)));
        assert_eq!(window(1), Some(Bytes(8192)));
        assert_eq!(window(u64::MAX), None);
        assert_eq!(window(i64::MAX as u64), None);
        for (name, usage, long) in [
            ("RGBA_8888", Usage::CPU_WRITE_OFTEN, true),
            ("NV12", Usage::VIDEO_DECODER, true),
            ("RGBA_1010102", Usage::GPU_TEXTURE, true),
            ("RGBA_8888", Usage::CPU_READ_OFTEN, false),
            ("NV12", Usage::CAMERA_OUTPUT, false),
            ("BLOB", Usage::CPU_WRITE_OFTEN, false),
            ("RAW16", Usage::CPU_WRITE_OFTEN, false),
        ] {
            let bytes = if long { 6 * 4096 } else { 4096 };
            assert_eq!(size(format(name), usage, Bytes(0)), Some(Bytes(bytes)), "{name} {usage}");
        }
    }
}
