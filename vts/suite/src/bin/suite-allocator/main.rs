// SPDX-License-Identifier: Apache-2.0
//! The allocator under test, from a client's side: what it promises for good
//! descriptors, what it answers to bad ones, and that nothing leaks.
//!
//! Runs on the device as root, beside the running service. Tests share one
//! service and count its descriptors, so they run one after the other.

mod descriptors;
mod resources;
mod service;
mod transport;

use std::process::ExitCode;

use libtest_mimic::{Arguments, Trial};

fn main() -> ExitCode {
    // A test that needs another uid or a process to kill runs this program again.
    if let Some(role) = std::env::var_os("SUITE_ROLE") {
        return resources::play(&role.to_string_lossy());
    }
    let arguments = Arguments { test_threads: Some(1), ..Arguments::from_args() };
    let mut trials = descriptors::trials();
    trials.extend(transport::trials());
    trials.extend(resources::trials());
    libtest_mimic::run(&arguments, trials).exit_code()
}

/// A test that must leave the service as it found it: the same process, with
/// as many descriptors, and as many dma-bufs in the system.
fn trial(name: &str, test: fn() -> Result<(), Box<dyn std::error::Error>>) -> Trial {
    Trial::test(name, move || {
        let before = service::State::settled()?;
        test()?;
        Ok(before.require_same()?)
    })
}
