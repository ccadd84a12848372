// SPDX-License-Identifier: Apache-2.0
//! The dma-bufs of one caller from one heap.
//!
//! Each is an entry, and an item of the ledger's [`Watch`] under the entry's
//! number. Entries whose item is gone are those of dma-bufs that are.

use std::io;
use std::os::fd::{AsFd, OwnedFd};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use dmaheap_aidl::binder::Caller;
use dmaheap_buffer::Bytes;
use dmaheap_dmabuf::Watch;
use nix::errno::Errno;

use super::Held;
use crate::policy::HeapId;

/// Fewer entries than this are not worth a sweep, and then so many times as
/// many as the last one left.
pub(super) const FEW: usize = 64;
const TIMES: usize = 4;

/// What a dma-buf is for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// A picture, or whatever the client writes there.
    Pixels,
    /// Header and reserved region of another.
    Metadata,
}

/// A dma-buf that was made for a caller.
#[derive(Debug, Clone, Copy)]
pub struct Item<'b> {
    /// The heap it is from.
    pub heap: HeapId,
    /// What it is for.
    pub kind: Kind,
    /// Its size, in whole pages.
    pub size: Bytes,
    /// Itself.
    pub buffer: &'b OwnedFd,
}

/// What one caller was given of one heap, and may still hold.
#[derive(Debug)]
pub(super) struct Ledger {
    pub caller: Caller,
    pub heap: HeapId,
    content: Mutex<Content>,
}

#[derive(Debug, Default)]
struct Content {
    /// From the first entry on.
    watch: Option<Arc<Watch>>,
    /// In the order of their numbers.
    entries: Vec<Entry>,
    next: u64,
    /// Entries made since the last sweep, and left by it.
    handed_out: usize,
    found_live: usize,
}

#[derive(Debug, Clone, Copy)]
struct Entry {
    number: u64,
    kind: Kind,
    size: Bytes,
}

impl Ledger {
    pub fn new(caller: &Caller, heap: HeapId) -> Ledger {
        Ledger { caller: caller.clone(), heap, content: Mutex::default() }
    }

    /// Makes an entry. The dma-buf must not have left the service yet.
    pub fn enter(&self, item: &Item<'_>) -> Result<(), Errno> {
        let mut content = self.lock();
        let number = content.next;
        let watch = match &content.watch {
            Some(watch) => watch,
            None => &*content.watch.insert(Arc::new(Watch::new()?)),
        };
        watch.add(item.buffer.as_fd(), number)?;
        content.next = number.wrapping_add(1);
        content.entries.push(Entry { number, kind: item.kind, size: item.size });
        content.handed_out = content.handed_out.saturating_add(1);
        Ok(())
    }

    /// Whether so many entries were made that most of them are probably gone.
    pub fn is_due(&self) -> bool {
        let content = self.lock();
        content.handed_out > content.found_live.saturating_mul(TIMES).saturating_add(FEW)
    }

    /// Removes the entries of what is gone, and says how much that is. The lock
    /// is not held while the kernel lists what lives, so that nobody waits for
    /// it: what is entered meanwhile has a number beyond those that are judged.
    pub fn sweep(&self) -> io::Result<Held> {
        let (watch, end) = {
            let content = self.lock();
            (content.watch.clone(), content.next)
        };
        let Some(watch) = watch else { return Ok(Held::default()) };
        let mut live = watch.live()?;
        live.sort_unstable();
        let mut gone = Held::default();
        let mut content = self.lock();
        content.entries.retain(|entry| {
            let lives = entry.number >= end || live.binary_search(&entry.number).is_ok();
            if !lives {
                gone.add(entry.kind, entry.size);
            }
            lives
        });
        content.handed_out = 0;
        content.found_live = content.entries.len();
        // What a flood has left is given back.
        let room = content.entries.len().saturating_mul(TIMES).saturating_add(FEW);
        content.entries.shrink_to(room);
        Ok(gone)
    }

    #[cfg(test)]
    pub fn entries(&self) -> usize {
        self.lock().entries.len()
    }

    fn lock(&self) -> MutexGuard<'_, Content> {
        self.content.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
