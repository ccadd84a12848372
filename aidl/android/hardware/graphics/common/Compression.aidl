// SPDX-License-Identifier: Apache-2.0
package android.hardware.graphics.common;

/** Whether and how the contents are compressed. */
@VintfStability
@Backing(type="long")
enum Compression {
    NONE = 0,
    DISPLAY_STREAM_COMPRESSION = 1,
}
