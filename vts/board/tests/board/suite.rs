// SPDX-License-Identifier: Apache-2.0
//! The device's own test programs, run in the shared guest, each test under its own name.

use board_guest::wire::Exit;
use libtest_mimic::{Failed, Trial};

use crate::Outcome;
use crate::fixture::{fail, with_guest};

/// One trial here for each of `suite-allocator`.
pub fn trials() -> Vec<Trial> {
    let on_device = |trial: Trial| {
        let name = trial.name().to_owned();
        Trial::test(format!("allocator::{name}"), move || run("suite-allocator", &name))
    };
    dmaheap_suite::allocator::trials().into_iter().map(on_device).collect()
}

fn run(program: &str, test: &str) -> Outcome {
    let output = with_guest(|guest| {
        guest.shell(&format!("{program} --exact '{test}'")).map_err(Failed::from)
    })?;
    // A name that matches no test would pass as well.
    if output.exit == Exit::Code(0) && output.stdout.contains("1 passed") {
        return Ok(());
    }
    fail(format!("{:?}\n{}{}", output.exit, output.stdout, output.stderr))
}
