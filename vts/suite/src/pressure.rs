// SPDX-License-Identifier: Apache-2.0
//! Memory full of movable pages: what a CMA region is lent to.

use std::io;

use memmap2::MmapMut;
use nix::unistd::{SysconfVar, sysconf};

use crate::baseline::meminfo;

/// What the kernel and this program go on with: some of it they have at hand by the page.
const LEFT: u64 = 48 << 20;
const PAGES_LEFT: u64 = 4096;

/// Bytes of a page: 4, 16 or 64 KiB.
pub fn page() -> u64 {
    let page = sysconf(SysconfVar::PAGE_SIZE).ok().flatten();
    page.and_then(|page| u64::try_from(page).ok()).unwrap_or(4096)
}

/// Anonymous memory in use, as much as there is but a little.
#[derive(Debug)]
pub struct Pressure {
    memory: MmapMut,
}

impl Pressure {
    /// Fills memory; dropping it gives all back.
    pub fn new() -> io::Result<Self> {
        let size = meminfo("MemAvailable")?.saturating_sub(LEFT + PAGES_LEFT * page()) as usize;
        let mut memory = MmapMut::map_anon(size)?;
        memory.iter_mut().step_by(page() as usize).for_each(|byte| *byte = 1);
        Ok(Self { memory })
    }

    /// The pages.
    pub fn bytes(&self) -> &[u8] {
        &self.memory
    }
}
