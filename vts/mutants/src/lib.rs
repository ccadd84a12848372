// SPDX-License-Identifier: Apache-2.0
//! Allocators, mappers and drivers that are wrong in one way each: they prove that the tests test.
//!
//! Each mutant names the test case that must fail because of it (`cargo test mutants`). [`driver`]s
//! are edits of the driver's text. The others are the sound service or library with something of
//! their own in front. Nothing in `service/` knows of
//! this. On the device, `mutant NAME COMMAND…` runs a command against one: it serves the allocator
//! as instance [`INSTANCE`] beside the board's own, and clients of that instance find the library
//! of this crate as their mapper where it is the mapper that is broken.

pub mod allocator;
pub mod driver;
pub mod mapper;
pub mod unnamed;

use dmaheap_suite::program;

/// The instance of the service that is broken.
pub const INSTANCE: &str = "mutant";

/// Names the mutant to the library in its clients.
pub const CHOSEN: &str = "MUTANT";

/// The mutant without a defect: all that it stands in front of is sound.
pub const NONE: &str = "none";

/// One defect, and what finds it.
#[derive(Debug)]
pub struct Mutant<D> {
    /// What it does wrong.
    pub name: &'static str,
    /// The test program that finds it.
    pub program: &'static str,
    /// The case that must fail.
    pub case: &'static str,
    /// How it does it.
    defect: D,
}

impl<D> Mutant<D> {
    const fn found_by(
        name: &'static str,
        program: &'static str,
        case: &'static str,
        defect: D,
    ) -> Self {
        Self { name, program, case, defect }
    }
}

/// Name, program and case of every mutant.
pub fn all() -> impl Iterator<Item = (&'static str, &'static str, &'static str)> {
    let allocators = allocator::all().map(|m| (m.name, m.program, m.case));
    allocators.chain(mapper::MUTANTS.iter().map(|m| (m.name, m.program, m.case)))
}

const HEAPS: &str = program::HEAPS.name;
const ALLOCATOR: &str = program::ALLOCATOR.name;
const OUR_ALLOCATOR: &str = program::OUR_ALLOCATOR.name;
const MAPPER: &str = program::MAPPER.name;
const OUR_MAPPER: &str = program::OUR_MAPPER.name;
