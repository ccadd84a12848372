// SPDX-License-Identifier: Apache-2.0
//! Rectangles.

use crate::layout::Extent;

/// A rectangle of pixels or samples: `Rect`. Right and bottom are outside.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[allow(missing_docs)]
pub struct Rect {
    pub left: i32,
    pub top: i32,
    pub right: i32,
    pub bottom: i32,
}

impl Rect {
    /// The whole of something of this size, which is at most 2^31 - 1 either way.
    pub(super) fn of(width: u32, height: u32) -> Rect {
        Rect { left: 0, top: 0, right: width.cast_signed(), bottom: height.cast_signed() }
    }

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

impl From<Extent> for Rect {
    /// All pixels of a layer.
    fn from(extent: Extent) -> Rect {
        Rect::of(extent.width().0, extent.height().0)
    }
}
