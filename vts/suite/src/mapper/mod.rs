// SPDX-License-Identifier: Apache-2.0
//! The mapper library under test, in a client of the running allocator.
//!
//! [`conformance`] has the cases of the interface's public conformance test, by their names there;
//! the other modules ask what that test does not.

mod conformance;
mod ground;
mod planes;

use std::process::ExitCode;

use libtest_mimic::Trial;

/// All tests; their names alone need no device.
pub fn trials() -> Vec<Trial> {
    [conformance::trials()].into_iter().flatten().collect()
}

/// What this program does when a test runs it again.
pub fn play(role: &str) -> ExitCode {
    let played: ground::Test = match role {
        other => Err(format!("there is no role {other}").into()),
    };
    match played {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("{role}: {error}");
            ExitCode::FAILURE
        }
    }
}
