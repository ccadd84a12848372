// SPDX-License-Identifier: Apache-2.0
//! The device's own test programs, run in the shared guest, each test under its own name.

use board_guest::wire::Exit;
use dmaheap_suite::{allocator, heaps};
use libtest_mimic::{Failed, Trial};

use crate::Outcome;
use crate::fixture::{fail, with_guest};

/// One trial here for each of the programs.
pub fn trials() -> Vec<Trial> {
    let suites = [("allocator", allocator::trials()), ("heaps", heaps::trials())];
    let mut trials = Vec::new();
    for (suite, on_device) in suites {
        for name in on_device.iter().map(|trial| trial.name().to_owned()) {
            let run = {
                let name = name.clone();
                move || run(&format!("suite-{suite}"), &name)
            };
            trials.push(Trial::test(format!("{suite}::{name}"), run));
        }
    }
    trials
}

fn run(program: &str, test: &str) -> Outcome {
    let output = with_guest(|guest| {
        guest.shell(&format!("{program} --exact '{test}'")).map_err(Failed::from)
    })?;
    // A name that matches no test would pass as well.
    if output.exit == Exit::Code(0) && output.stdout.contains("1 passed") {
        // Figures that a test has found.
        eprint!("{}", output.stderr);
        return Ok(());
    }
    fail(format!("{:?}\n{}{}", output.exit, output.stdout, output.stderr))
}
