// SPDX-License-Identifier: Apache-2.0
//! The kernel's own view of memory, to be held against ours. Each file may be
//! missing or unreadable; then there is nothing to say.

use std::collections::BTreeMap;
use std::fs;
use std::path::Path;
use std::str::FromStr;

use serde::Serialize;

/// Live dma-bufs of one exporter, in every process.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
pub struct DmaBufs {
    /// How many there are.
    pub buffers: u64,
    /// Their size together.
    pub bytes: u64,
}

/// What a CMA area went through since boot, in pages.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct CmaArea {
    /// The area's name, which need not be the heap's.
    pub name: String,
    /// Pages it gave.
    pub pages_allocated: u64,
    /// Pages it could not give.
    pub pages_failed: u64,
}

/// Live dma-bufs by exporter; heaps export under their node's name.
pub fn dma_bufs(live: &Path) -> BTreeMap<String, DmaBufs> {
    let mut exporters: BTreeMap<String, DmaBufs> = BTreeMap::new();
    for folder in fs::read_dir(live).into_iter().flatten().flatten() {
        // A buffer may be gone before its files are read.
        let folder = folder.path();
        if let (Some(exporter), Some(size)) =
            (read::<String>(&folder.join("exporter_name")), read::<u64>(&folder.join("size")))
        {
            let sum = exporters.entry(exporter).or_default();
            sum.buffers = sum.buffers.saturating_add(1);
            sum.bytes = sum.bytes.saturating_add(size);
        }
    }
    exporters
}

/// The first of these CMA areas that the kernel has.
pub fn cma_area(names: &[String]) -> Option<CmaArea> {
    names.iter().find_map(|name| {
        let folder = Path::new("/sys/kernel/mm/cma").join(name);
        Some(CmaArea {
            name: name.clone(),
            pages_allocated: read(&folder.join("alloc_pages_success"))?,
            pages_failed: read(&folder.join("alloc_pages_fail"))?,
        })
    })
}

fn read<T: FromStr>(path: &Path) -> Option<T> {
    fs::read_to_string(path).ok()?.trim().parse().ok()
}
