// SPDX-License-Identifier: Apache-2.0
package android.hardware.graphics.common;

import android.hardware.graphics.common.PlaneLayoutComponent;

/** Where one plane of a buffer lies and how its samples are spaced. */
@VintfStability
parcelable PlaneLayout {
    PlaneLayoutComponent[] components;
    long offsetInBytes;
    /** 0 where samples are packed across byte boundaries. */
    long sampleIncrementInBits;
    long strideInBytes;
    long widthInSamples;
    long heightInSamples;
    long totalSizeInBytes;
    long horizontalSubsampling;
    long verticalSubsampling;
}
