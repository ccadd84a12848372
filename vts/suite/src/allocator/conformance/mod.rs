// SPDX-License-Identifier: Apache-2.0
//! What every allocator of version 2 owes its clients, asked through its public interface and seen
//! through the kernel's: nothing here knows whose allocator it is.
//!
//! The cases that the interface's conformance test (VtsHalGraphicsAllocatorAidl) has are here by
//! their names there. The tests share one running service and count its descriptors, so they run
//! one after the other, as root.

mod clients;
mod contents;
mod contract;
mod descriptors;
mod devices;
mod restart;
#[cfg(not(soong))]
mod transport;

use libtest_mimic::Trial;

use crate::harness::Outcome;

/// All tests; their names alone need no device.
pub fn trials() -> Vec<Trial> {
    [
        descriptors::trials(),
        contract::trials(),
        // libbinder_rs, which Android builds with, makes sound parcels only.
        #[cfg(not(soong))]
        transport::trials(),
        clients::trials(),
        contents::trials(),
        devices::trials(),
        restart::trials(),
    ]
    .into_iter()
    .flatten()
    .collect()
}

/// What this program does when a test runs it again.
pub fn play(role: &str) -> Outcome {
    match role {
        "hold" => clients::hold(),
        "starve" => clients::starve(),
        "churn" => clients::churn(),
        "scribble" => contents::scribble(),
        other => Err(format!("there is no role {other}").into()),
    }
}
