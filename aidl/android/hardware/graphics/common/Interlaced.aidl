// SPDX-License-Identifier: Apache-2.0
package android.hardware.graphics.common;

/** How fields of an interlaced picture are stored. */
@VintfStability
@Backing(type="long")
enum Interlaced {
    NONE = 0,
    TOP_BOTTOM = 1,
    RIGHT_LEFT = 2,
}
