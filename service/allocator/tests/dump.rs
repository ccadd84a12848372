// SPDX-License-Identifier: Apache-2.0
//! The report of a service that has just begun, on a machine without heaps.
#![allow(clippy::unwrap_used)]

use std::path::Path;

use dmaheap_allocator::dump::{Reader, Report};
use dmaheap_allocator::{Allocator, Policy};

#[test]
fn a_service_that_has_nothing_yet_says_so() {
    let path = Path::new(concat!(env!("CARGO_MANIFEST_DIR"), "/../etc/virt/heaps.toml"));
    let (policy, _) = Policy::load(path).unwrap();
    let report = Report::new(&Allocator::new(policy), Reader::Privileged);
    assert!(!report.at_rest, "the metadata that is kept ready has yet to be made");
    let said = report.to_string();
    for part in [
        "Accounts are kept since",
        "class    apps: 0 bytes, limit 25165824",
        "keep     33554432 bytes for cameraserver; others 0 bytes, limit 33554432",
        "are being made ready",
        "framebuffer (contiguous, cached, unprotected)",
        "MISSING",
        "camera                   -> camera",
    ] {
        assert!(said.contains(part), "{part:?} is missing in:\n{said}");
    }
}
