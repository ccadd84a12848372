// SPDX-License-Identifier: Apache-2.0
//! The tests test: each broken allocator or mapper is caught by the case that it names, and those
//! cases pass where nothing is broken. The defects are in `vts/mutants`.

use std::collections::{BTreeSet, HashSet};
use std::iter;

use board_channel::wire::Exit;
use dmaheap_mutants::{INSTANCE, NONE, all};
use dmaheap_suite::program::PROGRAMS;
use libtest_mimic::{Failed, Trial};

use crate::Outcome;
use crate::fixture::{fail, with_guest};

/// One trial for each mutant, after one for none.
pub fn trials() -> Vec<Trial> {
    let none = Trial::test("mutants::without_a_defect_every_case_passes", every_case_passes);
    let caught = |(name, program, case)| {
        Trial::test(format!("mutants::{name}"), move || is_caught(name, program, case))
    };
    iter::once(none).chain(all().map(caught)).collect()
}

fn every_case_passes() -> Outcome {
    for program in &PROGRAMS {
        let known: HashSet<String> =
            (program.trials)().iter().map(|trial| trial.name().to_owned()).collect();
        let named: BTreeSet<&str> =
            all().filter(|(_, name, _)| *name == program.name).map(|(.., case)| case).collect();
        if let Some(unknown) = named.iter().find(|case| !known.contains(**case)) {
            return fail(format!("{} has no case {unknown}", program.name));
        }
        if named.is_empty() {
            continue;
        }
        let cases: Vec<&str> = named.into_iter().collect();
        match judge(NONE, program.name, &cases)? {
            (Exit::Code(0), said) if said.contains(&format!("{} passed", cases.len())) => {}
            (exit, said) => return fail(format!("{}: {exit:?}\n{said}", program.name)),
        }
    }
    Ok(())
}

fn is_caught(name: &str, program: &str, case: &str) -> Outcome {
    match judge(name, program, &[case])? {
        (Exit::Code(101), said) if said.contains("1 failed") => Ok(()),
        (exit, said) => fail(format!("{case} did not catch it: {exit:?}\n{said}")),
    }
}

/// How these cases end against this mutant.
fn judge(mutant: &str, program: &str, cases: &[&str]) -> Result<(Exit, String), Failed> {
    // What is long shows the defect early.
    let short = "SUITE_DESCRIPTORS=500 SUITE_SECONDS=1";
    let test = format!("{program} --instance {INSTANCE} --exact {}", cases.join(" "));
    with_guest(|guest| {
        let output = guest.shell(&format!("{short} mutant {mutant} {test}"))?;
        Ok((output.exit, output.stdout + &output.stderr))
    })
}
