// SPDX-License-Identifier: Apache-2.0
//! What a test asks of heaps besides buffers: which there are, and a region's counters in debugfs.

use std::collections::BTreeMap;
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

const COUNTERS: &str = "/sys/kernel/debug/dma_heap";

/// The heap whose name says no address.
pub const DEFAULT: &str = "default_cma_region";

/// Bytes of a page.
pub const PAGE: u64 = 4096;
/// 2^20 bytes.
pub const MIB: u64 = 1 << 20;

impl Heap {
    /// Every heap of the board.
    pub fn all() -> io::Result<Vec<Self>> {
        names(NODES)?.iter().map(|name| Self::open(name)).collect()
    }

    /// Those that this project's driver made; a test that wants them is skipped on another kernel.
    pub fn regions() -> Result<Vec<Self>, Box<dyn Error>> {
        if !Path::new(COUNTERS).exists() {
            return skip("this kernel has no regions of dmaheap-gralloc's driver");
        }
        Ok(names(COUNTERS)?.iter().map(|name| Self::open(name)).collect::<io::Result<_>>()?)
    }

    /// The region whose name says no address.
    pub fn default_region() -> Result<Self, Box<dyn Error>> {
        let default = Self::regions()?.into_iter().find(|region| region.name == DEFAULT);
        default.map_or_else(|| skip(format!("this device has no heap {DEFAULT}")), Ok)
    }

    /// Whether it is a region that is held.
    pub fn is_held(&self) -> bool {
        self.counter("mode").is_ok_and(|mode| mode == "held")
    }

    /// A buffer, known to be one.
    pub fn buffer(&self, len: u64) -> nix::Result<DmaBuf> {
        Ok(DmaBuf::from_heap(self.ask(Request::of(len))?))
    }

    /// A line of the region's file in debugfs.
    fn counter(&self, key: &str) -> Result<String, Box<dyn Error>> {
        let counters = counters(&self.name)?;
        Ok(counters.get(key).ok_or(format!("{self} does not count {key}"))?.clone())
    }

    /// A number of the region's file in debugfs.
    pub fn count(&self, key: &str) -> Result<u64, Box<dyn Error>> {
        Ok(self.counter(key)?.parse()?)
    }

    /// Waits for the clearing worker; the longest free extent then.
    pub fn settled_largest_free(&self) -> Result<u64, Box<dyn Error>> {
        while self.count("clearing_backlog")? > 0 {
            sleep(Duration::from_millis(1));
        }
        self.count("largest_free")
    }

    /// Physical addresses of the region.
    pub fn place(&self) -> Result<Range<u64>, Box<dyn Error>> {
        let start = match self.name.split_once('@') {
            Some((_, address)) => u64::from_str_radix(address, 16)?,
            None => {
                fs::read_to_string(default_area()?.join("base_pfn"))?.trim().parse::<u64>()? * PAGE
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
    /// With what is to be cleared, which is not given back yet.
    bytes: u64,
}

/// What buffers have of each region.
pub fn live() -> Result<Vec<Live>, Box<dyn Error>> {
    let of = |heap: Heap| {
        let bytes = heap.count("size")? - heap.count("free")? + heap.count("clearing_backlog")?;
        Ok(Live { buffers: heap.count("buffers")?, bytes, region: heap.name })
    };
    if Path::new(COUNTERS).exists() {
        Heap::regions()?.into_iter().map(of).collect()
    } else {
        Ok(Vec::new())
    }
}

fn counters(name: &str) -> io::Result<BTreeMap<String, String>> {
    let text = fs::read_to_string(Path::new(COUNTERS).join(name))?;
    let pair = |line: &str| {
        let (key, value) = line.split_once(' ')?;
        Some((key.to_owned(), value.trim().to_owned()))
    };
    Ok(text.lines().filter_map(pair).collect())
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
    let regions = names(COUNTERS)?;
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
