// SPDX-License-Identifier: Apache-2.0
package android.hardware.graphics.common;

import android.hardware.graphics.common.XyColor;

/** The display a picture was mastered on (SMPTE ST 2086). Luminances in cd/m². */
@VintfStability
@FixedSize
parcelable Smpte2086 {
    XyColor primaryRed;
    XyColor primaryGreen;
    XyColor primaryBlue;
    XyColor whitePoint;
    float maxLuminance;
    float minLuminance;
}
