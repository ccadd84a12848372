// SPDX-License-Identifier: Apache-2.0
//! The mapper library under test, in a client of the running allocator.
//!
//! [`conformance`] has the cases of the interface's public conformance test, by their names there,
//! for the mapper of any allocator; the other modules ask what is this project's alone.

pub mod conformance;
mod copies;
mod device;
mod framework;
mod ground;
mod handover;
mod hostile;
mod locks;
mod native;
mod planes;
mod processes;
mod table;
// The C library there names other system calls.
#[cfg(not(target_os = "android"))]
mod tracing;

use libtest_mimic::Trial;

use crate::harness::Outcome;

pub use native::CASES as NATIVE_CASES;

/// The tests of what is ours; their names alone need no device.
pub fn trials() -> Vec<Trial> {
    [
        locks::trials(),
        table::trials(),
        processes::trials(),
        copies::trials(),
        hostile::trials(),
        #[cfg(not(target_os = "android"))]
        tracing::trials(),
        device::trials(),
        framework::trials(),
    ]
    .into_iter()
    .flatten()
    .collect()
}

/// What this program does when a test runs it again.
pub fn play(role: &str) -> Outcome {
    let found = processes::role(role).or_else(|| native::role(role));
    let found = found.or_else(|| framework::role(role));
    #[cfg(not(target_os = "android"))]
    let found = found.or_else(|| tracing::role(role));
    found.unwrap_or_else(|| Err(format!("there is no role {role}").into()))
}
