// SPDX-License-Identifier: Apache-2.0
//! Memory full of movable pages: what a CMA region is lent to.

use std::io;

use memmap2::MmapMut;

use crate::baseline::meminfo;

const PAGE: usize = 4096;
/// What the kernel and this program go on with.
const LEFT: u64 = 64 << 20;

/// Anonymous memory in use, as much as there is but a little.
#[derive(Debug)]
pub struct Pressure {
    memory: MmapMut,
}

impl Pressure {
    /// Fills memory; dropping it gives all back.
    pub fn new() -> io::Result<Self> {
        let size = meminfo("MemAvailable")?.saturating_sub(LEFT) as usize;
        let mut memory = MmapMut::map_anon(size)?;
        memory.iter_mut().step_by(PAGE).for_each(|byte| *byte = 1);
        Ok(Self { memory })
    }

    /// The pages.
    pub fn bytes(&self) -> &[u8] {
        &self.memory
    }
}
