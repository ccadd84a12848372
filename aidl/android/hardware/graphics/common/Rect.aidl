// SPDX-License-Identifier: Apache-2.0
package android.hardware.graphics.common;

/** A rectangle in pixels; right and bottom lie outside it. */
@VintfStability
@FixedSize
parcelable Rect {
    int left;
    int top;
    int right;
    int bottom;
}
