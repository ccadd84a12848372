// SPDX-License-Identifier: Apache-2.0
//! Heaps as the policy file describes them.

use dmaheap_buffer::Bytes;

use crate::error::{Error, Result};

/// What the policy file says about a heap.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Spec {
    /// The name that rules use.
    pub name: String,
    /// Device nodes under `/dev/dma_heap` to try in order: kernels and boards
    /// call the same memory by different names.
    pub nodes: Vec<String>,
    /// Whether every buffer is one physical segment.
    pub contiguous: bool,
    /// Whether the CPU's view of it is cached.
    pub cached: bool,
    /// Whether it is out of the CPU's reach.
    pub protected: bool,
    /// All that there is of it, where that is known.
    pub size: Option<Bytes>,
    /// The most that one uid may hold.
    pub per_uid: Option<Bytes>,
    /// What is held ready.
    pub reserve: Vec<Reserve>,
    /// SELinux domains that may open its nodes beside the allocator's.
    pub domains: Vec<String>,
}

/// So many buffers of one size.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Reserve {
    /// How many.
    pub count: usize,
    /// The size of each.
    pub size: Bytes,
}

impl Spec {
    /// Whether a buffer of `size` is within what one uid may hold at all.
    ///
    /// # Errors
    /// [`Error::AboveLimit`].
    pub fn within_limit(&self, size: Bytes) -> Result<()> {
        match self.per_uid {
            Some(limit) if size > limit => {
                Err(Error::AboveLimit { heap: self.name.clone(), size, limit })
            }
            _ => Ok(()),
        }
    }

    /// Whether a buffer of `size` fits while nothing else is in use.
    ///
    /// # Errors
    /// [`Error::LargerThanHeap`].
    pub fn within_size(&self, size: Bytes) -> Result<()> {
        match self.size {
            Some(all) if size > all => {
                Err(Error::LargerThanHeap { heap: self.name.clone(), size, all })
            }
            _ => Ok(()),
        }
    }
}

/// Which of a policy's heaps.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct HeapId(usize);

impl HeapId {
    /// By its place in the order of their names, from 0.
    pub(super) fn nth(place: usize) -> HeapId {
        HeapId(place)
    }
}

/// One `T` for each heap of a policy, in the order of their names.
#[derive(Debug)]
pub struct PerHeap<T> {
    // A policy has a heap for metadata at least.
    first: T,
    others: Vec<T>,
}

impl<T> PerHeap<T> {
    /// `None` without any.
    pub(super) fn new(all: impl IntoIterator<Item = T>) -> Option<PerHeap<T>> {
        let mut all = all.into_iter();
        Some(PerHeap { first: all.next()?, others: all.collect() })
    }

    /// That of this heap, which must be one of the same policy.
    pub fn of(&self, heap: HeapId) -> &T {
        let other = heap.0.checked_sub(1).and_then(|i| self.others.get(i));
        other.unwrap_or(&self.first)
    }

    /// All, each with its heap.
    pub fn iter(&self) -> impl Iterator<Item = (HeapId, &T)> {
        (0..).map(HeapId).zip(std::iter::once(&self.first).chain(&self.others))
    }

    /// Something for each.
    pub fn map<U>(&self, make: impl Fn(HeapId, &T) -> U) -> PerHeap<U> {
        let others = self.iter().skip(1).map(|(id, one)| make(id, one)).collect();
        PerHeap { first: make(HeapId(0), &self.first), others }
    }
}
