// SPDX-License-Identifier: Apache-2.0
//! Tests the kernel's DMA-BUF heaps; see `dmaheap_suite::heaps`.

use std::process::ExitCode;

use dmaheap_suite::{heaps, program};

fn main() -> ExitCode {
    program::run(heaps::trials(), heaps::play)
}
