// SPDX-License-Identifier: Apache-2.0
//! The tests test: each broken allocator, mapper or driver is caught by the case that it names, and
//! those cases pass where nothing is broken. The defects are in `vts/mutants`.

use std::collections::{BTreeSet, HashSet};
use std::iter;
use std::sync::Mutex;

use board::source::{DriverFiles, driver_files};
use board::{Boot, Guest};
use board_channel::wire::Exit;
use dmaheap_mutants::driver::{self, DriverMutant, EDITS, Edit, Leaves};
use dmaheap_mutants::unnamed::UNNAMED;
use dmaheap_mutants::{INSTANCE, NONE, all};
use dmaheap_suite::program::{HEAPS, PROGRAMS};
use libtest_mimic::{Failed, Trial};

use crate::Outcome;
use crate::fixture::{boot, expect_eq, fail, lock, with_guest};
use crate::suite::SHORT;

/// One trial for each mutant, after one for none.
pub fn trials() -> Vec<Trial> {
    let drivers = driver::MUTANTS.iter().zip(1..);
    let drivers = drivers.map(|(one, number)| {
        Trial::test(format!("mutants::driver::{}", one.name), move || driver_is_caught(one, number))
    });
    let sound = Trial::test("mutants::driver::without_a_defect_every_case_passes", sound_driver);
    let listed = Trial::test("mutants::every_case_is_named_or_has_a_reason", every_case_is_named);
    let none = Trial::test("mutants::without_a_defect_every_case_passes", every_case_passes);
    let caught = |(name, program, case)| {
        Trial::test(format!("mutants::{name}"), move || is_caught(name, program, case))
    };
    iter::once(listed)
        .chain(iter::once(none))
        .chain(all().map(caught))
        .chain(iter::once(sound))
        .chain(drivers)
        .collect()
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

/// Or has a reason, and not both.
fn every_case_is_named() -> Outcome {
    let drivers = driver::MUTANTS.iter().map(|one| (HEAPS.name, one.case));
    let named: BTreeSet<(&str, &str)> =
        all().map(|(_, program, case)| (program, case)).chain(drivers).collect();
    let unnamed = UNNAMED.iter().flat_map(|one| one.cases.iter().map(|case| (one.program, *case)));
    let unnamed: BTreeSet<(&str, &str)> = unnamed.collect();
    if let Some((program, case)) = named.intersection(&unnamed).next() {
        return fail(format!("{program} {case} has both a mutant and a reason to have none"));
    }
    let trials = PROGRAMS.iter().map(|program| (program.name, (program.trials)()));
    let trials: Vec<(&str, Vec<Trial>)> = trials.collect();
    let cases: BTreeSet<(&str, &str)> = trials
        .iter()
        .flat_map(|(program, trials)| trials.iter().map(|trial| (*program, trial.name())))
        .collect();
    let known = &named | &unnamed;
    expect_eq("cases without a mutant, and without a reason", &cases - &known, BTreeSet::new())?;
    expect_eq("reasons for cases that are not there", &unnamed - &cases, BTreeSet::new())
}

fn is_caught(name: &str, program: &str, case: &str) -> Outcome {
    match judge(name, program, &[case])? {
        (Exit::Code(101), said) if said.contains("1 failed") => Ok(()),
        (exit, said) => fail(format!("{case} did not catch it: {exit:?}\n{said}")),
    }
}

/// How these cases end against this mutant.
fn judge(mutant: &str, program: &str, cases: &[&str]) -> Result<(Exit, String), Failed> {
    // What is long shows the defect early, and what is not back at once may be what is missing.
    let patience = if mutant == NONE { "" } else { "SUITE_PATIENCE=1" };
    let test = format!("{program} --instance {INSTANCE} --exact {}", cases.join(" "));
    with_guest(|guest| {
        let output = guest.shell(&format!("{SHORT} {patience} mutant {mutant} {test}"))?;
        Ok((output.exit, output.stdout + &output.stderr))
    })
}

/// The driver with all its defects in it.
fn broken_driver() -> Result<DriverFiles, Failed> {
    let mut files = driver_files()?;
    let mut edit = |file: &str, sound: &str, broken: &str| {
        let text = files.get_mut(file).ok_or(format!("the driver has no file {file}"))?;
        let old = String::from_utf8_lossy(text).into_owned();
        match old.matches(sound).count() {
            1 => *text = old.replace(sound, broken).into_bytes(),
            count => return fail(format!("{count} times in {file}, not once:\n{sound}")),
        }
        Ok(())
    };
    for Edit { file, sound, broken } in &EDITS {
        edit(file, sound, broken)?;
    }
    const END: &str = "#endif /* _DMAHEAP_H */";
    edit("dmaheap.h", END, &format!("{}\n{END}", driver::header()))?;
    Ok(files)
}

fn boot_broken(append: String) -> Result<Guest, Failed> {
    boot(&Boot { driver: Some(broken_driver()?), append, ..Boot::default() })
}

/// Lends a guest with the broken driver, in which no defect has done damage.
fn with_broken_guest<T>(test: impl FnOnce(&mut Guest) -> Result<T, Failed>) -> Result<T, Failed> {
    static GUEST: Mutex<Option<Guest>> = Mutex::new(None);
    let mut guest = lock(&GUEST);
    let mut lent = guest.take().map_or_else(|| boot_broken(String::new()), Ok)?;
    let result = test(&mut lent);
    if result.is_ok() {
        *guest = Some(lent);
    }
    result
}

fn sound_driver() -> Outcome {
    let cases: BTreeSet<&str> = driver::MUTANTS.iter().map(|one| one.case).collect();
    let cases: Vec<&str> = cases.into_iter().collect();
    let said = with_broken_guest(|guest| run_cases(guest, 0, &cases))?;
    match said {
        (Exit::Code(0), said) if said.contains(&format!("{} passed", cases.len())) => Ok(()),
        (exit, said) => fail(format!("{exit:?}\n{said}")),
    }
}

fn driver_is_caught(one: &DriverMutant, number: usize) -> Outcome {
    let run = |guest: &mut Guest| run_cases(guest, number, &[one.case]);
    let (exit, said) = match one.leaves {
        Leaves::Nothing => with_broken_guest(run)?,
        Leaves::Damage => run(&mut boot_broken(String::new())?)?,
        Leaves::AnotherBoot => {
            run(&mut boot_broken(format!("cma_regions.driver_mutant={number}"))?)?
        }
    };
    let skipped = said.contains("1 ignored") && said.contains("skipped:");
    match exit {
        Exit::Code(101) if said.contains("1 failed") => Ok(()),
        // On this board, what is skipped is a fault.
        Exit::Code(0) if skipped => Ok(()),
        exit => fail(format!("{} did not catch it: {exit:?}\n{said}", one.case)),
    }
}

/// How these cases end with this defect chosen.
fn run_cases(guest: &mut Guest, number: usize, cases: &[&str]) -> Result<(Exit, String), Failed> {
    const PARAMETER: &str = "/sys/module/cma_regions/parameters/driver_mutant";
    let patience = if number == 0 { "" } else { "SUITE_PATIENCE=1" };
    let output = guest.shell(&format!(
        "export {patience}; echo {number} > {PARAMETER} && {} --exact {}; status=$?; echo 0 > {PARAMETER}; exit $status",
        HEAPS.name,
        cases.join(" ")
    ))?;
    Ok((output.exit, output.stdout + &output.stderr))
}
