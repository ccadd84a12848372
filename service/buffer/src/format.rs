// SPDX-License-Identifier: Apache-2.0
//! Pixel formats: one table.
//!
//! Codes are those of `android.hardware.graphics.common.PixelFormat`, fourcc
//! codes those of the kernel's `drm_fourcc.h`, where it has one for the same
//! bytes. IMPLEMENTATION_DEFINED and UNSPECIFIED are requests rather than
//! formats and are not in the table.
//!
//! A plane is a grid of samples. A sample covers `width` x `height` pixels
//! and holds one or more components: a chroma sample of NV12 covers 2 x 2
//! pixels, a sample of YUY2 covers two pixels of a row. RAW10, RAW12 and RAW14
//! pack pixels across byte boundaries: there a sample is the smallest group that
//! ends on one.

use std::fmt;

use crate::Error;
use ComponentKind::{A, B, CB, CR, G, R, RAW, Y};

/// A pixel format that says how memory is laid out.
#[derive(Clone, Copy)]
pub struct Format(&'static Row);

/// What a component stands for; values of `PlaneLayoutComponentType`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[repr(i64)]
pub enum ComponentKind {
    /// Luma.
    Y = 1,
    /// Blue-difference chroma.
    CB = 1 << 1,
    /// Red-difference chroma.
    CR = 1 << 2,
    /// Red.
    R = 1 << 10,
    /// Green.
    G = 1 << 11,
    /// Blue.
    B = 1 << 12,
    /// Anything without a type of its own: sensor data, depth, bytes.
    RAW = 1 << 20,
    /// Alpha.
    A = 1 << 30,
}

/// Where a component lies within its sample.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Component {
    /// What it stands for.
    pub kind: ComponentKind,
    /// Bits from the start of the sample.
    pub offset: u32,
    /// Bits; `None` where pixels are packed across byte boundaries.
    pub size: Option<u32>,
}

/// How the samples of one plane are made.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Sampling {
    /// Pixels of a row that share a sample. Neither this nor the next is zero; who divides by one says
    /// so, so that no division in the mapper can panic.
    pub width: u32,
    /// Rows of pixels that share a row of samples.
    pub height: u32,
    /// Size of a sample, in bytes.
    pub bytes: u32,
    /// What is in a sample.
    pub components: &'static [Component],
}

struct Row {
    code: i32,
    name: &'static str,
    fourcc: Option<[u8; 4]>,
    /// The stride in pixels is a multiple of this by definition of the format.
    stride_multiple: u32,
    /// Whether the stride that clients are told is in bytes, also by definition.
    stride_in_bytes: bool,
    planes: &'static [Sampling],
}

/// No format has more planes than this.
pub const MAX_PLANES: usize = 3;

const fn bits(kind: ComponentKind, offset: u32, size: u32) -> Component {
    Component { kind, offset, size: Some(size) }
}

const fn plane(bytes: u32, components: &'static [Component]) -> Sampling {
    subsampled(1, 1, bytes, components)
}

const fn subsampled(
    width: u32,
    height: u32,
    bytes: u32,
    components: &'static [Component],
) -> Sampling {
    Sampling { width, height, bytes, components }
}

const fn row(code: i32, name: &'static str, fourcc: &[u8; 4], planes: &'static [Sampling]) -> Row {
    Row { code, name, fourcc: Some(*fourcc), stride_multiple: 1, stride_in_bytes: false, planes }
}

/// A format that the display side of the kernel has no name for.
const fn unnamed(code: i32, name: &'static str, planes: &'static [Sampling]) -> Row {
    Row { code, name, fourcc: None, stride_multiple: 1, stride_in_bytes: false, planes }
}

impl Row {
    const fn stride(self, stride_multiple: u32) -> Row {
        Row { stride_multiple, ..self }
    }

    const fn stride_in_bytes(self) -> Row {
        Row { stride_in_bytes: true, ..self }
    }
}

const PACKED: &[Component] = &[Component { kind: RAW, offset: 0, size: None }];
const RAW_8: &[Component] = &[bits(RAW, 0, 8)];
const RAW_16: &[Component] = &[bits(RAW, 0, 16)];
const RAW_24: &[Component] = &[bits(RAW, 0, 24)];
const RAW_32: &[Component] = &[bits(RAW, 0, 32)];
const LUMA_8: Sampling = plane(1, &[bits(Y, 0, 8)]);
const LUMA_16: Sampling = plane(2, &[bits(Y, 0, 16)]);
/// Ten bits in the upper end of sixteen.
const LUMA_10: Sampling = plane(2, &[bits(Y, 6, 10)]);
const CB_CR_8: &[Component] = &[bits(CB, 0, 8), bits(CR, 8, 8)];
const CR_CB_8: &[Component] = &[bits(CR, 0, 8), bits(CB, 8, 8)];
const CB_CR_10: &[Component] = &[bits(CB, 6, 10), bits(CR, 22, 10)];
const RGBA_16: &[Component] = &[bits(R, 0, 16), bits(G, 16, 16), bits(B, 32, 16), bits(A, 48, 16)];
const RGBA_10X6: &[Component] =
    &[bits(R, 6, 10), bits(G, 22, 10), bits(B, 38, 10), bits(A, 54, 10)];
/// In the upper end of sixteen bits each, as Vulkan has them: the kernel's R12 is in the lower end.
const RGBA_12X4: &[Component] =
    &[bits(R, 4, 12), bits(G, 20, 12), bits(B, 36, 12), bits(A, 52, 12)];
const RGBA_14X2: &[Component] =
    &[bits(R, 2, 14), bits(G, 18, 14), bits(B, 34, 14), bits(A, 50, 14)];
const YUYV: &[Component] = &[bits(Y, 0, 8), bits(CB, 8, 8), bits(Y, 16, 8), bits(CR, 24, 8)];

// Android spells components from the lowest address upwards, DRM from the
// highest bit of a little-endian word downwards: RGBA is ABGR there.
#[rustfmt::skip]
static TABLE: &[Row] = &[
    row(0x1, "RGBA_8888", b"AB24", &[plane(4, &[bits(R, 0, 8), bits(G, 8, 8), bits(B, 16, 8), bits(A, 24, 8)])]),
    row(0x2, "RGBX_8888", b"XB24", &[plane(4, &[bits(R, 0, 8), bits(G, 8, 8), bits(B, 16, 8)])]),
    row(0x3, "RGB_888", b"BG24", &[plane(3, &[bits(R, 0, 8), bits(G, 8, 8), bits(B, 16, 8)])]),
    // A 16-bit word with red on top, on both sides.
    row(0x4, "RGB_565", b"RG16", &[plane(2, &[bits(B, 0, 5), bits(G, 5, 6), bits(R, 11, 5)])]),
    row(0x5, "BGRA_8888", b"AR24", &[plane(4, &[bits(B, 0, 8), bits(G, 8, 8), bits(R, 16, 8), bits(A, 24, 8)])]),
    row(0x10, "YCBCR_422_SP", b"NV16", &[LUMA_8, subsampled(2, 1, 2, CB_CR_8)]).stride(16),
    row(0x11, "YCRCB_420_SP", b"NV21", &[LUMA_8, subsampled(2, 2, 2, CR_CB_8)]).stride(16),
    row(0x14, "YCBCR_422_I", b"YUYV", &[subsampled(2, 1, 4, YUYV)]).stride(16),
    row(0x16, "RGBA_FP16", b"AB4H", &[plane(8, RGBA_16)]),
    row(0x20, "RAW16", b"R16 ", &[plane(2, RAW_16)]).stride(16),
    row(0x21, "BLOB", b"R8  ", &[plane(1, RAW_8)]),
    row(0x23, "YCBCR_420_888", b"NV12", &[LUMA_8, subsampled(2, 2, 2, CB_CR_8)]),
    unnamed(0x24, "RAW_OPAQUE", &[plane(2, PACKED)]),
    unnamed(0x25, "RAW10", &[subsampled(4, 1, 5, PACKED)]).stride_in_bytes(),
    unnamed(0x26, "RAW12", &[subsampled(2, 1, 3, PACKED)]).stride_in_bytes(),
    row(0x2b, "RGBA_1010102", b"AB30", &[plane(4, &[bits(R, 0, 10), bits(G, 10, 10), bits(B, 20, 10), bits(A, 30, 2)])]),
    unnamed(0x2c, "RAW14", &[subsampled(4, 1, 7, PACKED)]).stride_in_bytes(),
    unnamed(0x30, "DEPTH_16", &[plane(2, RAW_16)]),
    unnamed(0x31, "DEPTH_24", &[plane(4, RAW_24)]),
    unnamed(0x32, "DEPTH_24_STENCIL_8", &[plane(4, RAW_32)]),
    unnamed(0x33, "DEPTH_32F", &[plane(4, RAW_32)]),
    // 40 bits used of 64, as GPUs store it.
    unnamed(0x34, "DEPTH_32F_STENCIL_8", &[plane(8, &[bits(RAW, 0, 40)])]),
    unnamed(0x35, "STENCIL_8", &[plane(1, RAW_8)]),
    row(0x36, "YCBCR_P010", b"P010", &[LUMA_10, subsampled(2, 2, 4, CB_CR_10)]),
    unnamed(0x37, "HSV_888", &[plane(3, RAW_24)]),
    row(0x38, "R_8", b"R8  ", &[plane(1, &[bits(R, 0, 8)])]),
    row(0x39, "R_16_UINT", b"R16 ", &[plane(2, &[bits(R, 0, 16)])]),
    row(0x3a, "RG_1616_UINT", b"GR32", &[plane(4, &[bits(R, 0, 16), bits(G, 16, 16)])]),
    row(0x3b, "RGBA_10101010", b"AB10", &[plane(8, RGBA_10X6)]),
    row(0x3c, "YCBCR_P210", b"P210", &[LUMA_10, subsampled(2, 1, 4, CB_CR_10)]),
    unnamed(0x3d, "R_12_UINT", &[plane(2, &[bits(R, 4, 12)])]),
    unnamed(0x3e, "R_14_UINT", &[plane(2, &[bits(R, 2, 14)])]),
    unnamed(0x3f, "RG_1212_UINT", &[plane(4, &[bits(R, 4, 12), bits(G, 20, 12)])]),
    unnamed(0x40, "RG_1414_UINT", &[plane(4, &[bits(R, 2, 14), bits(G, 18, 14)])]),
    unnamed(0x41, "RGBA_12121212_UINT", &[plane(8, RGBA_12X4)]),
    unnamed(0x42, "RGBA_14141414_UINT", &[plane(8, RGBA_14X2)]),
    row(0x43, "BGRA_1010102", b"AR30", &[plane(4, &[bits(B, 0, 10), bits(G, 10, 10), bits(R, 20, 10), bits(A, 30, 2)])]),
    row(0x44, "BGRX_1010102", b"XR30", &[plane(4, &[bits(B, 0, 10), bits(G, 10, 10), bits(R, 20, 10)])]),
    row(0x2020_3859, "Y8", b"R8  ", &[LUMA_8]).stride(16),
    row(0x2036_3159, "Y16", b"R16 ", &[LUMA_16]).stride(16),
    // Chroma rows are half a luma row rounded up to 16 bytes: with luma in
    // multiples of 32 that is always exactly half.
    row(0x3231_5659, "YV12", b"YV12", &[LUMA_8, subsampled(2, 2, 1, &[bits(CR, 0, 8)]), subsampled(2, 2, 1, &[bits(CB, 0, 8)])]).stride(32),
];

impl Format {
    /// The code that leaves the choice to the board; resolved by its policy.
    pub const IMPLEMENTATION_DEFINED: i32 = 0x22;

    const BLOB: i32 = 0x21;

    /// The format with this code.
    ///
    /// # Errors
    /// [`Error::UnknownFormat`] if there is none.
    pub fn new(code: i32) -> Result<Format, Error> {
        Format::all().find(|format| format.code() == code).ok_or(Error::UnknownFormat(code))
    }

    /// The format of this name, either Android's or the fourcc; where formats
    /// share a fourcc, the first.
    ///
    /// # Errors
    /// [`Error::UnknownFormatName`].
    pub fn from_name(name: &str) -> Result<Format, Error> {
        let has_fourcc = |format: &Format| {
            format.0.fourcc.is_some_and(|code| code.trim_ascii_end() == name.as_bytes())
        };
        Format::all()
            .find(|format| format.name() == name)
            .or_else(|| Format::all().find(has_fourcc))
            .ok_or_else(|| Error::UnknownFormatName(name.to_owned()))
    }

    /// The whole table.
    pub fn all() -> impl Iterator<Item = Format> {
        TABLE.iter().map(Format)
    }

    /// The number that stands for it in `PixelFormat`.
    pub fn code(self) -> i32 {
        self.0.code
    }

    /// Its name in `PixelFormat`.
    pub fn name(self) -> &'static str {
        self.0.name
    }

    /// The DRM fourcc code of the same bytes, if the kernel has one.
    pub fn fourcc(self) -> Option<u32> {
        self.0.fourcc.map(u32::from_le_bytes)
    }

    /// How each plane is sampled, in the order of memory.
    pub fn planes(self) -> &'static [Sampling] {
        self.0.planes
    }

    /// The stride in pixels is a multiple of this.
    pub(crate) fn stride_multiple(self) -> u32 {
        self.0.stride_multiple
    }

    /// Whether the stride that clients are told counts bytes and not pixels.
    pub fn has_stride_in_bytes(self) -> bool {
        self.0.stride_in_bytes
    }

    /// Whether it has chroma samples of their own.
    pub fn has_chroma(self) -> bool {
        self.components().any(|component| matches!(component.kind, CB | CR))
    }

    /// Whether it is a picture in colour.
    pub fn is_colour(self) -> bool {
        self.components().any(|component| matches!(component.kind, B | CB))
    }

    /// Whether a component has more than eight bits.
    pub fn is_deep(self) -> bool {
        self.components().any(|component| component.size.is_some_and(|bits| bits > 8))
    }

    fn components(self) -> impl Iterator<Item = &'static Component> {
        self.planes().iter().flat_map(|plane| plane.components)
    }

    /// Whether it is a row of bytes rather than a picture.
    pub fn is_blob(self) -> bool {
        self.code() == Format::BLOB
    }
}

impl PartialEq for Format {
    fn eq(&self, other: &Format) -> bool {
        self.code() == other.code()
    }
}

impl Eq for Format {}

impl fmt::Debug for Format {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

impl fmt::Display for Format {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.name())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn codes_and_names_are_unique() {
        for (i, a) in TABLE.iter().enumerate() {
            assert!(a.planes.len() <= MAX_PLANES);
            for b in &TABLE[i + 1..] {
                assert_ne!(a.code, b.code);
                assert_ne!(a.name, b.name);
            }
        }
    }

    #[test]
    fn components_lie_inside_their_sample_and_do_not_overlap() {
        for format in Format::all() {
            for plane in format.planes() {
                let mut used = 0u128;
                for c in plane.components {
                    let Some(size) = c.size else { continue };
                    let mask = ((1u128 << size) - 1) << c.offset;
                    assert_eq!(used & mask, 0, "{format}: {c:?} overlaps");
                    assert!(c.offset + size <= plane.bytes * 8, "{format}: {c:?} sticks out");
                    used |= mask;
                }
            }
        }
    }

    #[test]
    fn android_and_fourcc_names_find_the_same_format() {
        assert_eq!(Format::from_name("NV12").unwrap().name(), "YCBCR_420_888");
        assert_eq!(Format::from_name("YV12").unwrap().code(), 0x3231_5659);
        assert_eq!(Format::from_name("R8").unwrap().name(), "BLOB");
        assert!(Format::from_name("NV99").is_err());
    }

    #[test]
    fn requests_that_are_not_formats_are_refused() {
        for code in [0, -1, Format::IMPLEMENTATION_DEFINED, 0x2f, i32::MAX, i32::MIN] {
            assert_eq!(Format::new(code), Err(Error::UnknownFormat(code)));
        }
    }
}
