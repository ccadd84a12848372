// SPDX-License-Identifier: Apache-2.0
//! What a buffer is for.
//!
//! Values are those of `android.hardware.graphics.common.BufferUsage`: two
//! 4-bit levels of CPU access and one bit per kind of device.
//!
//! # Bits that are refused
//! - 10 and 13 "must be zero", says the interface. They were GRALLOC_USAGE_HW_2D
//!   and GRALLOC_USAGE_EXTERNAL_DISP, and ACodec still adds 13 to the usage of
//!   every video. But the framework's allocator (libui, for every version of
//!   gralloc) removes both before a request leaves the process, so they come
//!   from nobody who goes through it; minigbm accepts and ignores them. Here
//!   they are refused as all reserved bits are: to accept a bit is to promise
//!   that its meaning is kept, and USAGE must say what was asked for.
//! - 33 is [`NPU`] since version 7 of the interface: a BLOB that clients keep
//!   mapped. But the conformance test of the release that names it still takes
//!   it for the bit that no allocator of version 2 or 3 knows, and wants it
//!   refused; so it is, whichever of the two a board answers.
//! - 19, 21 and 34 to 47 are reserved as well.
//! - 26, GPU_MIPMAP_COMPLETE, asks for a whole chain of mipmaps (1024 x 1024 of
//!   RGBA_8888: 5,592,404 bytes). How a chain lies in memory is the GPU's
//!   secret, and no interface tells a CPU where its levels are; so no layout
//!   here has one, and a GPU must not be made to believe it.
//! - Vendor bits, unless the board's policy names them.

use std::fmt;
use std::ops::BitOr;

use crate::Error;
use crate::layout::Extent;

/// A set of uses, all of them known.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Hash)]
pub struct Usage(u64);

/// The four bits each of CPU reading and CPU writing.
const CPU_READ: u64 = 0xf;
const CPU_WRITE: u64 = 0xf0;

/// What a neural processor works on; refused, and why is above.
pub const NPU: u64 = 1 << 33;

/// Bits 28 to 31 and 48 to 63: their meaning is the vendor's.
pub const VENDOR_BITS: u64 = 0xf << 28 | 0xffff << 48;

macro_rules! usages {
    ($($(#[$doc:meta])* $name:ident = $value:expr;)*) => {
        impl Usage {
            $($(#[$doc])* pub const $name: Usage = Usage($value);)*
        }

        /// Every named usage, in the order of their bits.
        const NAMES: &[(&str, Usage)] = &[$((stringify!($name), Usage::$name)),*];
    };
}

usages! {
    /// Read by the CPU now and then.
    CPU_READ_RARELY = 2;
    /// Read by the CPU all the time: cached memory pays.
    CPU_READ_OFTEN = 3;
    /// Written by the CPU now and then.
    CPU_WRITE_RARELY = 2 << 4;
    /// Written by the CPU all the time.
    CPU_WRITE_OFTEN = 3 << 4;
    /// Sampled by the GPU.
    GPU_TEXTURE = 1 << 8;
    /// Drawn to by the GPU.
    GPU_RENDER_TARGET = 1 << 9;
    /// May be scanned out as a plane of its own, or composed by the GPU.
    COMPOSER_OVERLAY = 1 << 11;
    /// What the GPU composes into: scanned out, always.
    COMPOSER_CLIENT_TARGET = 1 << 12;
    /// Nobody but trusted devices may read it.
    PROTECTED = 1 << 14;
    /// Scanned out as the cursor plane.
    COMPOSER_CURSOR = 1 << 15;
    /// Read by the video encoder.
    VIDEO_ENCODER = 1 << 16;
    /// Written by the camera.
    CAMERA_OUTPUT = 1 << 17;
    /// Read by the camera's reprocessing.
    CAMERA_INPUT = 1 << 18;
    /// Used by RenderScript.
    RENDERSCRIPT = 1 << 20;
    /// Written by the video decoder.
    VIDEO_DECODER = 1 << 22;
    /// A ring of sensor events, written by the sensor hub.
    SENSOR_DIRECT_DATA = 1 << 23;
    /// Vertices, uniforms and the like.
    GPU_DATA_BUFFER = 1 << 24;
    /// Sampled as a cube map: layers are faces.
    GPU_CUBE_MAP = 1 << 25;
    /// Read by a hardware encoder of still images.
    HW_IMAGE_ENCODER = 1 << 27;
    /// Drawn to while it is being shown.
    FRONT_BUFFER = 1 << 32;
}

/// All bits that have a meaning on every board.
const KNOWN_BITS: u64 = {
    let mut known = CPU_READ | CPU_WRITE;
    let mut rest = NAMES;
    while let [(_, usage), tail @ ..] = rest {
        known |= usage.0;
        rest = tail;
    }
    known
};

impl Usage {
    /// No use at all.
    pub const NONE: Usage = Usage(0);

    /// Judges a usage from outside. `vendor` are the vendor bits that this
    /// board has given a meaning.
    ///
    /// # Errors
    /// [`Error::UnknownUsage`] for any other bit, and for CPU access levels
    /// other than never, rarely and often; [`Error::ProtectedForCpu`].
    pub fn new(bits: u64, vendor: u64) -> Result<Usage, Error> {
        let mut unknown = bits & !(KNOWN_BITS | (vendor & VENDOR_BITS));
        for (mask, rarely, often) in [
            (CPU_READ, Usage::CPU_READ_RARELY, Usage::CPU_READ_OFTEN),
            (CPU_WRITE, Usage::CPU_WRITE_RARELY, Usage::CPU_WRITE_OFTEN),
        ] {
            let level = bits & mask;
            if ![0, rarely.0, often.0].contains(&level) {
                unknown |= level;
            }
        }
        if unknown != 0 {
            return Err(Error::UnknownUsage { usage: bits, unknown });
        }
        let usage = Usage(bits);
        if usage.contains(Usage::PROTECTED) && usage.has_cpu() {
            return Err(Error::ProtectedForCpu);
        }
        Ok(usage)
    }

    /// Whether a buffer of this extent can be used so.
    ///
    /// # Errors
    /// [`Error::BadCube`] for a cube map without six square faces for each cube,
    /// as `AHardwareBuffer` has it: a GPU would read the faces that are missing.
    pub fn require_fit(self, extent: Extent) -> Result<(), Error> {
        let (width, height, layers) = (extent.width().0, extent.height().0, extent.layers());
        if self.contains(Usage::GPU_CUBE_MAP) && !(width == height && layers.is_multiple_of(6)) {
            return Err(Error::BadCube { width, height, layers });
        }
        Ok(())
    }

    /// The vendor usage of this bit.
    ///
    /// # Errors
    /// [`Error::UnknownUsage`] if the bit is not the vendor's to define.
    pub fn vendor(bit: u32) -> Result<Usage, Error> {
        let bits = 1u64.checked_shl(bit).unwrap_or(0);
        match bits & VENDOR_BITS {
            0 => Err(Error::UnknownUsage { usage: bits, unknown: bits }),
            bits => Ok(Usage(bits)),
        }
    }

    /// The named usage.
    ///
    /// # Errors
    /// [`Error::UnknownUsageName`].
    pub fn from_name(name: &str) -> Result<Usage, Error> {
        NAMES
            .iter()
            .find(|(known, _)| *known == name)
            .map(|(_, usage)| *usage)
            .ok_or_else(|| Error::UnknownUsageName(name.to_owned()))
    }

    /// The names this crate knows, in the order of their bits.
    pub fn names() -> impl Iterator<Item = &'static str> {
        NAMES.iter().map(|(name, _)| *name)
    }

    /// The bits as they travel over binder.
    pub const fn bits(self) -> u64 {
        self.0
    }

    /// Whether all of `other` is in this. A CPU access that happens often
    /// also happens rarely.
    pub fn contains(self, other: Usage) -> bool {
        self.0 & other.0 == other.0
    }

    /// Whether any use is in both.
    pub fn intersects(self, other: Usage) -> bool {
        self.0 & other.0 != 0
    }

    /// All uses of both.
    pub const fn union(self, other: Usage) -> Usage {
        Usage(self.0 | other.0)
    }

    /// Whether the CPU reads or writes.
    pub fn has_cpu(self) -> bool {
        self.cpu_reads() || self.cpu_writes()
    }

    /// Whether the CPU reads.
    pub fn cpu_reads(self) -> bool {
        self.0 & CPU_READ != 0
    }

    /// Whether the CPU writes.
    pub fn cpu_writes(self) -> bool {
        self.0 & CPU_WRITE != 0
    }

    /// Whether the CPU is the only one that uses it, if anybody does.
    pub fn is_only_cpu(self) -> bool {
        self.0 & !(CPU_READ | CPU_WRITE) == 0
    }
}

impl BitOr for Usage {
    type Output = Usage;

    fn bitor(self, other: Usage) -> Usage {
        self.union(other)
    }
}

impl fmt::Display for Usage {
    /// The names, joined by `|`; vendor bits in hexadecimal.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let is_level = |usage: &Usage| usage.0 & (CPU_READ | CPU_WRITE) != 0;
        let mut names: Vec<String> = NAMES
            .iter()
            .filter(|(_, usage)| {
                if is_level(usage) {
                    // A level is the whole nibble, not a bit of it.
                    let mask = if usage.0 & CPU_READ != 0 { CPU_READ } else { CPU_WRITE };
                    self.0 & mask == usage.0
                } else {
                    self.contains(*usage)
                }
            })
            .map(|(name, _)| (*name).to_owned())
            .collect();
        let vendor = self.0 & VENDOR_BITS;
        if vendor != 0 {
            names.push(format!("{vendor:#x}"));
        }
        if names.is_empty() {
            names.push("NONE".to_owned());
        }
        f.write_str(&names.join("|"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// 13 is what ACodec adds and libui removes; 26 would be mipmaps.
    #[test]
    fn reserved_bits_and_mipmaps_are_refused() {
        for bit in [10, 13, 19, 21, 26, NPU.trailing_zeros(), 40, 47] {
            assert_eq!(
                Usage::new(1 << bit, u64::MAX),
                Err(Error::UnknownUsage { usage: 1 << bit, unknown: 1 << bit })
            );
        }
    }

    #[test]
    fn vendor_bits_are_refused_unless_the_board_names_them() {
        assert!(Usage::new(1 << 63, 0).is_err());
        assert!(Usage::new(1 << 63, 1 << 48).is_err());
        assert_eq!(Usage::new(1 << 63, 1 << 63).unwrap().to_string(), "0x8000000000000000");
    }

    #[test]
    fn cpu_levels_between_the_defined_ones_are_refused() {
        for level in [1, 4, 7, 15] {
            assert!(Usage::new(level, 0).is_err(), "read level {level}");
            assert!(Usage::new(level << 4, 0).is_err(), "write level {level}");
        }
        assert_eq!(Usage::new(0x33, 0).unwrap().to_string(), "CPU_READ_OFTEN|CPU_WRITE_OFTEN");
        assert_eq!(Usage::new(0x22, 0).unwrap().to_string(), "CPU_READ_RARELY|CPU_WRITE_RARELY");
    }

    #[test]
    fn all_bits_set_is_refused() {
        assert!(Usage::new(u64::MAX, u64::MAX).is_err());
    }

    #[test]
    fn names_are_read_back() {
        for name in Usage::names() {
            assert_eq!(Usage::from_name(name).unwrap().to_string(), name);
        }
        assert!(Usage::from_name("CPU_READ_SOMETIMES").is_err());
    }
}
