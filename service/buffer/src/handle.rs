// SPDX-License-Identifier: Apache-2.0
//! The integers that travel with a buffer's two file descriptors: pixels
//! first, then metadata.
//!
//! They hold every fact about a buffer that never changes, so that whoever
//! imports it needs neither the allocator nor the metadata to find a pixel.
//! A checksum catches a handle that was damaged on the way. It is no proof of
//! origin: whoever holds a handle can make another one. So a handle says as
//! little as possible, and each fact once; what can be computed is computed
//! by the one who reads it, with the same [`Layout::new`] as in the allocator.
//!
//! # Every pair of facts that could disagree
//! | pair | why it agrees |
//! |---|---|
//! | stride that clients are told, strides of planes | both computed from format, width and constraints |
//! | plane offsets, rows, format, height | computed |
//! | size of a layer, planes, layers, size | computed |
//! | requested format, format | one code, and whether the client left the choice to the board: then the request was IMPLEMENTATION_DEFINED, else that code. So IMPLEMENTATION_DEFINED may have become any format with a layout, every other request only itself; YCBCR_420_888 is NV12 |
//! | fourcc, modifier, components, crop, format | computed |
//! | protected content, usage | one bit |
//! | protected, CPU access | refused by [`Usage::new`] |
//! | mipmaps, size | no usage has mipmaps |
//! | cube map, layers, width and height | refused by [`Usage::require_fit`] |
//! | BLOB, height and layers | refused by [`Layout::new`] |
//! | size, the pixels' dma-buf | held against the kernel's answer, [`Handle::admit`] |
//! | reserved region, the metadata's dma-buf | as above; the header does not repeat it |
//! | size of the header, format and usage | computed |
//! | id, the header's id | [`Header::admit`](crate::Header::admit) |
//! | allocation size, both dma-bufs | computed from what was held against them |
//!
//! `VERSION` counts what these integers mean, and that is also what
//! [`Layout::new`] makes of them: another layout is another version.

use zerocopy::{FromBytes, Immutable, IntoBytes, KnownLayout};

use crate::Error;
use crate::checksum::fnv1a;
use crate::format::Format;
use crate::header;
use crate::layout::{Constraints, Extent, Layout};
use crate::units::{Bytes, Pixels};
use crate::usage::{self, Usage};

/// File descriptors of a handle.
pub const FDS: usize = 2;

/// Integers of a handle.
pub const INTS: usize = size_of::<Wire>() / size_of::<i32>();

const MAGIC: u32 = u32::from_le_bytes(*b"DMAH");
const VERSION: u32 = 3;

/// Everything about a buffer that never changes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Handle {
    /// Random, and the same wherever the buffer goes.
    pub id: u64,
    /// What it was allocated for.
    pub usage: Usage,
    /// Whether the client left the choice of the format to the board.
    pub any_format: bool,
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
    reserved: u64,
    width: u32,
    height: u32,
    layers: u32,
    format: i32,
    /// 1 if the client left the choice to the board, else 0.
    any_format: u32,
    /// Of these four, the multiples.
    height_multiple: u32,
    stride_multiple: u64,
    plane_multiple: u64,
    size_multiple: u64,
    checksum: u64,
}

impl Handle {
    /// The `PixelFormat` code that the client asked for.
    pub fn requested_format(&self) -> i32 {
        if self.any_format { Format::IMPLEMENTATION_DEFINED } else { self.layout.format().code() }
    }

    /// The integers of a native handle.
    pub fn encode(&self) -> Vec<i32> {
        let (extent, constraints) = (self.layout.extent(), self.layout.constraints());
        let mut wire = Wire {
            magic: MAGIC,
            version: VERSION,
            id: self.id,
            usage: self.usage.bits(),
            reserved: self.reserved.0,
            width: extent.width().0,
            height: extent.height().0,
            layers: extent.layers(),
            format: self.layout.format().code(),
            any_format: self.any_format.into(),
            height_multiple: constraints.height.0,
            stride_multiple: constraints.stride.0,
            plane_multiple: constraints.plane.0,
            size_multiple: constraints.size.0,
            checksum: 0,
        };
        wire.checksum = wire.sum();
        let words = wire.as_bytes().as_chunks::<4>().0;
        words.iter().map(|word| i32::from_ne_bytes(*word)).collect()
    }

    /// Reads the integers of a native handle, trusting none of them.
    ///
    /// # Errors
    /// [`Error::BadHandle`] if they are not a whole, undamaged handle; or the
    /// error of the fact that is impossible by itself or with another.
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
        let any_format = match wire.any_format {
            0 => false,
            1 => true,
            _ => return Err(Error::BadHandle("the format was neither asked for nor chosen")),
        };
        let extent = Extent::new(wire.width.into(), wire.height.into(), wire.layers.into())?;
        let usage = Usage::new(wire.usage, usage::VENDOR_BITS)?;
        usage.require_fit(extent)?;
        let layout = Layout::new(Format::new(wire.format)?, extent, &wire.constraints())?;
        let reserved = Bytes(wire.reserved);
        match header::size(layout.format(), usage, reserved) {
            Some(_) => Ok(Handle { id: wire.id, usage, any_format, layout, reserved }),
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
        header::size(self.layout.format(), self.usage, self.reserved).unwrap_or_default()
    }

    /// Bytes of them before the reserved region.
    pub fn header_size(&self) -> usize {
        header::size_for(self.layout.format(), self.usage)
    }
}

impl Wire {
    /// Over all but the checksum itself.
    fn sum(&self) -> u64 {
        let bytes = self.as_bytes();
        let covered = bytes.len().saturating_sub(size_of::<u64>());
        fnv1a(bytes.iter().take(covered).copied())
    }

    fn constraints(&self) -> Constraints {
        Constraints {
            stride: Bytes(self.stride_multiple),
            height: Pixels(self.height_multiple),
            plane: Bytes(self.plane_multiple),
            size: Bytes(self.size_multiple),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn nv12() -> Handle {
        let format = Format::from_name("NV12").unwrap();
        let extent = Extent::new(1920, 1080, 1).unwrap();
        let constraints = Constraints { size: Bytes(4096), ..Constraints::default() };
        Handle {
            id: 0x1234_5678_9abc_def0,
            usage: Usage::CAMERA_OUTPUT | Usage::GPU_TEXTURE,
            any_format: true,
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

    /// A handle by somebody who knows how to make the checksum match.
    fn forge(change: impl FnOnce(&mut Wire)) -> Result<Handle, Error> {
        let mut wire = Wire::read_from_bytes(nv12().encode().as_bytes()).unwrap();
        change(&mut wire);
        wire.checksum = wire.sum();
        let words = wire.as_bytes().as_chunks::<4>().0;
        let ints: Vec<i32> = words.iter().map(|w| i32::from_ne_bytes(*w)).collect();
        Handle::decode(&ints)
    }

    #[test]
    fn an_impossible_fact_is_refused_although_the_checksum_matches() {
        assert!(forge(|_| ()).is_ok());
        assert!(forge(|w| w.layers = 0).is_err(), "no layer");
        assert!(forge(|w| w.width = u32::MAX).is_err(), "a row without end");
        assert!(forge(|w| w.stride_multiple = u64::MAX).is_err(), "a stride without end");
        assert!(forge(|w| w.plane_multiple = u64::MAX).is_err(), "chroma beyond the end");
        assert!(forge(|w| w.size_multiple = u64::MAX).is_err(), "a size without end");
        assert!(forge(|w| w.format = Format::IMPLEMENTATION_DEFINED).is_err(), "no layout");
        assert!(forge(|w| w.any_format = 2).is_err(), "a format that nobody asked for");
        assert!(forge(|w| w.reserved = u64::MAX).is_err(), "endless metadata");
        assert!(forge(|w| w.usage = 1 << 10).is_err(), "a reserved usage");
        assert!(forge(|w| w.usage = 1 << 26).is_err(), "mipmaps");
    }

    #[test]
    fn facts_that_disagree_are_refused_although_the_checksum_matches() {
        let protected = Usage::PROTECTED | Usage::CPU_READ_OFTEN;
        assert_eq!(forge(|w| w.usage = protected.bits()), Err(Error::ProtectedForCpu));
        let cube = |width, height, layers| {
            forge(|w| {
                w.usage = Usage::GPU_CUBE_MAP.bits();
                (w.width, w.height, w.layers) = (width, height, layers);
            })
        };
        assert!(cube(64, 64, 6).is_ok());
        assert!(matches!(cube(64, 64, 5), Err(Error::BadCube { .. })), "a face is missing");
        assert!(matches!(cube(64, 32, 6), Err(Error::BadCube { .. })), "not square");
        let blob = Format::from_name("BLOB").unwrap();
        assert!(matches!(forge(|w| w.format = blob.code()), Err(Error::BadBlob { .. })));
    }

    #[test]
    fn a_client_asked_for_the_format_of_the_layout_or_left_it_open() {
        for format in Format::all() {
            for any in [0, 1] {
                let forged = forge(|w| {
                    (w.format, w.any_format) = (format.code(), any);
                    (w.width, w.height, w.layers) = (64, 1, 1);
                });
                let expected = if any == 1 { 0x22 } else { format.code() };
                assert_eq!(forged.unwrap().requested_format(), expected);
            }
        }
    }

    #[test]
    fn sizes_are_held_against_the_buffers() {
        let good = nv12();
        let (pixels, metadata) = (good.layout.size(), good.metadata_size());
        let admit =
            |pixels, metadata| Handle::admit(&good.encode(), Bytes(pixels), Bytes(metadata));
        assert!(admit(pixels.0, metadata.0).is_ok());
        assert!(admit(pixels.0 - 1, metadata.0).is_err(), "a byte of the pixels is missing");
        assert!(admit(pixels.0, metadata.0 - 1).is_err(), "a byte of the metadata is missing");
    }

    #[test]
    fn wrong_lengths_are_refused() {
        let ints = nv12().encode();
        assert!(Handle::decode(&[]).is_err());
        assert!(Handle::decode(&ints[..INTS - 1]).is_err());
        assert!(Handle::decode(&[ints, vec![0]].concat()).is_err());
    }
}
