// SPDX-License-Identifier: Apache-2.0
package android.hardware.graphics.allocator;

import android.hardware.graphics.allocator.AllocationResult;
import android.hardware.graphics.allocator.BufferDescriptorInfo;

/**
 * Hands out graphics buffers. If isSupported answers true, allocate2 fails only
 * for lack of resources; if it answers false, allocate2 never succeeds.
 */
@VintfStability
interface IAllocator {
    /**
     * For clients of mapper 4, whose encoded descriptors only their mapper knows.
     * @deprecated use allocate2
     */
    AllocationResult allocate(in byte[] descriptor, in int count);

    /** Allocates all of `count` buffers, or none. */
    AllocationResult allocate2(in BufferDescriptorInfo descriptor, in int count);

    /** Whether allocate2 can work for this descriptor at all. */
    boolean isSupported(in BufferDescriptorInfo descriptor);

    /** Names the mapper library that understands these buffers: mapper.SUFFIX.so. */
    String getIMapperLibrarySuffix();

    /**
     * Whether allocateMultiView can work for these views at all. Since version 3, as is that.
     */
    boolean isMultiViewSupported(in BufferDescriptorInfo[] descriptor, in int baseViewIndex);

    /** Allocates one buffer that has several views, one for each descriptor. */
    AllocationResult allocateMultiView(
            in BufferDescriptorInfo[] descriptor, in int baseViewIndex);
}
