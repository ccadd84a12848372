// SPDX-License-Identifier: Apache-2.0
package android.hardware.graphics.common;

/** How a layer is blended over what is below it. */
@VintfStability
@Backing(type="int")
enum BlendMode {
    INVALID = 0,
    NONE = 1,
    PREMULTIPLIED = 2,
    COVERAGE = 3,
}
