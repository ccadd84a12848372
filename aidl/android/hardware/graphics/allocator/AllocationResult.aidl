// SPDX-License-Identifier: Apache-2.0
package android.hardware.graphics.allocator;

import android.hardware.common.NativeHandle;

/** Buffers that share one layout. */
@VintfStability
parcelable AllocationResult {
    /** Pixels from one row to the next. */
    int stride;
    NativeHandle[] buffers;
}
