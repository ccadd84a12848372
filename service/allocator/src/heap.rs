// SPDX-License-Identifier: Apache-2.0
//! One kind of memory: a heap of the policy, and the device node it turned out
//! to be on this board.
//!
//! A heap is opened when it is first needed and stays open. While no node can
//! be opened every request tries again, so a heap that appears late, or whose
//! permissions are repaired, comes into use without a restart. A node that
//! turns out to be no heap after all is closed, and looked for again.

use std::os::fd::OwnedFd;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, RwLock};
use std::time::Instant;

use dmaheap_buffer::Bytes;
use dmaheap_dmabuf::Node;
use dmaheap_dmabuf::node::FOLDER;
use nix::errno::Errno;

use crate::error::{Error, Result};
use crate::headroom::Headroom;
use crate::policy::{Reserve, Spec, Who};
use crate::refill::Refill;
use crate::shortage::Shortage;
use crate::stock::Stock;

/// A heap, open or not.
#[derive(Debug)]
pub struct Heap {
    spec: Spec,
    device: RwLock<Option<Arc<Node>>>,
    reserve: Vec<Shelf>,
    counters: Mutex<Counters>,
}

/// Buffers of one size that are held ready.
#[derive(Debug)]
pub struct Shelf {
    /// How many there should be, and the size of each.
    pub reserve: Reserve,
    /// Those there are.
    pub stock: Stock<OwnedFd>,
}

/// What a heap has done since the service started, for those who ask for its
/// memory; metadata and what is held ready do not count.
#[derive(Debug, Clone, Default)]
pub struct Counters {
    /// Buffers it gave.
    pub served: u64,
    /// Requests it could not serve.
    pub failed: u64,
    /// Why, the last time.
    pub last_failure: Option<String>,
    /// Who held its memory then, which is not for everybody.
    pub last_holders: Option<String>,
}

/// A dma-buf.
#[derive(Debug)]
pub struct Memory {
    /// Itself.
    pub buffer: OwnedFd,
    /// What the kernel was asked for: more than a request wants, if it was held
    /// ready.
    pub size: Bytes,
    /// The node that it is from.
    pub device: Arc<Node>,
}

impl Heap {
    /// A heap that has not been opened yet, with nothing held ready.
    pub fn new(spec: &Spec, refill: &Arc<Refill>) -> Heap {
        Heap {
            spec: spec.clone(),
            device: RwLock::new(None),
            reserve: (spec.reserve.iter())
                .map(|part| Shelf { reserve: *part, stock: Stock::new(part.count, refill) })
                .collect(),
            counters: Mutex::default(),
        }
    }

    /// What the policy file says about it.
    pub fn spec(&self) -> &Spec {
        &self.spec
    }

    /// Its memory that is held ready.
    pub fn reserve(&self) -> &[Shelf] {
        &self.reserve
    }

    /// What it has done so far.
    pub fn counters(&self) -> Counters {
        self.lock_counters().clone()
    }

    /// Its device, opened now if it was not yet.
    ///
    /// # Errors
    /// [`Error::HeapMissing`] if no node can be opened, with the reason for each.
    pub fn device(&self) -> Result<Arc<Node>> {
        let open = self.device.read().unwrap_or_else(PoisonError::into_inner).clone();
        if let Some(device) = open {
            return Ok(device);
        }
        let mut slot = self.device.write().unwrap_or_else(PoisonError::into_inner);
        if let Some(device) = &*slot {
            return Ok(device.clone());
        }
        let device = Arc::new(self.open()?);
        log::info!("heap {} is {}/{}", self.spec.name, FOLDER, device.name());
        Ok(slot.insert(device).clone())
    }

    fn open(&self) -> Result<Node> {
        let mut refusals = Vec::new();
        for node in &self.spec.nodes {
            match Node::open(node) {
                Ok(node) => return Ok(node),
                Err(refusal) => refusals.push(refusal),
            }
        }
        Err(Error::HeapMissing { heap: self.spec.name.clone(), refusals })
    }

    /// One zeroed buffer of at least `size` for a client that was let in, from
    /// what is held ready if that fits and is for it.
    ///
    /// # Errors
    /// Those of [`Heap::make`].
    pub fn serve(&self, size: Bytes, who: Who<'_>) -> Result<Memory> {
        let result = self.serve_uncounted(size, who);
        let mut counters = self.lock_counters();
        match &result {
            Ok(_) => counters.served = counters.served.saturating_add(1),
            Err(error) => {
                counters.failed = counters.failed.saturating_add(1);
                counters.last_failure = Some(error.to_string());
                counters.last_holders = None;
            }
        }
        result
    }

    /// Notes who held its memory when it last failed.
    pub fn note_holders(&self, holders: Option<String>) {
        self.lock_counters().last_holders = holders;
    }

    fn serve_uncounted(&self, size: Bytes, who: Who<'_>) -> Result<Memory> {
        let fitting = self.reserve.iter().filter(|shelf| shelf.reserve.fits(size));
        let mut ready = fitting.clone().filter(|_| self.spec.serves_reserve(who.classes));
        if let Some((buffer, size)) = ready.find_map(Shelf::take) {
            return Ok(Memory { buffer, size, device: self.device()? });
        }
        let made = self.make(size)?;
        fitting.for_each(|shelf| shelf.stock.hurry());
        Ok(made)
    }

    /// One zeroed buffer of at least `size`, fresh from the kernel, for a request
    /// that was let in.
    ///
    /// # Errors
    /// [`Error::HeapMissing`], [`Error::HeapExhausted`], or [`Error::System`]
    /// if this process ran out of file descriptors.
    pub fn make(&self, size: Bytes) -> Result<Memory> {
        let device = self.device()?;
        match device.allocate(size) {
            Ok(buffer) => Ok(Memory { buffer, size, device }),
            Err(cause) => Err(self.failure(&device, size, cause)),
        }
    }

    /// The same, if the system can spare it: for no request.
    ///
    /// # Errors
    /// And [`Error::NoMemory`] if it cannot.
    pub fn make_spared(&self, size: Bytes, headroom: &Headroom) -> Result<Memory> {
        let _flight = if self.spec.contiguous { None } else { Some(headroom.admit(size)?) };
        self.make(size)
    }

    /// Makes ready what is wanted. When to try again, if some is still wanted.
    pub fn fill(&self, now: Instant, headroom: &Headroom) -> Option<Instant> {
        let again = self.reserve.iter().filter_map(|shelf| {
            let make = || Ok(self.make_spared(shelf.reserve.size, headroom)?.buffer);
            shelf.stock.fill(now, make)
        });
        again.min()
    }

    fn failure(&self, device: &Arc<Node>, size: Bytes, cause: Errno) -> Error {
        match cause {
            Errno::ENOTTY => {
                self.forget(device);
                let refusals = vec![device.disown()];
                Error::HeapMissing { heap: self.spec.name.clone(), refusals }
            }
            Errno::EMFILE | Errno::ENFILE => {
                Error::System { what: "opening a file descriptor for a buffer", cause }
            }
            cause => Error::HeapExhausted {
                heap: self.spec.name.clone(),
                node: device.name().to_owned(),
                size,
                cause,
                shortage: (self.spec.contiguous)
                    .then(|| Shortage::of(device.name(), size))
                    .flatten(),
            },
        }
    }

    /// Closes a device that is none of a heap's; the next request looks again.
    fn forget(&self, device: &Arc<Node>) {
        let mut slot = self.device.write().unwrap_or_else(PoisonError::into_inner);
        if slot.as_ref().is_some_and(|current| Arc::ptr_eq(current, device)) {
            *slot = None;
        }
    }

    fn lock_counters(&self) -> MutexGuard<'_, Counters> {
        self.counters.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Shelf {
    fn take(&self) -> Option<(OwnedFd, Bytes)> {
        Some((self.stock.take(0)?, self.reserve.size))
    }
}
