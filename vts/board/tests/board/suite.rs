// SPDX-License-Identifier: Apache-2.0
//! The device's own test programs, run in the shared guest, each test under its own name.

use board_guest::wire::Exit;
use libtest_mimic::{Failed, Trial};

use crate::Outcome;
use crate::fixture::{fail, with_guest};

/// One trial here for each of `suite-allocator` and of `suite-mapper`.
pub fn trials() -> Vec<Trial> {
    let allocator = dmaheap_suite::allocator::trials();
    let mapper = dmaheap_suite::mapper::trials();
    let allocator = allocator.into_iter().map(|trial| on_device("allocator", trial));
    let mapper = mapper.into_iter().map(|trial| on_device("mapper", trial));
    allocator.chain(mapper).collect()
}

fn on_device(suite: &'static str, trial: Trial) -> Trial {
    let name = trial.name().to_owned();
    Trial::test(format!("{suite}::{name}"), move || run(&format!("suite-{suite}"), &name))
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
