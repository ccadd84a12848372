// SPDX-License-Identifier: Apache-2.0
package android.hardware.common;

/** Open files and plain integers that together name something outside this process. */
@VintfStability
parcelable NativeHandle {
    ParcelFileDescriptor[] fds;
    int[] ints;
}
