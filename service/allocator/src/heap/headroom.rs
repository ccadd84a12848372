// SPDX-License-Identifier: Apache-2.0
//! Memory that the system can spare.
//!
//! A heap of scattered pages takes them from everybody, and the kernel answers
//! a shortage by ending processes; a dma-buf is charged to none of them, so it
//! ends the wrong one. A request that does not fit into what is available is
//! therefore refused before it is made. Heaps of contiguous regions have their
//! own memory and need no such care.

use std::fs;
use std::sync::atomic::{AtomicU64, Ordering};

use dmaheap_buffer::Bytes;

const MEMINFO: &str = "/proc/meminfo";

/// Small requests do not look each time, but once for each so many bytes.
const UNSEEN: u64 = 1024 * 1024;

/// Watches the system's memory for one heap.
#[derive(Debug, Default)]
pub struct Headroom {
    unseen: AtomicU64,
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
        let meminfo = fs::read_to_string(MEMINFO).unwrap_or_default();
        available(&meminfo).is_none_or(|available| size < available)
    }
}

/// What can be had without ending a process. Free CMA memory counts as
/// available to the kernel, but a heap's pages cannot be moved and so cannot
/// come from it.
fn available(meminfo: &str) -> Option<Bytes> {
    let kib = |key: &str| -> Option<u64> {
        let value = meminfo.lines().find_map(|line| line.strip_prefix(key))?;
        value.trim().strip_suffix("kB")?.trim_end().parse().ok()
    };
    let available = kib("MemAvailable:")?.saturating_sub(kib("CmaFree:").unwrap_or(0));
    Some(Bytes(available.saturating_mul(1024)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn free_cma_memory_is_not_available() {
        let meminfo = "MemFree:  900 kB\nMemAvailable:    1000 kB\nCmaFree:          300 kB\n";
        assert_eq!(available(meminfo), Some(Bytes(700 * 1024)));
        assert_eq!(available("MemAvailable: 5 kB\n"), Some(Bytes(5 * 1024)));
        assert_eq!(available(""), None);
    }

    #[test]
    fn more_than_there_is_is_refused_at_once() {
        assert!(!Headroom::default().allows(Bytes(u64::MAX)));
        assert!(Headroom::default().allows(Bytes(4096)));
    }
}
