// SPDX-License-Identifier: Apache-2.0
package android.hardware.graphics.common;

/** A value whose meaning is named by whoever defined it. */
@VintfStability
parcelable ExtendableType {
    /** Qualified name of the enum the value belongs to. */
    @utf8InCpp String name;
    long value = 0;
}
