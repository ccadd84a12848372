// SPDX-License-Identifier: Apache-2.0
//! The allocator under test, from a client's side: what it promises for good descriptors, what it
//! answers to bad ones, and that nothing leaks.
//!
//! The tests share one running service and count its descriptors, so they run one after the other,
//! as root.

mod descriptors;
mod report;
mod resources;
pub(crate) mod service;
mod shortage;
mod startup;
mod transport;

use std::error::Error;

use libtest_mimic::Trial;

use crate::baseline;

pub use resources::play;
pub use service::dump;

/// All tests; their names alone need no device.
pub fn trials() -> Vec<Trial> {
    [
        descriptors::trials(),
        transport::trials(),
        resources::trials(),
        report::trials(),
        shortage::trials(),
        startup::trials(),
    ]
    .into_iter()
    .flatten()
    .collect()
}

/// A test that must leave the service as it found it: the same process, with as many descriptors,
/// and as many dma-bufs in the system.
fn trial(name: &str, test: fn() -> Result<(), Box<dyn Error>>) -> Trial {
    Trial::test(name, move || Ok(baseline::keeping(service::State::now, test)?))
}
