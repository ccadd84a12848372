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

use dmaheap_aidl::common::BufferUsage;
use libtest_mimic::Trial;

use super::service::{self, State};
use crate::baseline;
use crate::program::{self, Outcome};

pub(super) use restart::{restart_service, wait_for_successor};

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

/// A test that must leave the service as it found it: the same process, with as many descriptors,
/// and as many dma-bufs in the system.
fn trial(name: &str, test: fn() -> Outcome) -> Trial {
    program::case(name, move || {
        // Whatever a service opens once only is open now.
        service::connect()?.allocate2(&service::good(), 1)?;
        baseline::keeping(State::now, test)
    })
}

/// What a program asks for that draws by itself.
const CPU: BufferUsage =
    BufferUsage(BufferUsage::CPU_READ_OFTEN.0 | BufferUsage::CPU_WRITE_OFTEN.0);
