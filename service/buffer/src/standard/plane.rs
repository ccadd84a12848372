// SPDX-License-Identifier: Apache-2.0
//! `PlaneLayout`: a plane as clients of the mapper see it.

use super::wire::{Reader, put_extendable};
use super::{Extendable, Rect};
use crate::format::{Component, Sampling};
use crate::layout::{Layout, Plane};

/// The list that a component's kind is of.
const COMPONENT: &str = "android.hardware.graphics.common.PlaneLayoutComponentType";

/// Where a component lies within a sample: `PlaneLayoutComponent`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PlaneComponent {
    /// What it stands for.
    pub kind: Extendable,
    /// Bits from the start of the sample.
    pub offset_in_bits: i64,
    /// Bits; -1 where pixels are packed across byte boundaries.
    pub size_in_bits: i64,
}

/// One plane: `PlaneLayout`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PlaneLayout {
    /// What is in a sample.
    pub components: Vec<PlaneComponent>,
    /// Bytes from the start of the buffer.
    pub offset_in_bytes: i64,
    /// Bits from sample to sample; 0 where pixels are packed across byte
    /// boundaries.
    pub sample_increment_in_bits: i64,
    /// Bytes from row to row.
    pub stride_in_bytes: i64,
    /// Samples of a row.
    pub width_in_samples: i64,
    /// Rows of samples.
    pub height_in_samples: i64,
    /// Bytes of the plane.
    pub total_size_in_bytes: i64,
    /// Pixels of a row that share a sample.
    pub horizontal_subsampling: i64,
    /// Rows of pixels that share a row of samples.
    pub vertical_subsampling: i64,
}

impl PlaneLayout {
    /// The planes of a buffer's first layer.
    pub fn of(layout: &Layout) -> Vec<PlaneLayout> {
        let planes = layout.planes().iter().zip(layout.format().planes());
        planes.map(|(plane, sampling)| PlaneLayout::new(layout, plane, sampling)).collect()
    }

    fn new(layout: &Layout, plane: &Plane, sampling: &Sampling) -> PlaneLayout {
        let packed = is_packed(sampling);
        let (across, down) = subsampling(sampling);
        let [width, height] = samples(layout, sampling);
        PlaneLayout {
            components: sampling.components.iter().map(PlaneComponent::new).collect(),
            offset_in_bytes: signed(plane.offset.0),
            sample_increment_in_bits: if packed { 0 } else { i64::from(sampling.bytes) << 3 },
            stride_in_bytes: signed(plane.stride.0),
            width_in_samples: width.into(),
            height_in_samples: height.into(),
            total_size_in_bytes: signed(plane.size().unwrap_or_default().0),
            horizontal_subsampling: across.into(),
            vertical_subsampling: down.into(),
        }
    }

    fn numbers(&self) -> [i64; 8] {
        [
            self.offset_in_bytes,
            self.sample_increment_in_bits,
            self.stride_in_bytes,
            self.width_in_samples,
            self.height_in_samples,
            self.total_size_in_bytes,
            self.horizontal_subsampling,
            self.vertical_subsampling,
        ]
    }

    fn read(from: &mut Reader<'_>) -> Option<PlaneLayout> {
        Some(PlaneLayout {
            components: from.list(PlaneComponent::read)?,
            offset_in_bytes: from.number()?,
            sample_increment_in_bits: from.number()?,
            stride_in_bytes: from.number()?,
            width_in_samples: from.number()?,
            height_in_samples: from.number()?,
            total_size_in_bytes: from.number()?,
            horizontal_subsampling: from.number()?,
            vertical_subsampling: from.number()?,
        })
    }
}

impl PlaneComponent {
    fn new(component: &Component) -> PlaneComponent {
        PlaneComponent {
            kind: Extendable { name: COMPONENT.to_owned(), value: component.kind as i64 },
            offset_in_bits: component.offset.into(),
            size_in_bits: component.size.map_or(-1, i64::from),
        }
    }

    fn read(from: &mut Reader<'_>) -> Option<PlaneComponent> {
        Some(PlaneComponent {
            kind: from.extendable()?,
            offset_in_bits: from.number()?,
            size_in_bits: from.number()?,
        })
    }
}

fn is_packed(sampling: &Sampling) -> bool {
    sampling.components.iter().any(|component| component.size.is_none())
}

/// Pixels that share a sample, across and down. Where pixels are packed, a
/// sample has no size of its own, and the interface counts pixels.
fn subsampling(sampling: &Sampling) -> (u32, u32) {
    if is_packed(sampling) { (1, 1) } else { (sampling.width, sampling.height) }
}

/// Samples of a row, and rows of samples, that are of the picture.
fn samples(layout: &Layout, sampling: &Sampling) -> [u32; 2] {
    let (across, down) = subsampling(sampling);
    let extent = layout.extent();
    [extent.width().0.div_ceil(across.max(1)), extent.height().0.div_ceil(down.max(1))]
}

/// All samples of each plane.
pub(super) fn bounds(layout: &Layout) -> impl Iterator<Item = Rect> {
    layout.format().planes().iter().map(|sampling| {
        let [width, height] = samples(layout, sampling);
        Rect::of(width, height)
    })
}

/// A layout's sizes are below 2^63.
fn signed(bytes: u64) -> i64 {
    bytes.try_into().unwrap_or(i64::MAX)
}

pub(super) fn put(out: &mut Vec<u8>, planes: &[PlaneLayout]) {
    out.extend((planes.len() as u64).to_le_bytes());
    for plane in planes {
        out.extend((plane.components.len() as u64).to_le_bytes());
        for component in &plane.components {
            put_extendable(out, &component.kind.name, component.kind.value);
            out.extend(component.offset_in_bits.to_le_bytes());
            out.extend(component.size_in_bits.to_le_bytes());
        }
        out.extend(plane.numbers().into_iter().flat_map(i64::to_le_bytes));
    }
}

pub(super) fn read(from: &mut Reader<'_>) -> Option<Vec<PlaneLayout>> {
    from.list(PlaneLayout::read)
}
