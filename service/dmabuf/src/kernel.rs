// SPDX-License-Identifier: Apache-2.0
//! What the kernel tells in `/proc` and `/sys` about memory. Each
//! file may be missing, or forbidden; the error says which.

use std::fs;
use std::io;
use std::path::Path;
use std::str::FromStr;

use dmaheap_buffer::Bytes;

/// What a CMA area went through since boot, in pages. What is free in it says
/// less: the kernel lends it to the page cache.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct CmaArea {
    /// Pages it gave.
    pub allocated: u64,
    /// Pages it could not give.
    pub failed: u64,
    /// Pages it got back.
    pub released: u64,
    /// All of its pages, where the kernel says.
    pub total: Option<u64>,
}

/// Where the kernel has its CMA areas (CONFIG_CMA_SYSFS).
const CMA: &str = "/sys/kernel/mm/cma";

/// The names of all CMA areas, which need not be those of heaps.
///
/// # Errors
/// Why they cannot be listed.
pub fn cma_areas() -> io::Result<Vec<String>> {
    let name = |area: fs::DirEntry| area.file_name().into_string().ok();
    Ok(fs::read_dir(CMA)?.flatten().filter_map(name).collect())
}

/// What the CMA area of this name went through.
///
/// # Errors
/// If there is none, or it cannot be read.
pub fn cma_area(name: &str) -> io::Result<CmaArea> {
    let folder = Path::new(CMA).join(name);
    Ok(CmaArea {
        allocated: read(&folder.join("alloc_pages_success"))?,
        failed: read(&folder.join("alloc_pages_fail"))?,
        released: read(&folder.join("release_pages_success"))?,
        total: read(&folder.join("total_pages")).ok(),
    })
}

/// A region of this project's driver, in bytes; `kernel/README.md` says what each means.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Region {
    /// All of it.
    pub size: u64,
    /// Of it lent to nobody.
    pub held: u64,
    /// In buffers.
    pub used: u64,
    /// The longest buffer that there is room for.
    pub largest_free: u64,
    /// How many buffers live.
    pub buffers: u64,
}

/// The region behind the heap of this name.
///
/// # Errors
/// If there is none, or it cannot be read.
pub fn region(heap: &str) -> io::Result<Region> {
    let folder = Path::new("/sys/kernel/dmaheap").join(heap);
    let number = |file| read(&folder.join(file));
    Ok(Region {
        size: number("size")?,
        held: number("held")?,
        used: number("used")?,
        largest_free: number("largest_free")?,
        buffers: number("buffers")?,
    })
}

/// `/proc/meminfo` at one moment.
#[derive(Debug, Clone)]
pub struct MemInfo(String);

impl MemInfo {
    /// Reads it.
    ///
    /// # Errors
    /// Why it cannot be read.
    pub fn read() -> io::Result<MemInfo> {
        MemInfo::read_at(Path::new("/proc/meminfo"))
    }

    /// Reads one that is elsewhere.
    ///
    /// # Errors
    /// Why it cannot be read.
    pub fn read_at(file: &Path) -> io::Result<MemInfo> {
        fs::read_to_string(file).map(MemInfo)
    }

    /// Its lines, as they were read.
    pub fn new(text: &str) -> MemInfo {
        MemInfo(text.to_owned())
    }

    /// The value of a line, `MemAvailable` say.
    pub fn value(&self, key: &str) -> Option<Bytes> {
        let line = |line: &str| Some(line.strip_prefix(key)?.strip_prefix(':')?.to_owned());
        let value = self.0.lines().find_map(line)?;
        let kib: u64 = value.trim().strip_suffix("kB")?.trim_end().parse().ok()?;
        Bytes(kib).checked_mul(1024)
    }
}

fn read<T: FromStr>(path: &Path) -> io::Result<T> {
    let malformed = || io::Error::new(io::ErrorKind::InvalidData, path.display().to_string());
    fs::read_to_string(path)?.trim().parse().map_err(|_| malformed())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_line_of_meminfo_has_its_value_in_bytes() {
        let meminfo = MemInfo::new("MemFree:  900 kB\nCmaFree:          300 kB\nHugePages:  1\n");
        assert_eq!(meminfo.value("CmaFree"), Some(Bytes(300 * 1024)));
        assert_eq!(meminfo.value("Cma"), None);
        assert_eq!(meminfo.value("HugePages"), None);
        assert_eq!(meminfo.value("MemAvailable"), None);
    }
}
