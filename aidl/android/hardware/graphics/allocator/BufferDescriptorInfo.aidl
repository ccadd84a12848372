// SPDX-License-Identifier: Apache-2.0
package android.hardware.graphics.allocator;

import android.hardware.graphics.common.BufferUsage;
import android.hardware.graphics.common.ExtendableType;
import android.hardware.graphics.common.PixelFormat;

/** What a client asks for. */
@VintfStability
parcelable BufferDescriptorInfo {
    /** NUL-terminated, as a rule; for people who look for a leak. */
    byte[128] name;
    /** In pixels; for BLOB the size in bytes. */
    int width;
    /** In pixels; 1 for BLOB. */
    int height;
    /** At least 1. */
    int layerCount;
    PixelFormat format = PixelFormat.UNSPECIFIED;
    BufferUsage usage = BufferUsage.CPU_READ_NEVER;
    /** Bytes of the client's own next to the metadata. */
    long reservedSize;
    /** Anything not understood here must be refused. */
    ExtendableType[] additionalOptions;
}
