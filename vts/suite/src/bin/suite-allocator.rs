// SPDX-License-Identifier: Apache-2.0
//! Tests the running allocator; see `dmaheap_suite::allocator`.

use std::process::ExitCode;

use dmaheap_suite::{allocator, program};

fn main() -> ExitCode {
    program::run(allocator::trials(), allocator::play)
}
