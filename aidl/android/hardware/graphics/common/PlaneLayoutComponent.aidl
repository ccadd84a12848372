// SPDX-License-Identifier: Apache-2.0
package android.hardware.graphics.common;

import android.hardware.graphics.common.ExtendableType;

/** Where one component lies inside a sample; both numbers in bits. */
@VintfStability
parcelable PlaneLayoutComponent {
    ExtendableType type;
    long offsetInBits;
    /** -1 where samples do not sit at whole positions. */
    long sizeInBits;
}
