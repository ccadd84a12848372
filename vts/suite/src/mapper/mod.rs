// SPDX-License-Identifier: Apache-2.0
//! The mapper library under test, in a client of the running allocator.
//!
//! [`conformance`] has the cases of the interface's public conformance test, by their names there;
//! the other modules ask what that test does not.

mod conformance;
mod device;
mod ground;
mod handover;
mod hostile;
mod locks;
mod native;
mod planes;
mod processes;
mod table;
mod tracing;

use std::process::ExitCode;

use libtest_mimic::Trial;

pub use native::CASES as NATIVE_CASES;

/// All tests; their names alone need no device.
pub fn trials() -> Vec<Trial> {
    [
        conformance::trials(),
        locks::trials(),
        table::trials(),
        processes::trials(),
        hostile::trials(),
        tracing::trials(),
        device::trials(),
    ]
    .into_iter()
    .flatten()
    .collect()
}

/// What this program does when a test runs it again.
pub fn play(role: &str) -> ExitCode {
    let played = processes::role(role)
        .or_else(|| tracing::role(role))
        .or_else(|| native::role(role))
        .unwrap_or_else(|| Err(format!("there is no role {role}").into()));
    match played {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("{role}: {error}");
            ExitCode::FAILURE
        }
    }
}
