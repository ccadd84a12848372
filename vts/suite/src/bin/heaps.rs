// SPDX-License-Identifier: Apache-2.0
//! Tests the kernel's DMA-BUF heaps; see `dmaheap_suite::program`.

use std::process::ExitCode;

use dmaheap_suite::program;

fn main() -> ExitCode {
    program::HEAPS.main()
}
