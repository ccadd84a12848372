// SPDX-License-Identifier: Apache-2.0
//! Tests any allocator; see `dmaheap_suite::program`.

use std::process::ExitCode;

use dmaheap_suite::program;

fn main() -> ExitCode {
    program::ALLOCATOR.main()
}
