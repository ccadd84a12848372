// SPDX-License-Identifier: Apache-2.0
//! The graphics allocator service.

use std::path::Path;
use std::process::ExitCode;

use dmaheap_aidl::binder;
use dmaheap_allocator::service::Service;
use dmaheap_allocator::{Allocator, Policy, logging, policy};
use nix::sys::resource::{Resource, getrlimit, setrlimit};

fn main() -> ExitCode {
    logging::init();
    match serve(Path::new(policy::PATH)) {
        Ok(never) => match never {},
        Err(error) => {
            log::error!("{error}");
            ExitCode::FAILURE
        }
    }
}

fn serve(policy: &Path) -> Result<std::convert::Infallible, Box<dyn std::error::Error>> {
    let (policy, findings) = Policy::load(policy)?;
    for line in findings.to_string().lines() {
        log::warn!("{line}");
    }
    // Replies hold descriptors until they are delivered.
    let (_, most) = getrlimit(Resource::RLIMIT_NOFILE)?;
    setrlimit(Resource::RLIMIT_NOFILE, most, most)?;

    let allocator = Allocator::new(policy);
    allocator.start();
    binder::serve(Service::new(allocator))
}
