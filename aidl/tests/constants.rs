// SPDX-License-Identifier: Apache-2.0
//! Every constant on the wire against its number.
#![allow(clippy::unwrap_used)]

use dmaheap_aidl::allocator::{AllocationError, BufferDescriptorInfo, HASH, HASH_OF_V2, VERSION};
use dmaheap_aidl::common::*;

/// Asserts that an enum has exactly these members.
macro_rules! members {
    ($type:ident { $($name:ident = $value:expr),* $(,)? }) => {{
        let expected = [$(stringify!($name)),*];
        $(assert_eq!($type::$name.0, $value, "{}::{}", stringify!($type), stringify!($name));)*
        assert_eq!($type::enum_values().len(), expected.len(), "members of {}", stringify!($type));
    }};
}

#[test]
fn each_version_has_its_frozen_hash() {
    assert_eq!(VERSION, 3);
    assert_eq!(HASH, "b061131f0ee5260aa8f779bf3569dfc861a1b89c");
    assert_eq!(HASH_OF_V2, "9499fec09c544e9de5be3c87125721600f8ade66");
}

#[test]
fn allocation_errors() {
    members!(AllocationError { BAD_DESCRIPTOR = 0, NO_RESOURCES = 1, UNSUPPORTED = 2 });
}

#[test]
fn buffer_usage() {
    members!(BufferUsage {
        CPU_READ_MASK = 0xf, CPU_READ_NEVER = 0, CPU_READ_RARELY = 2, CPU_READ_OFTEN = 3,
        CPU_WRITE_MASK = 0xf0, CPU_WRITE_NEVER = 0, CPU_WRITE_RARELY = 0x20, CPU_WRITE_OFTEN = 0x30,
        GPU_TEXTURE = 0x100, GPU_RENDER_TARGET = 0x200, COMPOSER_OVERLAY = 0x800,
        COMPOSER_CLIENT_TARGET = 0x1000, PROTECTED = 0x4000, COMPOSER_CURSOR = 0x8000,
        VIDEO_ENCODER = 0x1_0000, CAMERA_OUTPUT = 0x2_0000, CAMERA_INPUT = 0x4_0000,
        RENDERSCRIPT = 0x10_0000, VIDEO_DECODER = 0x40_0000, SENSOR_DIRECT_DATA = 0x80_0000,
        GPU_DATA_BUFFER = 0x100_0000, GPU_CUBE_MAP = 0x200_0000, GPU_MIPMAP_COMPLETE = 0x400_0000,
        HW_IMAGE_ENCODER = 0x800_0000, VENDOR_MASK = 0xf000_0000, FRONT_BUFFER = 0x1_0000_0000,
        NPU = 0x2_0000_0000, VENDOR_MASK_HI = -0x1_0000_0000_0000,
    });
}

#[test]
fn pixel_format() {
    members!(PixelFormat {
        UNSPECIFIED = 0, RGBA_8888 = 1, RGBX_8888 = 2, RGB_888 = 3, RGB_565 = 4, BGRA_8888 = 5,
        YCBCR_422_SP = 16, YCRCB_420_SP = 17, YCBCR_422_I = 20, RGBA_FP16 = 22, RAW16 = 32,
        BLOB = 33, IMPLEMENTATION_DEFINED = 34, YCBCR_420_888 = 35, RAW_OPAQUE = 36, RAW10 = 37,
        RAW12 = 38, RGBA_1010102 = 43, RAW14 = 44, DEPTH_16 = 48, DEPTH_24 = 49, DEPTH_24_STENCIL_8 = 50,
        DEPTH_32F = 51, DEPTH_32F_STENCIL_8 = 52, STENCIL_8 = 53, YCBCR_P010 = 54, HSV_888 = 55,
        R_8 = 56, R_16_UINT = 57, RG_1616_UINT = 58, RGBA_10101010 = 59, YCBCR_P210 = 60,
        R_12_UINT = 61, R_14_UINT = 62, RG_1212_UINT = 63, RG_1414_UINT = 64,
        RGBA_12121212_UINT = 65, RGBA_14141414_UINT = 66, BGRA_1010102 = 67, BGRX_1010102 = 68,
        Y8 = 538_982_489, Y16 = 540_422_489, YV12 = 842_094_169,
    });
}

#[test]
fn standard_metadata_type() {
    members!(StandardMetadataType {
        INVALID = 0, BUFFER_ID = 1, NAME = 2, WIDTH = 3, HEIGHT = 4, LAYER_COUNT = 5,
        PIXEL_FORMAT_REQUESTED = 6, PIXEL_FORMAT_FOURCC = 7, PIXEL_FORMAT_MODIFIER = 8, USAGE = 9,
        ALLOCATION_SIZE = 10, PROTECTED_CONTENT = 11, COMPRESSION = 12, INTERLACED = 13,
        CHROMA_SITING = 14, PLANE_LAYOUTS = 15, CROP = 16, DATASPACE = 17, BLEND_MODE = 18,
        SMPTE2086 = 19, CTA861_3 = 20, SMPTE2094_40 = 21, SMPTE2094_10 = 22, STRIDE = 23,
        SMPTE2094_50 = 24,
    });
}

#[test]
fn small_enums() {
    members!(PlaneLayoutComponentType {
        Y = 1, CB = 2, CR = 4, R = 1024, G = 2048, B = 4096, RAW = 1_048_576, A = 1_073_741_824,
    });
    members!(BlendMode { INVALID = 0, NONE = 1, PREMULTIPLIED = 2, COVERAGE = 3 });
    members!(ChromaSiting {
        NONE = 0, UNKNOWN = 1, SITED_INTERSTITIAL = 2, COSITED_HORIZONTAL = 3,
        COSITED_VERTICAL = 4, COSITED_BOTH = 5,
    });
    members!(Compression { NONE = 0, DISPLAY_STREAM_COMPRESSION = 1 });
    members!(Interlaced { NONE = 0, TOP_BOTTOM = 1, RIGHT_LEFT = 2 });
}

#[test]
fn dataspace() {
    members!(Dataspace {
        UNKNOWN = 0, ARBITRARY = 1, STANDARD_SHIFT = 16, STANDARD_MASK = 4_128_768,
        STANDARD_UNSPECIFIED = 0, STANDARD_BT709 = 65_536, STANDARD_BT601_625 = 131_072,
        STANDARD_BT601_625_UNADJUSTED = 196_608, STANDARD_BT601_525 = 262_144,
        STANDARD_BT601_525_UNADJUSTED = 327_680, STANDARD_BT2020 = 393_216,
        STANDARD_BT2020_CONSTANT_LUMINANCE = 458_752, STANDARD_BT470M = 524_288,
        STANDARD_FILM = 589_824, STANDARD_DCI_P3 = 655_360, STANDARD_ADOBE_RGB = 720_896,
        TRANSFER_SHIFT = 22, TRANSFER_MASK = 130_023_424, TRANSFER_UNSPECIFIED = 0,
        TRANSFER_LINEAR = 4_194_304, TRANSFER_SRGB = 8_388_608, TRANSFER_SMPTE_170M = 12_582_912,
        TRANSFER_GAMMA2_2 = 16_777_216, TRANSFER_GAMMA2_6 = 20_971_520,
        TRANSFER_GAMMA2_8 = 25_165_824, TRANSFER_ST2084 = 29_360_128, TRANSFER_HLG = 33_554_432,
        RANGE_SHIFT = 27, RANGE_MASK = 939_524_096, RANGE_UNSPECIFIED = 0,
        RANGE_FULL = 134_217_728, RANGE_LIMITED = 268_435_456, RANGE_EXTENDED = 402_653_184,
        SRGB_LINEAR = 138_477_568, SCRGB_LINEAR = 406_913_024, SRGB = 142_671_872,
        SCRGB = 411_107_328, JFIF = 146_931_712, BT601_625 = 281_149_440, BT601_525 = 281_280_512,
        BT709 = 281_083_904, BT709_FULL_RANGE = 146_866_176, DCI_P3_LINEAR = 139_067_392,
        DCI_P3 = 155_844_608, DISPLAY_P3_LINEAR = 139_067_392, DISPLAY_P3 = 143_261_696,
        ADOBE_RGB = 151_715_840, BT2020_LINEAR = 138_805_248, BT2020 = 147_193_856,
        BT2020_PQ = 163_971_072, BT2020_ITU = 281_411_584, BT2020_ITU_PQ = 298_188_800,
        BT2020_ITU_HLG = 302_383_104, BT2020_HLG = 168_165_376, DISPLAY_BT2020 = 142_999_552,
        DEPTH = 4096, SENSOR = 4097, DYNAMIC_DEPTH = 4098, JPEG_APP_SEGMENTS = 4099, HEIF = 4100,
        JPEG_R = 4101, HEIF_ULTRAHDR = 4102,
    });
}

#[test]
fn a_descriptor_without_options_takes_172_bytes() {
    let parcel = rsbinder::to_bytes(&BufferDescriptorInfo { name: [0; 128], ..Default::default() });
    // Behind a four-byte mark that the parcelable is not null.
    assert_eq!(parcel.unwrap().len(), 4 + 172);
}
