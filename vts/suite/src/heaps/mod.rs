// SPDX-License-Identifier: Apache-2.0
//! The kernel's DMA-BUF heaps, as any process with their nodes can use and misuse them.
//!
//! What a heap answers to bad requests is the same for all of them, the kernel's own `system` heap
//! included; the regions of this project's driver also count what they have in sysfs, and must
//! have it back after each test. The tests run as root, one after the other.

mod contents;
mod devices;
mod display;
mod heap;
mod mappings;
mod memory;
mod pressure;
mod requests;
mod stress;

use libtest_mimic::Trial;

use crate::harness::Outcome;

/// All tests; their names alone need no device.
pub fn trials() -> Vec<Trial> {
    let mut trials = requests::trials();
    trials.extend(mappings::trials());
    trials.extend(devices::trials());
    trials.extend(display::trials());
    trials.extend(contents::trials());
    trials.extend(pressure::trials());
    trials.extend(stress::trials());
    trials
}

/// What this program does when a test runs it again.
pub fn play(role: &str) -> Outcome {
    match role.split(' ').collect::<Vec<_>>()[..] {
        ["scribble", heap, bytes] => contents::scribble(heap, bytes.parse()?),
        ["allocate", heap, bytes] => contents::allocate_for_ever(heap, bytes.parse()?),
        ["stress", heap, operations, seed] => {
            stress::operate(heap, operations.parse()?, seed.parse()?)
        }
        ["flip"] => display::flip(),
        _ => Err("there is no such role".into()),
    }
}
