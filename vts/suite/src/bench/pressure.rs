// SPDX-License-Identifier: Apache-2.0
//! Memory full of movable pages: what a CMA region is lent to.

use std::fs;
use std::io;

use memmap2::MmapMut;

const PAGE: usize = 4096;
/// What the kernel and this program go on with.
const LEFT: usize = 64 << 20;

/// Anonymous memory in use, as much as there is but a little.
#[derive(Debug)]
pub struct Pressure {
    _memory: MmapMut,
}

impl Pressure {
    /// Fills memory; dropping it gives all back.
    pub fn new() -> io::Result<Self> {
        let size = available()?.saturating_sub(LEFT);
        let mut memory = MmapMut::map_anon(size)?;
        memory.iter_mut().step_by(PAGE).for_each(|byte| *byte = 1);
        Ok(Self { _memory: memory })
    }
}

/// `MemAvailable` of /proc/meminfo, in bytes.
fn available() -> io::Result<usize> {
    let text = fs::read_to_string("/proc/meminfo")?;
    text.lines()
        .find_map(|line| {
            let value = line.strip_prefix("MemAvailable:")?.trim().strip_suffix(" kB")?;
            value.parse::<usize>().ok()
        })
        .and_then(|kib| kib.checked_mul(1024))
        .ok_or_else(|| io::Error::other("/proc/meminfo has no MemAvailable"))
}
