// SPDX-License-Identifier: Apache-2.0
package android.hardware.graphics.allocator;

/** Service-specific errors of IAllocator. */
@VintfStability
@Backing(type="int")
enum AllocationError {
    /* The request contradicts itself. */
    BAD_DESCRIPTOR = 0,
    /* Memory, file descriptors or a quota ran out. */
    NO_RESOURCES = 1,
    /* The request can never be met here. */
    UNSUPPORTED = 2,
}
