// SPDX-License-Identifier: Apache-2.0
package android.hardware.graphics.common;

/** Light levels of a stream (CTA-861.3), in cd/m². */
@VintfStability
@FixedSize
parcelable Cta861_3 {
    float maxContentLightLevel;
    float maxFrameAverageLightLevel;
}
