// SPDX-License-Identifier: Apache-2.0
//! What a handle and a header say, as standard metadata.

use super::{Extendable, PlaneLayout, Rect, Type, Value};
use crate::handle::Handle;
use crate::metadata::Header;
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
            Type::PixelFormatRequested => Value::PixelFormatRequested(handle.requested_format),
            Type::PixelFormatFourcc => Value::PixelFormatFourcc(format.fourcc().unwrap_or(0)),
            Type::PixelFormatModifier => Value::PixelFormatModifier(LINEAR),
            Type::Usage => Value::Usage(handle.usage.bits()),
            Type::AllocationSize => Value::AllocationSize(layout.size().0),
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
            Type::Crop => Value::Crop(vec![handle.bounds()]),
            Type::Dataspace => Value::Dataspace(0),
            Type::BlendMode => Value::BlendMode(0),
            Type::Smpte2086 => Value::Smpte2086(None),
            Type::Cta861_3 => Value::Cta861_3(None),
            Type::Smpte2094_40 => Value::Smpte2094_40(None),
            Type::Smpte2094_10 => Value::Smpte2094_10(None),
            Type::Stride => Value::Stride(layout.stride().0),
        }
    }
}

impl Handle {
    /// All pixels of a layer.
    pub fn bounds(&self) -> Rect {
        let extent = self.layout.extent();
        // An extent is at most 2^31 - 1.
        Rect {
            left: 0,
            top: 0,
            right: extent.width().0.cast_signed(),
            bottom: extent.height().0.cast_signed(),
        }
    }
}

impl Rect {
    /// Whether it has pixels, and all of them are in `outer`.
    pub fn is_inside(self, outer: Rect) -> bool {
        outer.left <= self.left
            && outer.top <= self.top
            && self.left < self.right
            && self.top < self.bottom
            && self.right <= outer.right
            && self.bottom <= outer.bottom
    }
}

fn named(name: &str, value: i64) -> Extendable {
    Extendable { name: name.to_owned(), value }
}
