// SPDX-License-Identifier: Apache-2.0
//! Where every plane and row of a buffer lies.
//!
//! [`Layout::new`] is total: for any format, extent and constraints it gives
//! a layout or an error, and all its arithmetic is checked. Planes follow one
//! another in the order of the format's table row, layers follow one another
//! whole.
//!
//! There is no other way to a layout: whoever is handed a buffer is told the
//! three arguments and computes the layout himself, so that no two facts of it
//! can disagree (see [`handle`](crate::handle)).

use crate::Error;
use crate::format::{Format, Sampling};
use crate::units::{self, Bytes, Pixels, Stride};

/// Size of a buffer as its user sees it. Nothing in it is zero.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Extent {
    width: Pixels,
    height: Pixels,
    layers: u32,
}

impl Extent {
    /// Judges an extent from outside; for a BLOB the width is its byte size.
    ///
    /// # Errors
    /// [`Error::BadExtent`] for anything below 1 or above 2^31 - 1.
    pub fn new(width: i64, height: i64, layers: i64) -> Result<Extent, Error> {
        let positive = |n: i64| i32::try_from(n).ok().filter(|n| *n > 0).map(i32::unsigned_abs);
        match (positive(width), positive(height), positive(layers)) {
            (Some(w), Some(h), Some(layers)) => {
                Ok(Extent { width: Pixels(w), height: Pixels(h), layers })
            }
            _ => Err(Error::BadExtent { width, height, layers }),
        }
    }

    /// Width of a row.
    pub fn width(self) -> Pixels {
        self.width
    }

    /// Number of rows of a layer.
    pub fn height(self) -> Pixels {
        self.height
    }

    /// Number of pictures in the buffer.
    pub fn layers(self) -> u32 {
        self.layers
    }
}

/// What the devices that share a buffer ask of its layout. All are multiples
/// that something must be of; zero asks nothing.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Constraints {
    /// Of the bytes from row to row, in every plane.
    pub stride: Bytes,
    /// Of the rows that have memory behind them.
    pub height: Pixels,
    /// Of the offset of every plane and every layer.
    pub plane: Bytes,
    /// Of the size of the whole buffer.
    pub size: Bytes,
}

impl Constraints {
    /// What satisfies both.
    ///
    /// # Errors
    /// [`Error::Overflow`] if no multiple can be expressed.
    pub fn combine(self, other: Constraints) -> Result<Constraints, Error> {
        let lcm = |a, b| units::lcm(a, b).ok_or(Error::Overflow);
        let height = lcm(self.height.0.into(), other.height.0.into())?;
        Ok(Constraints {
            stride: Bytes(lcm(self.stride.0, other.stride.0)?),
            height: Pixels(height.try_into().map_err(|_| Error::Overflow)?),
            plane: Bytes(lcm(self.plane.0, other.plane.0)?),
            size: Bytes(lcm(self.size.0, other.size.0)?),
        })
    }
}

/// One plane of the first layer.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Plane {
    /// Bytes from the start of the layer.
    pub offset: Bytes,
    /// Bytes from one row of samples to the next.
    pub stride: Bytes,
    /// Rows of samples that have memory behind them.
    pub rows: u32,
}

impl Plane {
    /// Bytes of all its rows, if they can be expressed.
    pub fn size(&self) -> Option<Bytes> {
        self.stride.checked_mul(self.rows.into())
    }
}

/// A buffer's memory, down to the last row.
///
/// # Invariants
/// `planes` has one entry per plane of the format. Planes do not overlap, each
/// has room for every sample of the extent, and all of them lie inside the
/// first `layer_size` bytes. All layers lie inside `size`, which is at most
/// 2^63 - 1.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Layout {
    format: Format,
    extent: Extent,
    constraints: Constraints,
    stride: Stride,
    planes: Vec<Plane>,
    layer_size: Bytes,
    size: Bytes,
}

impl Layout {
    /// Lays out a buffer so that all constraints hold.
    ///
    /// # Errors
    /// [`Error::BadBlob`] for a BLOB that is not a single row;
    /// [`Error::Overflow`] if a row or the buffer gets too long to be described.
    pub fn new(format: Format, extent: Extent, constraints: &Constraints) -> Result<Layout, Error> {
        if format.is_blob() {
            require_single_row(extent)?;
        }
        let width = padded_width(format, extent, constraints)?;
        let height = Bytes(extent.height.0.into())
            .align_up(Bytes(constraints.height.0.into()))
            .ok_or(Error::Overflow)?;

        let mut planes = Vec::with_capacity(format.planes().len());
        let mut end = Bytes(0);
        for sampling in format.planes() {
            let plane = Plane {
                offset: end.align_up(constraints.plane).ok_or(Error::Overflow)?,
                stride: row_bytes(sampling, width)?,
                rows: u32::try_from(height.0.div_ceil(u64::from(sampling.height).max(1)))
                    .map_err(|_| Error::Overflow)?,
            };
            end = plane
                .size()
                .and_then(|size| size.checked_add(plane.offset))
                .ok_or(Error::Overflow)?;
            planes.push(plane);
        }

        let layer_size = end.align_up(constraints.plane).ok_or(Error::Overflow)?;
        let size = layer_size
            .checked_mul(extent.layers.into())
            .and_then(|size| size.align_up(constraints.size))
            .filter(|size| i64::try_from(size.0).is_ok())
            .ok_or(Error::Overflow)?;
        let stride = reported_stride(format, width, &planes)?;
        // INVARIANT: planes are appended with checked arithmetic, each row is
        // as long as the padded width needs, the rest rounds up.
        let constraints = *constraints;
        Ok(Layout { format, extent, constraints, stride, planes, layer_size, size })
    }

    /// How samples are made.
    pub fn format(&self) -> Format {
        self.format
    }

    /// What the user sees.
    pub fn extent(&self) -> Extent {
        self.extent
    }

    /// What it was made to satisfy.
    pub fn constraints(&self) -> &Constraints {
        &self.constraints
    }

    /// From one row to the next; the number IAllocator reports.
    pub fn stride(&self) -> Stride {
        self.stride
    }

    /// The planes of the first layer, in the order of the format.
    pub fn planes(&self) -> &[Plane] {
        &self.planes
    }

    /// Bytes from one layer to the next.
    pub fn layer_size(&self) -> Bytes {
        self.layer_size
    }

    /// Bytes of the whole buffer.
    pub fn size(&self) -> Bytes {
        self.size
    }
}

fn require_single_row(extent: Extent) -> Result<(), Error> {
    match (extent.height.0, extent.layers) {
        (1, 1) => Ok(()),
        (height, layers) => Err(Error::BadBlob { height, layers }),
    }
}

/// The pixels of a whole row: the width, padded so that every plane's row ends on
/// a whole sample and every plane's stride obeys the byte constraint.
fn padded_width(
    format: Format,
    extent: Extent,
    constraints: &Constraints,
) -> Result<Pixels, Error> {
    if format.is_blob() {
        return Ok(extent.width); // One row: there is no next one to align.
    }
    let mut multiple = u64::from(format.stride_multiple());
    for sampling in format.planes() {
        // The shortest run of whole samples whose bytes are a multiple.
        let bytes = u64::from(sampling.bytes);
        let run = units::lcm(constraints.stride.0, bytes)
            .and_then(|run| run.checked_div(bytes))
            .and_then(|samples| samples.checked_mul(sampling.width.into()))
            .ok_or(Error::Overflow)?;
        multiple = units::lcm(multiple, run).ok_or(Error::Overflow)?;
    }
    let padded = u64::from(extent.width.0)
        .checked_next_multiple_of(multiple)
        .and_then(|width| i32::try_from(width).ok())
        .ok_or(Error::Overflow)?;
    Ok(Pixels(padded.unsigned_abs()))
}

/// The stride as clients are told it.
fn reported_stride(format: Format, width: Pixels, planes: &[Plane]) -> Result<Stride, Error> {
    match planes {
        [plane, ..] if format.has_stride_in_bytes() => {
            u32::try_from(plane.stride.0).map(Stride).map_err(|_| Error::Overflow)
        }
        _ => Ok(Stride(width.0)),
    }
}

/// Bytes of a row of samples that covers `width` pixels; at most 2^31 - 1,
/// because both V4L2 and DRM count them in 32 bits.
fn row_bytes(sampling: &Sampling, width: Pixels) -> Result<Bytes, Error> {
    let bytes =
        u64::from(width.0.div_ceil(sampling.width.max(1))).checked_mul(sampling.bytes.into());
    bytes.filter(|bytes| i32::try_from(*bytes).is_ok()).map(Bytes).ok_or(Error::Overflow)
}
