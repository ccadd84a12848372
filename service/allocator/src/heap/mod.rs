// SPDX-License-Identifier: Apache-2.0
//! One kind of memory: a logical heap, and the device node it turned out to
//! be on this board.
//!
//! A heap is opened when it is first needed and stays open. While no node can
//! be opened every request tries again, so a heap that appears late, or whose
//! permissions are repaired, comes into use without a restart.

mod headroom;
mod reserve;

use std::os::fd::OwnedFd;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, RwLock};

use dmaheap_buffer::Bytes;
use dmaheap_dmabuf::Node;
use dmaheap_dmabuf::node::FOLDER;
use nix::errno::Errno;

use crate::error::{Error, Result};
use headroom::Headroom;
pub use reserve::Shelf;

/// What the policy file says about a heap.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Spec {
    /// The name that rules use.
    pub name: String,
    /// Device nodes under `/dev/dma_heap` to try in order: kernels and boards call
    /// the same memory by different names.
    pub nodes: Vec<String>,
    /// Whether every buffer is one physical segment.
    pub contiguous: bool,
    /// Whether the CPU's view of it is cached.
    pub cached: bool,
    /// Whether it is out of the CPU's reach.
    pub protected: bool,
    /// The most that one uid may hold.
    pub per_uid: Option<Bytes>,
    /// SELinux domains that may open its nodes beside the allocator's.
    pub domains: Vec<String>,
}

/// A heap of the policy file, open or not.
#[derive(Debug)]
pub struct Heap {
    spec: Spec,
    device: RwLock<Option<Arc<Node>>>,
    reserve: Vec<Shelf>,
    headroom: Headroom,
    counters: Mutex<Counters>,
}

/// What a heap has done since the service started.
#[derive(Debug, Clone, Default)]
pub struct Counters {
    /// Buffers it gave.
    pub served: u64,
    /// Requests it could not serve.
    pub failed: u64,
    /// Why, the last time.
    pub last_failure: Option<String>,
}

impl Heap {
    /// A heap that has not been opened yet, with nothing on its shelves.
    pub fn new(spec: Spec, reserve: Vec<Shelf>) -> Heap {
        Heap {
            spec,
            device: RwLock::new(None),
            reserve,
            headroom: Headroom::default(),
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

    /// One zeroed buffer of at least `size`, from the shelf if one fits.
    ///
    /// # Errors
    /// [`Error::HeapMissing`], [`Error::HeapExhausted`], or [`Error::System`]
    /// if this process ran out of file descriptors.
    pub fn allocate(&self, size: Bytes) -> Result<(OwnedFd, Arc<Node>)> {
        let result = self.device().and_then(|device| {
            let held = self.reserve.iter().find_map(|shelf| shelf.take(size));
            let buffer = held.map_or_else(|| self.allocate_fresh(&device, size), Ok)?;
            Ok((buffer, device))
        });
        let mut counters = self.lock_counters();
        match &result {
            Ok(_) => counters.served = counters.served.saturating_add(1),
            Err(error) => {
                counters.failed = counters.failed.saturating_add(1);
                counters.last_failure = Some(error.to_string());
            }
        }
        result
    }

    /// Fills its shelves.
    ///
    /// # Errors
    /// Those of [`Heap::allocate`], which is not counted as one of its failures.
    pub fn fill(&self) -> Result<()> {
        for shelf in &self.reserve {
            while shelf.lacks() {
                shelf.put(self.allocate_fresh(&self.device()?, shelf.size)?);
            }
        }
        Ok(())
    }

    fn allocate_fresh(&self, device: &Arc<Node>, size: Bytes) -> Result<OwnedFd> {
        let spared = self.spec.contiguous || self.headroom.allows(size);
        let buffer = if spared { device.allocate(size) } else { Err(Errno::ENOMEM) };
        buffer.map_err(|cause| match cause {
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
            },
        })
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
