// SPDX-License-Identifier: Apache-2.0
//! The integers that travel with a buffer's two file descriptors: pixels
//! first, then metadata.
//!
//! They hold every fact about a buffer that never changes, so that whoever
//! imports it needs neither the allocator nor the metadata to find a pixel.
//! A checksum catches a handle that was damaged on the way. It is no proof of
//! origin: [`Handle::decode`] therefore accepts only facts that agree with one
//! another, and who maps the fds must still compare their real sizes with
//! [`Layout::size`] and [`Handle::metadata_size`].

use zerocopy::{FromBytes, Immutable, IntoBytes, KnownLayout};

use crate::Error;
use crate::checksum::fnv1a;
use crate::format::{Format, MAX_PLANES};
use crate::layout::{Extent, Layout, Plane};
use crate::metadata;
use crate::units::{Bytes, Pixels};
use crate::usage::{self, Usage};

/// File descriptors of a handle.
pub const FDS: usize = 2;

/// Integers of a handle.
pub const INTS: usize = size_of::<Wire>() / size_of::<i32>();

const MAGIC: u32 = u32::from_le_bytes(*b"DMAH");
const VERSION: u32 = 1;

/// Everything about a buffer that never changes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Handle {
    /// Random, and the same wherever the buffer goes.
    pub id: u64,
    /// What it was allocated for.
    pub usage: Usage,
    /// The `PixelFormat` code the client asked for; differs from the layout's
    /// format where the client left the choice to the board.
    pub requested_format: i32,
    /// Where its pixels are.
    pub layout: Layout,
    /// Size of the client's region behind the metadata.
    pub reserved: Bytes,
}

#[derive(FromBytes, IntoBytes, Immutable, KnownLayout)]
#[repr(C)]
struct Wire {
    magic: u32,
    version: u32,
    id: u64,
    usage: u64,
    size: u64,
    layer_size: u64,
    reserved: u64,
    width: u32,
    height: u32,
    layers: u32,
    stride: u32,
    requested_format: i32,
    format: i32,
    planes: [WirePlane; MAX_PLANES],
    checksum: u64,
}

#[derive(FromBytes, IntoBytes, Immutable, KnownLayout, Clone, Copy)]
#[repr(C)]
struct WirePlane {
    offset: u64,
    stride: u32,
    rows: u32,
}

impl Handle {
    /// The integers of a native handle.
    pub fn encode(&self) -> Vec<i32> {
        let layout = &self.layout;
        let extent = layout.extent();
        let mut planes = [WirePlane { offset: 0, stride: 0, rows: 0 }; MAX_PLANES];
        for (wire, plane) in planes.iter_mut().zip(layout.planes()) {
            // A layout's strides fit into 31 bits.
            let stride = u32::try_from(plane.stride.0).unwrap_or(0);
            *wire = WirePlane { offset: plane.offset.0, stride, rows: plane.rows };
        }
        let mut wire = Wire {
            magic: MAGIC,
            version: VERSION,
            id: self.id,
            usage: self.usage.bits(),
            size: layout.size().0,
            layer_size: layout.layer_size().0,
            reserved: self.reserved.0,
            width: extent.width().0,
            height: extent.height().0,
            layers: extent.layers(),
            stride: layout.stride().0,
            requested_format: self.requested_format,
            format: layout.format().code(),
            planes,
            checksum: 0,
        };
        wire.checksum = wire.sum();
        let words = wire.as_bytes().as_chunks::<4>().0;
        words.iter().map(|word| i32::from_ne_bytes(*word)).collect()
    }

    /// Reads the integers of a native handle, trusting none of them.
    ///
    /// # Errors
    /// [`Error::BadHandle`] if they are not a whole, undamaged handle whose
    /// facts agree; or the error of the fact that is impossible by itself.
    pub fn decode(ints: &[i32]) -> Result<Handle, Error> {
        let wire = Wire::read_from_bytes(ints.as_bytes())
            .map_err(|_| Error::BadHandle("wrong number of integers"))?;
        if wire.magic != MAGIC {
            return Err(Error::BadHandle("the magic number is another"));
        }
        if wire.version != VERSION {
            return Err(Error::BadHandle("the version is another"));
        }
        // A fuzzer would never get past it.
        if wire.checksum != wire.sum() && !cfg!(fuzzing) {
            return Err(Error::BadHandle("the checksum does not match"));
        }
        let format = Format::new(wire.format)?;
        let layout = Layout::from_parts(
            format,
            Extent::new(wire.width.into(), wire.height.into(), wire.layers.into())?,
            Pixels(wire.stride),
            wire.planes_of(format)?,
            [Bytes(wire.layer_size), Bytes(wire.size)],
        )?;
        let handle = Handle {
            id: wire.id,
            usage: Usage::new(wire.usage, usage::VENDOR_BITS)?,
            requested_format: wire.requested_format,
            layout,
            reserved: Bytes(wire.reserved),
        };
        match metadata::size(handle.reserved) {
            Some(_) => Ok(handle),
            None => Err(Error::BadHandle("the reserved region is too large")),
        }
    }

    /// Reads the integers of a native handle and holds them against the real
    /// sizes of its two buffers.
    ///
    /// # Errors
    /// Those of [`Handle::decode`]; [`Error::BadHandle`] if a buffer is smaller
    /// than the handle says.
    pub fn admit(ints: &[i32], pixels: Bytes, metadata: Bytes) -> Result<Handle, Error> {
        let handle = Handle::decode(ints)?;
        if pixels < handle.layout.size() {
            return Err(Error::BadHandle("the pixels' buffer is too small"));
        }
        if metadata < handle.metadata_size() {
            return Err(Error::BadHandle("the metadata's buffer is too small"));
        }
        Ok(handle)
    }

    /// Bytes that the metadata buffer has at least.
    pub fn metadata_size(&self) -> Bytes {
        // Cannot overflow: decode and the allocator have asked before.
        metadata::size(self.reserved).unwrap_or_default()
    }
}

impl Wire {
    /// Over all but the checksum itself.
    fn sum(&self) -> u64 {
        let bytes = self.as_bytes();
        let covered = bytes.len().saturating_sub(size_of::<u64>());
        fnv1a(bytes.iter().take(covered).copied())
    }

    fn planes_of(&self, format: Format) -> Result<Vec<Plane>, Error> {
        let (used, unused) = self
            .planes
            .split_at_checked(format.planes().len())
            .ok_or(Error::BadHandle("the format has too many planes"))?;
        if unused.as_bytes().iter().any(|byte| *byte != 0) {
            return Err(Error::BadHandle("more planes than the format has"));
        }
        let plane = |wire: &WirePlane| Plane {
            offset: Bytes(wire.offset),
            stride: Bytes(wire.stride.into()),
            rows: wire.rows,
        };
        Ok(used.iter().map(plane).collect())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::layout::Constraints;

    fn nv12() -> Handle {
        let format = Format::from_name("NV12").unwrap();
        let extent = Extent::new(1920, 1080, 1).unwrap();
        let constraints = Constraints { size: Bytes(4096), ..Constraints::default() };
        Handle {
            id: 0x1234_5678_9abc_def0,
            usage: Usage::CAMERA_OUTPUT | Usage::GPU_TEXTURE,
            requested_format: Format::IMPLEMENTATION_DEFINED,
            layout: Layout::new(format, extent, &constraints).unwrap(),
            reserved: Bytes(100),
        }
    }

    #[test]
    fn what_was_encoded_is_decoded() {
        assert_eq!(nv12().encode().len(), INTS);
        assert_eq!(Handle::decode(&nv12().encode()), Ok(nv12()));
    }

    #[test]
    fn any_changed_integer_is_refused() {
        for i in 0..INTS {
            for flip in [1, i32::MIN, -1] {
                let mut ints = nv12().encode();
                ints[i] ^= flip;
                assert!(Handle::decode(&ints).is_err(), "int {i} xor {flip:#x}");
            }
        }
    }

    #[test]
    fn a_forged_plane_is_refused_although_the_checksum_matches() {
        let forge = |change: fn(&mut Wire)| {
            let mut wire = Wire::read_from_bytes(nv12().encode().as_bytes()).unwrap();
            change(&mut wire);
            wire.checksum = wire.sum();
            let words = wire.as_bytes().as_chunks::<4>().0;
            let ints: Vec<i32> = words.iter().map(|w| i32::from_ne_bytes(*w)).collect();
            Handle::decode(&ints)
        };
        assert!(forge(|_| ()).is_ok());
        assert!(forge(|w| w.planes[0].stride = 8).is_err(), "rows shorter than the width");
        assert!(forge(|w| w.planes[1].offset = 64).is_err(), "chroma inside luma");
        assert!(forge(|w| w.planes[1].offset = u64::MAX).is_err(), "offset beyond the end");
        assert!(forge(|w| w.planes[1].rows = u32::MAX).is_err(), "more rows than bytes");
        assert!(forge(|w| w.planes[2].rows = 1).is_err(), "a third plane");
        assert!(forge(|w| w.size = 4096).is_err(), "smaller than the planes");
        assert!(forge(|w| w.layers = 2).is_err(), "a layer outside");
        assert!(forge(|w| w.height = 4000).is_err(), "taller than the memory");
        assert!(forge(|w| w.reserved = u64::MAX).is_err(), "endless metadata");
        assert!(forge(|w| w.usage = 1 << 10).is_err(), "a reserved usage");
    }

    #[test]
    fn wrong_lengths_are_refused() {
        let ints = nv12().encode();
        assert!(Handle::decode(&[]).is_err());
        assert!(Handle::decode(&ints[..INTS - 1]).is_err());
        assert!(Handle::decode(&[ints, vec![0]].concat()).is_err());
    }
}
