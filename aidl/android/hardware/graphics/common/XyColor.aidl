// SPDX-License-Identifier: Apache-2.0
package android.hardware.graphics.common;

/** A CIE 1931 chromaticity. */
@VintfStability
@FixedSize
parcelable XyColor {
    float x;
    float y;
}
