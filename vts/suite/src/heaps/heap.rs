// SPDX-License-Identifier: Apache-2.0
//! What a test asks of heaps besides buffers: which there are, and a region's state in sysfs.

use std::error::Error;
use std::fmt;
use std::fs;
use std::io;
use std::ops::Range;
use std::path::{Path, PathBuf};
use std::thread::sleep;
use std::time::Duration;

use libtest_mimic::Trial;

use crate::baseline;
use crate::dmabuf::DmaBuf;
use crate::harness::{self, Outcome, skip};
use crate::heap::NODES;

pub use crate::heap::{Heap, Request};
pub use crate::pressure::page;

/// Where the driver tells of its regions: a folder each, a file for each number.
const REGIONS: &str = "/sys/kernel/dmaheap";

/// The heap whose name says no address.
pub const DEFAULT: &str = "default_cma_region";

/// 2^20 bytes.
pub const MIB: u64 = 1 << 20;

impl Heap {
    /// Every heap of the board.
    pub fn all() -> io::Result<Vec<Self>> {
        names(NODES)?.iter().map(|name| Self::open(name)).collect()
    }

    /// Those that this project's driver made; a test that wants them is skipped on another kernel.
    pub fn regions() -> Result<Vec<Self>, Box<dyn Error>> {
        let names = region_names()?;
        if names.is_empty() {
            return skip("this kernel has no regions of dmaheap-gralloc's driver");
        }
        Ok(names.iter().map(|name| Self::open(name)).collect::<io::Result<_>>()?)
    }

    /// The region whose name says no address.
    pub fn default_region() -> Result<Self, Box<dyn Error>> {
        let default = Self::regions()?.into_iter().find(|region| region.name == DEFAULT);
        default.map_or_else(|| skip(format!("this device has no heap {DEFAULT}")), Ok)
    }

    /// Whether it is a region that is held.
    pub fn is_held(&self) -> bool {
        self.count("held").is_ok_and(|bytes| bytes > 0)
    }

    /// A buffer, known to be one.
    pub fn buffer(&self, len: u64) -> nix::Result<DmaBuf> {
        Ok(DmaBuf::from_heap(self.ask(Request::of(len))?))
    }

    /// A number of the region's in sysfs.
    pub fn count(&self, key: &str) -> Result<u64, Box<dyn Error>> {
        let path = Path::new(REGIONS).join(&self.name).join(key);
        let text = fs::read_to_string(&path).map_err(|e| format!("{}: {e}", path.display()))?;
        Ok(text.trim().parse()?)
    }

    /// Waits for the clearing worker.
    pub fn settle(&self) -> Result<(), Box<dyn Error>> {
        while self.count("clearing")? > 0 {
            sleep(Duration::from_millis(1));
        }
        Ok(())
    }

    /// Physical addresses of the region.
    pub fn place(&self) -> Result<Range<u64>, Box<dyn Error>> {
        let start = match self.name.split_once('@') {
            Some((_, address)) => u64::from_str_radix(address, 16)?,
            None => {
                fs::read_to_string(default_area()?.join("base_pfn"))?.trim().parse::<u64>()?
                    * page()
            }
        };
        Ok(start..start + self.count("size")?)
    }
}

impl fmt::Display for Heap {
    fn fmt(&self, f: &mut fmt::Formatter) -> fmt::Result {
        f.write_str(&self.name)
    }
}

/// What buffers have of a region.
#[derive(Debug, PartialEq)]
pub struct Live {
    region: String,
    buffers: u64,
    bytes: u64,
}

/// What buffers have of each region.
pub fn live() -> Result<Vec<Live>, Box<dyn Error>> {
    let of = |name: &str| {
        let heap = Heap::open(name)?;
        Ok(Live { buffers: heap.count("buffers")?, bytes: heap.count("used")?, region: heap.name })
    };
    region_names()?.into_iter().map(|name| of(&name)).collect()
}

fn region_names() -> io::Result<Vec<String>> {
    if Path::new(REGIONS).exists() { names(REGIONS) } else { Ok(Vec::new()) }
}

fn names(folder: &str) -> io::Result<Vec<String>> {
    let name = |entry: io::Result<fs::DirEntry>| {
        entry.map(|entry| entry.file_name().to_string_lossy().into_owned())
    };
    let mut names = fs::read_dir(folder)?.map(name).collect::<Result<Vec<_>, _>>()?;
    names.sort();
    Ok(names)
}

/// The default CMA area in debugfs: the one of which no heap has the name.
pub fn default_area() -> Result<PathBuf, Box<dyn Error>> {
    const AREAS: &str = "/sys/kernel/debug/cma";
    let regions = region_names()?;
    let area = names(AREAS)?.into_iter().find(|area| !regions.contains(area));
    Ok(Path::new(AREAS).join(area.ok_or("there is no default CMA area")?))
}

/// A test that must leave every region with what it had, the kernel with as many dma-bufs, and
/// this process with as many descriptors.
pub fn trial(name: &str, test: fn() -> Outcome) -> Trial {
    let look = || -> Result<_, Box<dyn Error>> {
        let own = std::fs::read_dir("/proc/self/fd")?.count();
        let dma_bufs = baseline::where_counted(baseline::dma_bufs)?;
        Ok((own, dma_bufs, baseline::where_counted(baseline::cma_pages)?, live()?))
    };
    harness::case(name, move || baseline::keeping(look, test))
}
