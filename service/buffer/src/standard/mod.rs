// SPDX-License-Identifier: Apache-2.0
//! The standard metadata of a buffer, as it travels through the mapper.
//!
//! An encoded value is the name of its type, as a string and a number, and
//! then the value, little-endian and without padding. Strings, lists and byte
//! strings begin with their length as 64 bits. An HDR value that is unset is
//! no byte at all, not even a name. Types and values are those of
//! `android.hardware.graphics.common`.

mod initial;
mod plane;
mod rect;
mod wire;

pub use plane::{PlaneComponent, PlaneLayout};
pub use rect::Rect;

use crate::Error;
use wire::{Reader, put_bytes, put_extendable};

/// The name of the types, before each encoded value.
pub const NAME: &str = "android.hardware.graphics.common.StandardMetadataType";

macro_rules! types {
    ($($(#[$doc:meta])* $name:ident = $value:expr),* $(,)?) => {
        /// What can be asked of a buffer: `StandardMetadataType`.
        #[derive(Debug, Clone, Copy, PartialEq, Eq)]
        #[repr(i64)]
        pub enum Type {
            $($(#[$doc])* $name = $value),*
        }

        impl Type {
            /// All of them, in the order of their numbers.
            pub const ALL: &[Type] = &[$(Type::$name),*];
        }
    };
}

types! {
    /// Id, the same in every process.
    BufferId = 1,
    /// The client's name for the buffer.
    Name = 2,
    /// Pixels of a row.
    Width = 3,
    /// Rows.
    Height = 4,
    /// Pictures in the buffer.
    LayerCount = 5,
    /// The format the client asked for.
    PixelFormatRequested = 6,
    /// The DRM format code of the bytes.
    PixelFormatFourcc = 7,
    /// The DRM modifier of the bytes.
    PixelFormatModifier = 8,
    /// What the buffer was allocated for.
    Usage = 9,
    /// Bytes of all memory behind the buffer.
    AllocationSize = 10,
    /// Whether only trusted devices may read it.
    ProtectedContent = 11,
    /// How the bytes are compressed.
    Compression = 12,
    /// How fields lie in a frame.
    Interlaced = 13,
    /// Where chroma samples lie between luma samples.
    ChromaSiting = 14,
    /// Where each plane and component lies.
    PlaneLayouts = 15,
    /// The part of each plane that is to be shown.
    Crop = 16,
    /// What the numbers mean as colours.
    Dataspace = 17,
    /// How the buffer is put over what is behind it.
    BlendMode = 18,
    /// Mastering display.
    Smpte2086 = 19,
    /// Light levels of the content.
    Cta861_3 = 20,
    /// Dynamic metadata HDR10+.
    Smpte2094_40 = 21,
    /// Dynamic metadata of the other kind.
    Smpte2094_10 = 22,
    /// From row to row, in the unit that the format defines.
    Stride = 23,
    /// Dynamic metadata, adaptive to the display.
    Smpte2094_50 = 24,
}

impl Type {
    /// The type of this number, if there is one.
    pub fn new(number: i64) -> Option<Type> {
        Type::ALL.iter().copied().find(|kind| kind.number() == number)
    }

    /// Its number.
    pub const fn number(self) -> i64 {
        self as i64
    }
}

/// A named number: `ExtendableType`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Extendable {
    /// Which list the number is of.
    pub name: String,
    /// The number.
    pub value: i64,
}

/// A value with its type.
#[derive(Debug, Clone, PartialEq)]
#[allow(missing_docs)]
pub enum Value {
    BufferId(u64),
    Name(String),
    Width(u64),
    Height(u64),
    LayerCount(u64),
    PixelFormatRequested(i32),
    /// 0 where the kernel has no code.
    PixelFormatFourcc(u32),
    PixelFormatModifier(u64),
    /// `BufferUsage` bits.
    Usage(u64),
    /// Pixels, metadata and reserved region, with what was added so that they
    /// are whole pages of 4 KiB; without the room for the longest metadata. Not what a lock maps: that is in the planes.
    AllocationSize(u64),
    /// 1 if it is.
    ProtectedContent(u64),
    Compression(Extendable),
    Interlaced(Extendable),
    ChromaSiting(Extendable),
    PlaneLayouts(Vec<PlaneLayout>),
    /// One for each plane, in its samples; they hold for every layer.
    Crop(Vec<Rect>),
    Dataspace(i32),
    BlendMode(i32),
    /// Red, green, blue and white as x and y; highest and lowest luminance in
    /// candela per square metre.
    Smpte2086(Option<[f32; 10]>),
    /// Highest content and frame-average light level, in the same unit.
    Cta861_3(Option<[f32; 2]>),
    Smpte2094_40(Option<Vec<u8>>),
    Smpte2094_10(Option<Vec<u8>>),
    Stride(u32),
    Smpte2094_50(Option<Vec<u8>>),
}

impl Value {
    /// Its type.
    pub fn kind(&self) -> Type {
        match self {
            Value::BufferId(_) => Type::BufferId,
            Value::Name(_) => Type::Name,
            Value::Width(_) => Type::Width,
            Value::Height(_) => Type::Height,
            Value::LayerCount(_) => Type::LayerCount,
            Value::PixelFormatRequested(_) => Type::PixelFormatRequested,
            Value::PixelFormatFourcc(_) => Type::PixelFormatFourcc,
            Value::PixelFormatModifier(_) => Type::PixelFormatModifier,
            Value::Usage(_) => Type::Usage,
            Value::AllocationSize(_) => Type::AllocationSize,
            Value::ProtectedContent(_) => Type::ProtectedContent,
            Value::Compression(_) => Type::Compression,
            Value::Interlaced(_) => Type::Interlaced,
            Value::ChromaSiting(_) => Type::ChromaSiting,
            Value::PlaneLayouts(_) => Type::PlaneLayouts,
            Value::Crop(_) => Type::Crop,
            Value::Dataspace(_) => Type::Dataspace,
            Value::BlendMode(_) => Type::BlendMode,
            Value::Smpte2086(_) => Type::Smpte2086,
            Value::Cta861_3(_) => Type::Cta861_3,
            Value::Smpte2094_40(_) => Type::Smpte2094_40,
            Value::Smpte2094_10(_) => Type::Smpte2094_10,
            Value::Stride(_) => Type::Stride,
            Value::Smpte2094_50(_) => Type::Smpte2094_50,
        }
    }

    /// The bytes for a client; none for an HDR value that is unset.
    pub fn encode(&self) -> Vec<u8> {
        let mut out = Vec::new();
        if let Some(content) = self.content() {
            put_bytes(&mut out, NAME.as_bytes());
            out.extend(self.kind().number().to_le_bytes());
            out.extend(content);
        }
        out
    }

    /// The bytes without the type's name, as the metadata buffer holds them;
    /// `None` for an HDR value that is unset.
    pub fn content(&self) -> Option<Vec<u8>> {
        let mut out = Vec::new();
        match self {
            Value::BufferId(value)
            | Value::Width(value)
            | Value::Height(value)
            | Value::LayerCount(value)
            | Value::PixelFormatModifier(value)
            | Value::Usage(value)
            | Value::AllocationSize(value)
            | Value::ProtectedContent(value) => out.extend(value.to_le_bytes()),
            Value::PixelFormatFourcc(value) | Value::Stride(value) => {
                out.extend(value.to_le_bytes());
            }
            Value::PixelFormatRequested(value)
            | Value::Dataspace(value)
            | Value::BlendMode(value) => out.extend(value.to_le_bytes()),
            Value::Name(text) => put_bytes(&mut out, text.as_bytes()),
            Value::Compression(value) | Value::Interlaced(value) | Value::ChromaSiting(value) => {
                put_extendable(&mut out, &value.name, value.value);
            }
            Value::PlaneLayouts(planes) => plane::put(&mut out, planes),
            Value::Crop(crops) => {
                out.extend((crops.len() as u64).to_le_bytes());
                let edges = |rect: &Rect| [rect.left, rect.top, rect.right, rect.bottom];
                out.extend(crops.iter().flat_map(edges).flat_map(i32::to_le_bytes));
            }
            Value::Smpte2086(value) => out.extend((*value)?.into_iter().flat_map(f32::to_le_bytes)),
            Value::Cta861_3(value) => out.extend((*value)?.into_iter().flat_map(f32::to_le_bytes)),
            Value::Smpte2094_40(value)
            | Value::Smpte2094_10(value)
            | Value::Smpte2094_50(value) => {
                put_bytes(&mut out, value.as_deref()?);
            }
        }
        Some(out)
    }

    /// Reads what [`Value::encode`] made, trusting none of it.
    ///
    /// # Errors
    /// [`Error::BadValue`] if it is anything else than a whole value of this
    /// type and nothing behind it.
    pub fn decode(kind: Type, bytes: &[u8]) -> Result<Value, Error> {
        if let Some(unset) = Value::unset(kind).filter(|_| bytes.is_empty()) {
            return Ok(unset);
        }
        let mut reader = Reader::new(bytes);
        let named = reader.string() == Some(NAME) && reader.number() == Some(kind.number());
        let content = reader.rest();
        if !named {
            return Err(Error::BadValue(kind));
        }
        Value::from_content(kind, content)
    }

    /// Reads what [`Value::content`] made, trusting none of it.
    ///
    /// # Errors
    /// [`Error::BadValue`], as for [`Value::decode`].
    pub fn from_content(kind: Type, content: &[u8]) -> Result<Value, Error> {
        let mut reader = Reader::new(content);
        let value = Value::read(kind, &mut reader).filter(|_| reader.rest().is_empty());
        value.ok_or(Error::BadValue(kind))
    }

    /// The HDR value of this type that says nothing.
    pub fn unset(kind: Type) -> Option<Value> {
        match kind {
            Type::Smpte2086 => Some(Value::Smpte2086(None)),
            Type::Cta861_3 => Some(Value::Cta861_3(None)),
            Type::Smpte2094_40 => Some(Value::Smpte2094_40(None)),
            Type::Smpte2094_10 => Some(Value::Smpte2094_10(None)),
            Type::Smpte2094_50 => Some(Value::Smpte2094_50(None)),
            _ => None,
        }
    }

    fn read(kind: Type, from: &mut Reader<'_>) -> Option<Value> {
        Some(match kind {
            Type::BufferId => Value::BufferId(from.u64()?),
            Type::Name => Value::Name(from.string()?.to_owned()),
            Type::Width => Value::Width(from.u64()?),
            Type::Height => Value::Height(from.u64()?),
            Type::LayerCount => Value::LayerCount(from.u64()?),
            Type::PixelFormatRequested => Value::PixelFormatRequested(from.i32()?),
            Type::PixelFormatFourcc => Value::PixelFormatFourcc(from.u32()?),
            Type::PixelFormatModifier => Value::PixelFormatModifier(from.u64()?),
            Type::Usage => Value::Usage(from.u64()?),
            Type::AllocationSize => Value::AllocationSize(from.u64()?),
            Type::ProtectedContent => Value::ProtectedContent(from.u64()?),
            Type::Compression => Value::Compression(from.extendable()?),
            Type::Interlaced => Value::Interlaced(from.extendable()?),
            Type::ChromaSiting => Value::ChromaSiting(from.extendable()?),
            Type::PlaneLayouts => Value::PlaneLayouts(plane::read(from)?),
            Type::Crop => Value::Crop(from.list(Reader::rect)?),
            Type::Dataspace => Value::Dataspace(from.i32()?),
            Type::BlendMode => Value::BlendMode(from.i32()?),
            Type::Smpte2086 => Value::Smpte2086(Some(from.floats()?)),
            Type::Cta861_3 => Value::Cta861_3(Some(from.floats()?)),
            Type::Smpte2094_40 => Value::Smpte2094_40(Some(from.bytes()?.to_vec())),
            Type::Smpte2094_10 => Value::Smpte2094_10(Some(from.bytes()?.to_vec())),
            Type::Stride => Value::Stride(from.u32()?),
            Type::Smpte2094_50 => Value::Smpte2094_50(Some(from.bytes()?.to_vec())),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Sizes that the interface's own encoder gives, counted by hand: 8 bytes
    /// of length, 53 of name, 8 of number, and the value.
    #[test]
    fn sizes_are_those_of_the_interface() {
        assert_eq!(NAME.len(), 53);
        assert_eq!(Value::Width(64).encode().len(), 69 + 8);
        assert_eq!(Value::Stride(64).encode().len(), 69 + 4);
        assert_eq!(Value::Name("abc".into()).encode().len(), 69 + 8 + 3);
        assert_eq!(Value::Crop(vec![]).encode().len(), 69 + 8);
        assert_eq!(Value::Smpte2086(Some([0.0; 10])).encode().len(), 69 + 40);
        assert_eq!(Value::Smpte2086(None).encode().len(), 0);
    }

    #[test]
    fn bytes_are_those_of_the_interface() {
        let bytes = Value::Dataspace(0x0102_0304).encode();
        assert_eq!(bytes[..8], [53, 0, 0, 0, 0, 0, 0, 0]);
        assert_eq!(&bytes[8..61], NAME.as_bytes());
        assert_eq!(bytes[61..], [17, 0, 0, 0, 0, 0, 0, 0, 4, 3, 2, 1]);
    }

    #[test]
    fn numbers_are_found_and_others_are_not() {
        assert_eq!(Type::ALL.len(), 24);
        for number in 1..=24 {
            assert_eq!(Type::new(number).unwrap().number(), number);
        }
        for number in [0, -1, 25, i64::MIN, i64::MAX] {
            assert_eq!(Type::new(number), None);
        }
    }

    #[test]
    fn another_types_value_is_refused() {
        let width = Value::Width(1).encode();
        assert_eq!(Value::decode(Type::Height, &width), Err(Error::BadValue(Type::Height)));
        assert!(Value::decode(Type::Width, &width[..width.len() - 1]).is_err());
        assert!(Value::decode(Type::Width, &[width, vec![0]].concat()).is_err());
        assert!(Value::decode(Type::Width, &[]).is_err());
    }
}
