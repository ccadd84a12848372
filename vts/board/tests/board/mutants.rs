// SPDX-License-Identifier: Apache-2.0
//! The tests test: each broken allocator or mapper is caught by the case that it names, and the
//! same case passes where nothing is broken. The defects are in `vts/mutants`.

use board_guest::wire::Exit;
use dmaheap_mutants::{INSTANCE, NONE, all};
use dmaheap_suite::program::PROGRAMS;
use libtest_mimic::{Failed, Trial};

use crate::Outcome;
use crate::fixture::{fail, with_guest};

/// One trial for each mutant.
pub fn trials() -> Vec<Trial> {
    let trial = |(name, program, case)| {
        Trial::test(format!("mutants::{name}"), move || is_caught(name, program, case))
    };
    all().map(trial).collect()
}

fn is_caught(name: &str, program: &str, case: &str) -> Outcome {
    let known = PROGRAMS.iter().find(|known| known.name == program);
    let cases = known.map(|known| (known.trials)()).unwrap_or_default();
    if cases.iter().all(|known| known.name() != case) {
        return fail(format!("{program} has no case {case}"));
    }
    match judge(NONE, program, case)? {
        (Exit::Code(0), said) if said.contains("1 passed") => {}
        (exit, said) => return fail(format!("{case} without a defect: {exit:?}\n{said}")),
    }
    match judge(name, program, case)? {
        (Exit::Code(101), said) if said.contains("1 failed") => Ok(()),
        (exit, said) => fail(format!("{case} did not catch it: {exit:?}\n{said}")),
    }
}

/// How the case ends against this mutant.
fn judge(mutant: &str, program: &str, case: &str) -> Result<(Exit, String), Failed> {
    // What is long shows the defect early.
    let short = "SUITE_DESCRIPTORS=500 SUITE_SECONDS=1";
    let test = format!("{program} --instance {INSTANCE} --exact --filter '{case}'");
    with_guest(|guest| {
        let output = guest.shell(&format!("{short} mutant {mutant} {test}"))?;
        Ok((output.exit, output.stdout + &output.stderr))
    })
}
