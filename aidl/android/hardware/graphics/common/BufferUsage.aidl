// SPDX-License-Identifier: Apache-2.0
package android.hardware.graphics.common;

/** What a buffer will be used for: two 4-bit CPU access levels, then one bit per kind of device. */
@VintfStability
@Backing(type="long")
enum BufferUsage {
    /* How often the CPU reads: a level, not bits. */
    CPU_READ_MASK = 0xf,
    CPU_READ_NEVER = 0,
    CPU_READ_RARELY = 2,
    CPU_READ_OFTEN = 3,
    /* How often the CPU writes. */
    CPU_WRITE_MASK = 0xf0,
    CPU_WRITE_NEVER = 0,
    CPU_WRITE_RARELY = 0x20,
    CPU_WRITE_OFTEN = 0x30,
    /* Devices. Bits 10, 13, 19, 21 and 34 to 47 are reserved. */
    GPU_TEXTURE = 1L << 8,
    GPU_RENDER_TARGET = 1L << 9,
    COMPOSER_OVERLAY = 1L << 11,
    COMPOSER_CLIENT_TARGET = 1L << 12,
    PROTECTED = 1L << 14,
    COMPOSER_CURSOR = 1L << 15,
    VIDEO_ENCODER = 1L << 16,
    CAMERA_OUTPUT = 1L << 17,
    CAMERA_INPUT = 1L << 18,
    RENDERSCRIPT = 1L << 20,
    VIDEO_DECODER = 1L << 22,
    SENSOR_DIRECT_DATA = 1L << 23,
    GPU_DATA_BUFFER = 1L << 24,
    GPU_CUBE_MAP = 1L << 25,
    GPU_MIPMAP_COMPLETE = 1L << 26,
    HW_IMAGE_ENCODER = 1L << 27,
    /* For the vendor; the upper range makes the value negative. */
    VENDOR_MASK = 0xfL << 28,
    FRONT_BUFFER = 1L << 32,
    /* Since version 7: BLOBs of a neural processor's, which clients keep mapped. */
    NPU = 1L << 33,
    VENDOR_MASK_HI = 0xffffL << 48,
}
