// SPDX-License-Identifier: Apache-2.0
//! Memory that the system can spare.
//!
//! A heap of scattered pages takes them from everybody, and the kernel answers
//! a shortage by ending processes; a dma-buf is charged to none of them, so it
//! ends the wrong one. A request that does not fit into what is available is
//! therefore refused before it is made. Heaps of contiguous regions have their
//! own memory and need no such care.
//!
//! Mostly there is free memory enough, which one cheap call tells. Only when it
//! is not, it matters what the kernel could free, and that takes reading a
//! file.

use std::sync::OnceLock;
use std::sync::atomic::{AtomicU64, Ordering};

use dmaheap_buffer::Bytes;
use dmaheap_dmabuf::kernel::MemInfo;
use nix::sys::sysinfo::sysinfo;

/// Small requests do not look each time, but once for each so many bytes.
const UNSEEN: u64 = 1024 * 1024;

/// Watches the system's memory for one heap.
#[derive(Debug, Default)]
pub struct Headroom {
    unseen: AtomicU64,
    /// All of the system's CMA memory.
    cma: OnceLock<Bytes>,
}

impl Headroom {
    /// Whether the system can spare `size`. Where it does not say what is
    /// available, it can.
    pub fn allows(&self, size: Bytes) -> bool {
        let unseen = self.unseen.fetch_add(size.0, Ordering::Relaxed).saturating_add(size.0);
        if unseen < UNSEEN {
            return true;
        }
        self.unseen.store(0, Ordering::Relaxed);
        if self.is_free(size) {
            return true;
        }
        let meminfo = MemInfo::read().ok();
        meminfo.and_then(|meminfo| available(&meminfo)).is_none_or(|available| size < available)
    }

    /// Whether so much is free even if all of the CMA memory is.
    fn is_free(&self, size: Bytes) -> bool {
        let all = || MemInfo::read().ok()?.value("CmaTotal");
        let cma = self.cma.get_or_init(|| all().unwrap_or_default());
        let free = sysinfo().map_or(0, |info| info.ram_unused());
        cma.checked_add(size).is_some_and(|needed| needed.0 < free)
    }
}

/// What can be had without ending a process. Free CMA memory counts as
/// available to the kernel, but a heap's pages cannot be moved and so cannot
/// come from it.
fn available(meminfo: &MemInfo) -> Option<Bytes> {
    let lent = meminfo.value("CmaFree").unwrap_or_default();
    Some(Bytes(meminfo.value("MemAvailable")?.0.saturating_sub(lent.0)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn free_cma_memory_is_not_available() {
        let available = |text| available(&MemInfo::new(text));
        let lent = "MemFree:  900 kB\nMemAvailable:    1000 kB\nCmaFree:          300 kB\n";
        assert_eq!(available(lent), Some(Bytes(700 * 1024)));
        assert_eq!(available("MemAvailable: 5 kB\n"), Some(Bytes(5 * 1024)));
        assert_eq!(available(""), None);
    }

    #[test]
    fn more_than_there_is_is_refused_at_once() {
        assert!(!Headroom::default().allows(Bytes(u64::MAX)));
        assert!(Headroom::default().allows(Bytes(4096)));
    }
}
