// SPDX-License-Identifier: Apache-2.0
//! Heaps as the policy file describes them.

use dmaheap_buffer::Bytes;

use super::caller::{ClassId, ClassSet};
use super::limits::{Amount, Keep};
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
    /// What its consumers can address ends here: a physical address.
    pub below: Option<Bytes>,
    /// Its buffers begin at physical addresses that are multiples of so much.
    pub align: Option<Bytes>,
    /// The most that one uid may hold.
    pub per_uid: Option<Amount>,
    /// The most that all callers of a class together may hold.
    pub per_class: Vec<(ClassId, Amount)>,
    /// What only some may take.
    pub keep: Option<Keep>,
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

impl Reserve {
    /// Whether a request of `size` can have one, and not more than a quarter of
    /// it would be wasted.
    pub fn fits(&self, size: Bytes) -> bool {
        let least = self.size.0.saturating_sub(self.size.0 / 4);
        (least..=self.size.0).contains(&size.0)
    }
}

impl Spec {
    /// Whether callers of these classes may have what is held ready: whatever
    /// the heap keeps for some, they alone.
    pub fn serves_reserve(&self, classes: ClassSet) -> bool {
        self.keep.as_ref().is_none_or(|keep| keep.is_for(classes))
    }

    /// What may be taken of a heap that keeps some of its memory, and not for
    /// callers of these classes.
    pub fn left_for_others(&self, classes: ClassSet) -> Option<Bytes> {
        let keep = self.keep.as_ref().filter(|keep| !keep.is_for(classes))?;
        Some(Bytes(self.size?.0.saturating_sub(keep.size.0)))
    }

    /// The most that a buffer of `size` can turn out to be: what is held ready
    /// may be larger.
    pub fn largest_for(&self, size: Bytes, classes: ClassSet) -> Bytes {
        let ready = self.reserve.iter().filter(|_| self.serves_reserve(classes));
        ready.filter(|ready| ready.fits(size)).map(|ready| ready.size).fold(size, Bytes::max)
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

    /// That of this heap, which must be one of the same policy.
    pub fn of_mut(&mut self, heap: HeapId) -> &mut T {
        let other = heap.0.checked_sub(1).and_then(|i| self.others.get_mut(i));
        other.unwrap_or(&mut self.first)
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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::policy::Policy;

    const VIRT: &str = include_str!("../../../etc/virt/heaps.toml");

    #[test]
    fn too_large_and_wasteful_requests_get_nothing_that_is_held() {
        let reserve = Reserve { count: 1, size: Bytes(8192) };
        let fits = |size| reserve.fits(Bytes(size));
        assert_eq!([8193, 8192, 6144, 6143, 4096].map(fits), [false, true, true, false, false]);
    }

    /// And is charged with all of what it gets.
    #[test]
    fn what_is_held_ready_is_for_those_for_whom_memory_is_kept() {
        let with = VIRT.replacen("domains =", "reserve = [\"2 x 4 MiB\"]\ndomains =", 1);
        let (policy, findings) = Policy::parse("heaps.toml", &with).unwrap();
        assert_eq!(findings.to_string(), "");
        let of = |name| ClassSet::from_iter(policy.classes.named(name));
        let (_, camera) = policy.heaps.iter().find(|(_, spec)| spec.name == "camera").unwrap();
        assert!(camera.serves_reserve(of("cameraserver")) && !camera.serves_reserve(of("apps")));
        let mib = |n: u64| Bytes(n << 20);
        assert_eq!(camera.largest_for(mib(3), of("cameraserver")), mib(4));
        assert_eq!(camera.largest_for(mib(3), of("apps")), mib(3));
        assert_eq!(camera.largest_for(mib(2), of("cameraserver")), mib(2));
        let (_, system) = policy.heaps.iter().find(|(_, spec)| spec.name == "system").unwrap();
        assert!(system.serves_reserve(of("apps")));
    }
}
