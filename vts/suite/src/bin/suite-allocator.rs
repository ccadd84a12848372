// SPDX-License-Identifier: Apache-2.0
//! Tests the running allocator; see `dmaheap_suite::allocator`.

use std::process::ExitCode;

use dmaheap_suite::allocator;
use libtest_mimic::Arguments;

fn main() -> ExitCode {
    // A test that needs another uid or a process to kill runs this program again.
    if let Some(role) = std::env::var_os("SUITE_ROLE") {
        return allocator::play(&role.to_string_lossy());
    }
    let arguments = Arguments { test_threads: Some(1), ..Arguments::from_args() };
    libtest_mimic::run(&arguments, allocator::trials()).exit_code()
}
