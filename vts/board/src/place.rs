// SPDX-License-Identifier: Apache-2.0
//! Where things are.

use std::path::{Path, PathBuf};

/// The repository's root, two folders above this crate's.
pub fn repository() -> &'static Path {
    let here = Path::new(env!("CARGO_MANIFEST_DIR"));
    here.ancestors().nth(2).unwrap_or(here)
}

/// Where results for people go: pictures, logs, reports.
pub fn results() -> PathBuf {
    repository().join("target/board")
}
