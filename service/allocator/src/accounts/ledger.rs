// SPDX-License-Identifier: Apache-2.0
//! The dma-bufs of one caller from one heap.
//!
//! Each is an entry, and an item of the ledger's [`Watch`] under the entry's
//! number. Entries whose item is gone are those of dma-bufs that are.
//!
//! A Watch takes a descriptor, so there is one for each of the first [`OWN`]
//! ledgers. All beyond share one: whoever has buffers allocated under one uid
//! after the other, in isolated processes say, does not take the service's
//! descriptors with them.

use std::io;
use std::os::fd::{AsFd, OwnedFd};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, Weak};
use std::time::Duration;

use dmaheap_aidl::binder::Caller;
use dmaheap_buffer::{Bytes, Extent, Usage};
use dmaheap_dmabuf::{Watch, buffer as dmabuf};
use nix::errno::Errno;

use super::Held;
use super::books::AccountId;
use crate::policy::{HeapId, RuleId};

/// Fewer entries than this are not worth a sweep, and then so many times as
/// many as the last one left.
pub(super) const FEW: usize = 64;
const TIMES: usize = 4;

/// So many ledgers have a Watch of their own.
pub(super) const OWN: usize = 256;

/// Where ledgers get their Watch, and their entries numbers that are theirs alone.
#[derive(Debug, Default)]
pub(super) struct Source {
    /// Of those that have none of their own.
    shared: Mutex<Weak<Watch>>,
    next: AtomicU64,
}

/// The numbers of what lived when a Watch was asked.
#[derive(Debug)]
pub(super) struct Live(Vec<u64>);

/// A ledger before its Watch is asked: only entries before `end` are judged, so
/// that others can be made meanwhile.
#[derive(Debug)]
pub(super) struct Mark {
    pub watch: Arc<Watch>,
    end: u64,
}

/// What a dma-buf is for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// A picture, or whatever the client writes there.
    Pixels,
    /// Header and reserved region of another.
    Metadata,
}

/// What a call asked for. All dma-bufs of the call share it.
#[derive(Debug)]
pub struct Asked {
    /// What the client calls them.
    pub name: Box<str>,
    /// Size in pixels, and layers.
    pub extent: Extent,
    /// The `PixelFormat` code of the request.
    pub format: i32,
    /// What they are for.
    pub usage: Usage,
    /// The rule that it fell under.
    pub rule: RuleId,
    /// The process that called.
    pub pid: i32,
    /// When, since boot.
    pub at: Duration,
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
    /// The call that it was made in.
    pub asked: &'b Arc<Asked>,
}

/// What one caller was given of one heap, and may still hold.
#[derive(Debug)]
pub(super) struct Ledger {
    pub account: AccountId,
    pub caller: Caller,
    pub heap: HeapId,
    shares: bool,
    content: Mutex<Content>,
}

#[derive(Debug, Default)]
struct Content {
    /// From the first entry on.
    watch: Option<Arc<Watch>>,
    /// In the order of their numbers.
    entries: Vec<Entry>,
    /// Beyond the number of the last one.
    end: u64,
    /// Entries made since the last sweep, and left by it.
    handed_out: usize,
    found_live: usize,
}

/// A dma-buf that was handed out.
#[derive(Debug, Clone)]
pub struct Entry {
    number: u64,
    /// The number of its file.
    pub inode: u64,
    /// What it is for.
    pub kind: Kind,
    /// Its size, in whole pages.
    pub size: Bytes,
    /// The call that it was made in.
    pub asked: Arc<Asked>,
}

impl Ledger {
    /// An empty one. If it `shares`, it has no Watch of its own.
    pub fn new(account: AccountId, caller: &Caller, heap: HeapId, shares: bool) -> Ledger {
        Ledger { account, caller: caller.clone(), heap, shares, content: Mutex::default() }
    }

    /// Makes an entry. The dma-buf must not have left the service yet.
    pub fn enter(&self, item: &Item<'_>, source: &Source) -> Result<(), Errno> {
        let inode = dmabuf::inode(item.buffer.as_fd())?;
        let mut content = self.lock();
        let watch = match &content.watch {
            Some(watch) => watch,
            None => &*content.watch.insert(source.watch(self.shares)?),
        };
        // Under the lock, so that whoever finds the number finds the item as well.
        let number = source.next.fetch_add(1, Ordering::Relaxed);
        watch.add(item.buffer.as_fd(), number)?;
        content.end = number.wrapping_add(1);
        let Item { kind, size, asked, .. } = *item;
        content.entries.push(Entry { number, inode, kind, size, asked: asked.clone() });
        content.handed_out = content.handed_out.saturating_add(1);
        Ok(())
    }

    /// Whether so many entries were made that most of them are probably gone.
    pub fn is_due(&self) -> bool {
        let content = self.lock();
        content.handed_out > content.found_live.saturating_mul(TIMES).saturating_add(FEW)
    }

    /// Where to ask what lives, if anything can.
    pub fn mark(&self) -> Option<Mark> {
        let content = self.lock();
        content.watch.clone().map(|watch| Mark { watch, end: content.end })
    }

    /// Removes the entries of what is gone, and says how much that is. What lives
    /// was asked since the mark was set.
    pub fn judge(&self, mark: &Mark, live: &Live) -> Held {
        let mut gone = Held::default();
        let mut content = self.lock();
        content.entries.retain(|entry| {
            let lives = entry.number >= mark.end || live.has(entry.number);
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
        gone
    }

    /// Whether its Watch is that of others as well.
    pub fn shares(&self) -> bool {
        self.shares
    }

    /// What was given and is not known to be gone.
    pub fn entries(&self) -> Vec<Entry> {
        self.lock().entries.clone()
    }

    fn lock(&self) -> MutexGuard<'_, Content> {
        self.content.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Source {
    fn watch(&self, shared: bool) -> Result<Arc<Watch>, Errno> {
        if !shared {
            return Watch::new().map(Arc::new);
        }
        let mut slot = self.shared.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(watch) = slot.upgrade() {
            return Ok(watch);
        }
        let watch = Arc::new(Watch::new()?);
        *slot = Arc::downgrade(&watch);
        Ok(watch)
    }
}

impl Live {
    /// Asks.
    ///
    /// # Errors
    /// Those of [`Watch::live`].
    pub fn of(watch: &Watch) -> io::Result<Live> {
        let mut numbers = watch.live()?;
        numbers.sort_unstable();
        Ok(Live(numbers))
    }

    fn has(&self, number: u64) -> bool {
        self.0.binary_search(&number).is_ok()
    }
}
