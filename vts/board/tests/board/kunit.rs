// SPDX-License-Identifier: Apache-2.0
//! The driver's KUnit suites, run when virt-next loads it, under KASAN, lockdep, DEBUG_ATOMIC_SLEEP,
//! DMA_API_DEBUG and DEBUG_SG. All of them pass, and none of the watchdogs says a word.

use std::fs;

use board::{Boot, Guest, boards, repository};
use libtest_mimic::Failed;

use crate::Outcome;
use crate::fixture::{expect_eq, fail};

/// CMA clears what it gives, as on Android.
pub fn suites_pass_and_the_watchdogs_are_silent() -> Outcome {
    run("", "heap alloc:on")
}

/// The driver clears.
pub fn suites_pass_without_init_on_alloc() -> Outcome {
    run("init_on_alloc=0", "heap alloc:off")
}

/// Builds the other kernel while tests wait for their guests; after the plain one, if there are tests
/// that need it first. Errors are those of the tests.
pub fn build_ahead(after_plain: bool) {
    if after_plain {
        let _ = Guest::build_kernel(&boards::VIRT);
    }
    let _ = Guest::build_kernel(&boards::VIRT_NEXT);
}

fn run(append: &str, cleared_by: &str) -> Outcome {
    let boot = Boot {
        append: format!("kunit.enable=1 kunit.autorun=1 {append}"),
        overlay: Some(repository().join("kernel/board/virt-kunit.dtso")),
        services: false,
        ..Boot::default()
    };
    let console = Guest::boot(&boards::VIRT_NEXT, &boot)?.console();
    for watching in [
        cleared_by,
        "KernelAddressSanitizer initialized",
        "Lock dependency validator",
        "DMA-API: debugging enabled",
    ] {
        if !console.contains(watching) {
            return fail(format!("'{watching}' is not on the console:\n{console}"));
        }
    }
    let is_bad = |line: &&str| {
        ["not ok", "# SKIP", "BUG:", "WARNING:", "KASAN:", "INFO:", "possible ", "Kernel panic"]
            .iter()
            .any(|sign| line.contains(sign))
            || (line.contains("DMA-API: ")
                && !["preallocated", "debugging enabled", "enable driver filter"]
                    .iter()
                    .any(|known| line.contains(known)))
    };
    let bad: Vec<&str> = console.lines().filter(is_bad).collect();
    if !bad.is_empty() {
        return fail(format!("{}\n--- console ---\n{console}", bad.join("\n")));
    }
    expect_eq("KUnit cases passed", passed(&console), cases()?)
}

/// Lines of the form "[    1.5]     ok 3 name"; those of whole suites are not indented.
fn passed(console: &str) -> usize {
    let is_case = |line: &&str| line.split_once("]     ok ").is_some();
    console.lines().filter(is_case).count()
}

/// Cases that the suites' sources list.
fn cases() -> Result<usize, Failed> {
    let mut cases = 0;
    for entry in fs::read_dir(repository().join("kernel"))? {
        let path = entry?.path();
        if path.to_string_lossy().ends_with("_test.c") {
            let text = fs::read_to_string(&path)?;
            cases += text.matches("\tKUNIT_CASE").count();
        }
    }
    Ok(cases)
}
