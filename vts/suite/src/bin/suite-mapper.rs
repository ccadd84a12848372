// SPDX-License-Identifier: Apache-2.0
//! Tests the mapper library; see `dmaheap_suite::mapper`.

use std::process::ExitCode;

use dmaheap_suite::mapper;
use libtest_mimic::Arguments;

fn main() -> ExitCode {
    // A test that needs another process runs this program again.
    if let Some(role) = std::env::var_os("SUITE_ROLE") {
        return mapper::play(&role.to_string_lossy());
    }
    let arguments = Arguments { test_threads: Some(1), ..Arguments::from_args() };
    libtest_mimic::run(&arguments, mapper::trials()).exit_code()
}
