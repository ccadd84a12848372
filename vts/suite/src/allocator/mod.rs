// SPDX-License-Identifier: Apache-2.0
//! The allocator under test, from a client's side.
//!
//! [`conformance`] asks what every allocator owes its clients; the other modules ask what is this
//! project's alone: the heaps of the board's policy, the answer to each mistake, what it does when
//! it runs out of something, and what it tells of itself. The tests share one running service and count its descriptors, so they run one after the other,
//! as root.

pub mod callers;
mod commands;
pub mod conformance;
mod descriptors;
mod display;
mod dumps;
mod report;
mod shortage;
// It labels nodes of the virtual board.
#[cfg(not(soong))]
mod startup;

use libtest_mimic::Trial;

use crate::harness::Outcome;

/// All tests; their names alone need no device.
pub fn trials() -> Vec<Trial> {
    [
        descriptors::trials(),
        callers::trials(),
        report::trials(),
        dumps::trials(),
        shortage::trials(),
        display::trials(),
        #[cfg(not(soong))]
        startup::trials(),
        commands::trials(),
    ]
    .into_iter()
    .flatten()
    .collect()
}

/// What this program does when a test runs it again.
pub fn play(role: &str) -> Outcome {
    match role {
        callers::ROLE => callers::play(),
        "look" => dumps::look(),
        other => Err(format!("there is no role {other}").into()),
    }
}
