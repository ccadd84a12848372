// SPDX-License-Identifier: Apache-2.0
//! Measures the groups of `dmaheap_suite::bench` that its arguments name; prints JSON.

use std::process::ExitCode;

use dmaheap_suite::allocator;
use dmaheap_suite::bench::GROUPS;
use dmaheap_suite::harness;

fn main() -> ExitCode {
    if let Some(played) = harness::in_role(allocator::play) {
        return played;
    }
    let mut all = Vec::new();
    for name in std::env::args().skip(1) {
        let Some((_, measure)) = GROUPS.iter().find(|(group, _)| *group == name) else {
            let known: Vec<&str> = GROUPS.iter().map(|(group, _)| *group).collect();
            eprintln!("suite-bench: no group '{name}'; there are {}", known.join(", "));
            return ExitCode::FAILURE;
        };
        match measure() {
            Ok(comparisons) => all.extend(comparisons),
            Err(error) => {
                eprintln!("suite-bench: {name}: {error}");
                return ExitCode::FAILURE;
            }
        }
    }
    match serde_json::to_writer(std::io::stdout(), &all) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("suite-bench: cannot write the results: {error}");
            ExitCode::FAILURE
        }
    }
}
