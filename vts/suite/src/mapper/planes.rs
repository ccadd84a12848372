// SPDX-License-Identifier: Apache-2.0
//! Pixels by their plane layouts: a pattern written and read sample by sample, where the metadata
//! says that they are.

use std::error::Error;

use dmaheap_buffer::format::ComponentKind;
use dmaheap_buffer::standard::PlaneLayout;
use dmaheap_buffer::{Type, Value};

use super::ground::Test;
use crate::imapper::Imported;

/// A component's samples within a buffer.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Samples {
    /// Bytes from the start of the buffer to the first.
    pub first: usize,
    /// Bytes to the next of a row.
    pub step: usize,
    /// Bytes to the next row.
    pub stride: usize,
    /// Of a row.
    pub width: usize,
    /// Rows.
    pub height: usize,
    /// Bits of a sample.
    pub bits: i64,
    /// Pixels that share a sample, across and down.
    pub subsampling: [i64; 2],
}

pub fn layouts(buffer: &Imported<'_>) -> Result<Vec<PlaneLayout>, Box<dyn Error>> {
    match buffer.get(Type::PlaneLayouts)? {
        Value::PlaneLayouts(planes) => Ok(planes),
        other => Err(format!("{other:?} are no plane layouts").into()),
    }
}

/// The only component of this kind.
pub fn samples(planes: &[PlaneLayout], kind: ComponentKind) -> Result<Samples, Box<dyn Error>> {
    let components = |plane: &PlaneLayout| plane.components.clone();
    let mut found = planes.iter().flat_map(|plane| {
        let of_kind = components(plane).into_iter().filter(|c| c.kind.value == kind as i64);
        of_kind.map(move |component| (plane, component))
    });
    let (plane, component) = found.next().ok_or_else(|| format!("no {kind:?}"))?;
    if found.next().is_some() {
        return Err(format!("{kind:?} is there twice").into());
    }
    Ok(Samples {
        first: (plane.offset_in_bytes + component.offset_in_bits / 8).try_into()?,
        step: (plane.sample_increment_in_bits / 8).try_into()?,
        stride: plane.stride_in_bytes.try_into()?,
        width: plane.width_in_samples.try_into()?,
        height: plane.height_in_samples.try_into()?,
        bits: component.size_in_bits,
        subsampling: [plane.horizontal_subsampling, plane.vertical_subsampling],
    })
}

/// Y, Cb and Cr.
pub fn ycbcr(buffer: &Imported<'_>) -> Result<[Samples; 3], Box<dyn Error>> {
    let planes = layouts(buffer)?;
    let [y, cb, cr] =
        [ComponentKind::Y, ComponentKind::CB, ComponentKind::CR].map(|kind| samples(&planes, kind));
    Ok([y?, cb?, cr?])
}

impl Samples {
    /// Where each is, with a byte that tells it from its neighbours.
    fn pattern(self, salt: usize) -> impl Iterator<Item = (usize, u8)> {
        let place = move |row: usize, column: usize| {
            let byte = (self.height * row + column + salt) as u8;
            (self.first + row * self.stride + column * self.step, byte)
        };
        (0..self.height).flat_map(move |row| (0..self.width).map(move |column| place(row, column)))
    }
}

/// Writes a pattern of its own to each component.
pub fn fill(pixels: &mut [u8], components: &[Samples]) {
    for (salt, samples) in components.iter().enumerate() {
        samples.pattern(salt).for_each(|(place, byte)| pixels[place] = byte);
    }
}

/// Fails unless all patterns are there: none was overwritten by another.
pub fn check(pixels: &[u8], components: &[Samples]) -> Test {
    for (salt, samples) in components.iter().enumerate() {
        if let Some((place, byte)) = samples.pattern(salt).find(|(p, byte)| pixels[*p] != *byte) {
            let got = pixels[place];
            return Err(format!("component {salt}: {got} at {place}, expected {byte}").into());
        }
    }
    Ok(())
}
