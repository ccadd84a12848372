// SPDX-License-Identifier: Apache-2.0
//! What the virtual board's test programs may skip. A device may lack more; this board lacks nothing
//! else, so that any other skip is a fault of the board or of the test.

/// Case and reason.
const ALLOWED: [(&str, &str); 1] =
    [("GetProtectedContent", "does not support protected buffers for the CPU")];

/// Whether a case may be skipped for this reason.
pub fn is_allowed(case: &str, reason: &str) -> bool {
    ALLOWED.iter().any(|(name, why)| *name == case && reason.contains(why))
}
