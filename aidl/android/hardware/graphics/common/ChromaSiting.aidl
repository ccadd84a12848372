// SPDX-License-Identifier: Apache-2.0
package android.hardware.graphics.common;

/** Where subsampled chroma lies relative to luma. */
@VintfStability
@Backing(type="long")
enum ChromaSiting {
    NONE = 0,
    UNKNOWN = 1,
    SITED_INTERSTITIAL = 2,
    COSITED_HORIZONTAL = 3,
    COSITED_VERTICAL = 4,
    COSITED_BOTH = 5,
}
