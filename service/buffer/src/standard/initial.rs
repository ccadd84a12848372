// SPDX-License-Identifier: Apache-2.0
//! What a handle and a header say, as standard metadata.

use super::{Extendable, PlaneLayout, Rect, Type, Value, plane};
use crate::handle::Handle;
use crate::header::{self, Header};
use crate::layout::Layout;
use crate::usage::Usage;

/// `DRM_FORMAT_MOD_LINEAR`: rows one after the other, nothing compressed.
const LINEAR: u64 = 0;

const COMPRESSION: &str = "android.hardware.graphics.common.Compression";
const INTERLACED: &str = "android.hardware.graphics.common.Interlaced";
const CHROMA_SITING: &str = "android.hardware.graphics.common.ChromaSiting";
/// The number for "none" in the first two lists, and for a format without
/// chroma in the third.
const NONE: i64 = 0;
/// `ChromaSiting::UNKNOWN`.
const UNKNOWN: i64 = 1;

impl Value {
    /// A buffer's metadata of this type: what never changes, and for what
    /// clients set, the value before anybody did.
    pub fn initial(kind: Type, handle: &Handle, header: &Header) -> Value {
        let layout = &handle.layout;
        let (format, extent) = (layout.format(), layout.extent());
        match kind {
            Type::BufferId => Value::BufferId(handle.id),
            Type::Name => Value::Name(header.origin.name.clone()),
            Type::Width => Value::Width(extent.width().0.into()),
            Type::Height => Value::Height(extent.height().0.into()),
            Type::LayerCount => Value::LayerCount(extent.layers().into()),
            Type::PixelFormatRequested => Value::PixelFormatRequested(handle.requested_format()),
            Type::PixelFormatFourcc => Value::PixelFormatFourcc(format.fourcc().unwrap_or(0)),
            Type::PixelFormatModifier => Value::PixelFormatModifier(LINEAR),
            Type::Usage => Value::Usage(handle.usage.bits()),
            Type::AllocationSize => Value::AllocationSize(allocation_size(handle)),
            Type::ProtectedContent => {
                Value::ProtectedContent(handle.usage.contains(Usage::PROTECTED).into())
            }
            Type::Compression => Value::Compression(named(COMPRESSION, NONE)),
            Type::Interlaced => Value::Interlaced(named(INTERLACED, NONE)),
            // Who fills the buffer knows, and has no way to say it.
            Type::ChromaSiting if format.has_chroma() => {
                Value::ChromaSiting(named(CHROMA_SITING, UNKNOWN))
            }
            Type::ChromaSiting => Value::ChromaSiting(named(CHROMA_SITING, NONE)),
            Type::PlaneLayouts => Value::PlaneLayouts(PlaneLayout::of(layout)),
            Type::Crop => Value::Crop(plane::bounds(layout).collect()),
            Type::Dataspace => Value::Dataspace(0),
            Type::BlendMode => Value::BlendMode(0),
            Type::Smpte2086 => Value::Smpte2086(None),
            Type::Cta861_3 => Value::Cta861_3(None),
            Type::Smpte2094_40 => Value::Smpte2094_40(None),
            Type::Smpte2094_10 => Value::Smpte2094_10(None),
            Type::Stride => Value::Stride(layout.stride().0),
            Type::Smpte2094_50 => Value::Smpte2094_50(None),
        }
    }

    /// Whether a buffer of this layout can have the value: what is shown of a
    /// plane is inside it.
    pub fn fits(&self, layout: &Layout) -> bool {
        match self {
            Value::Crop(crops) => {
                let bounds: Vec<Rect> = plane::bounds(layout).collect();
                let mut pairs = crops.iter().zip(&bounds);
                crops.len() == bounds.len() && pairs.all(|(crop, plane)| crop.is_inside(*plane))
            }
            _ => true,
        }
    }
}

/// Both dma-bufs, which [`Handle::admit`] has held against the kernel's word; but
/// not what a long header has more than a short one. That is more than the pixels of
/// an icon, and the interface's conformance test, which sets the longest metadata of
/// 64 x 64 pixels, takes twice their size for too much.
fn allocation_size(handle: &Handle) -> u64 {
    let room = header::size_for(handle.layout.format(), handle.usage);
    let room = room.saturating_sub(header::HEADER_SIZE) as u64;
    // Each is below 2^63.
    let metadata = handle.metadata_size().0.saturating_sub(room);
    handle.layout.size().0.saturating_add(metadata)
}

fn named(name: &str, value: i64) -> Extendable {
    Extendable { name: name.to_owned(), value }
}
