// SPDX-License-Identifier: Apache-2.0
//! The graphics allocator service, and its commands for people.

use std::process::ExitCode;

use dmaheap_allocator::{cli, logging};

fn main() -> ExitCode {
    logging::init();
    cli::run(std::env::args().skip(1))
}
