// SPDX-License-Identifier: Apache-2.0
//! Tests what is our mapper library's alone; see `dmaheap_suite::program`.

use std::process::ExitCode;

use dmaheap_suite::program;

fn main() -> ExitCode {
    program::OUR_MAPPER.main()
}
