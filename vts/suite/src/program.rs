// SPDX-License-Identifier: Apache-2.0
//! The test programs: which there are, and where their tests are.

use crate::harness::Program;
use crate::{allocator, heaps, mapper};

/// Every test program, those for any device first.
pub const PROGRAMS: [Program; 5] = [ALLOCATOR, MAPPER, HEAPS, OUR_ALLOCATOR, OUR_MAPPER];

/// Any allocator.
pub const ALLOCATOR: Program = Program {
    name: "VtsHalGraphicsAllocatorDmaHeap_TargetTest",
    topic: "allocator",
    trials: allocator::conformance::trials,
    play: allocator::conformance::play,
};

/// Any allocator's mapper library.
pub const MAPPER: Program = Program {
    name: "VtsHalGraphicsMapperDmaHeap_TargetTest",
    topic: "mapper",
    trials: mapper::conformance::trials,
    play: |role| Err(format!("there is no role {role}").into()),
};

/// The kernel's DMA-BUF heaps.
pub const HEAPS: Program = Program {
    name: "VtsDmaHeap_TargetTest",
    topic: "heaps",
    trials: heaps::trials,
    play: heaps::play,
};

/// This project's allocator, with its board's policy.
pub const OUR_ALLOCATOR: Program = Program {
    name: "suite-allocator",
    topic: "allocator",
    trials: allocator::trials,
    play: allocator::play,
};

/// This project's mapper library.
pub const OUR_MAPPER: Program =
    Program { name: "suite-mapper", topic: "mapper", trials: mapper::trials, play: mapper::play };
