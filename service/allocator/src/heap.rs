// SPDX-License-Identifier: Apache-2.0
//! One kind of memory: a logical heap, and the device node it turned out to
//! be on this board.
//!
//! A heap is opened when it is first needed and stays open. While no node can
//! be opened every request tries again, so a heap that appears late, or whose
//! permissions are repaired, comes into use without a restart.

use std::fs::File;
use std::os::fd::{AsFd, OwnedFd};
use std::path::Path;
use std::sync::{Arc, PoisonError, RwLock};

use dmaheap_buffer::Bytes;
use nix::errno::Errno;

use crate::error::{Error, Result};
use crate::sys;

/// Where the kernel puts its DMA-BUF heaps.
pub const FOLDER: &str = "/dev/dma_heap";

/// What the policy file says about a heap.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Spec {
    /// The name that rules use.
    pub name: String,
    /// Device nodes under [`FOLDER`] to try in order: kernels and boards call
    /// the same memory by different names.
    pub nodes: Vec<String>,
    /// Whether every buffer is one physical segment.
    pub contiguous: bool,
    /// Whether the CPU's view of it is cached.
    pub cached: bool,
    /// Whether it is out of the CPU's reach.
    pub protected: bool,
}

/// A heap of the policy file, open or not.
#[derive(Debug)]
pub struct Heap {
    spec: Spec,
    device: RwLock<Option<Arc<Device>>>,
}

/// An open heap.
#[derive(Debug)]
pub struct Device {
    file: File,
    node: String,
}

impl Heap {
    /// A heap that has not been opened yet.
    pub fn new(spec: Spec) -> Heap {
        Heap { spec, device: RwLock::new(None) }
    }

    /// What the policy file says about it.
    pub fn spec(&self) -> &Spec {
        &self.spec
    }

    /// Its device, opened now if it was not yet.
    ///
    /// # Errors
    /// [`Error::HeapMissing`] if no node can be opened, with the reason for each.
    pub fn device(&self) -> Result<Arc<Device>> {
        let open = self.device.read().unwrap_or_else(PoisonError::into_inner).clone();
        if let Some(device) = open {
            return Ok(device);
        }
        let mut slot = self.device.write().unwrap_or_else(PoisonError::into_inner);
        match &*slot {
            Some(device) => Ok(device.clone()),
            None => Ok(slot.insert(Arc::new(self.open()?)).clone()),
        }
    }

    fn open(&self) -> Result<Device> {
        let mut tried = Vec::new();
        for node in &self.spec.nodes {
            let path = Path::new(FOLDER).join(node);
            // Reading is enough to allocate, and all that a policy grants.
            match File::open(&path) {
                Ok(file) => return Ok(Device { file, node: node.clone() }),
                Err(cause) => tried.push(format!("{}: {cause}", path.display())),
            }
        }
        Err(Error::HeapMissing { heap: self.spec.name.clone(), tried: tried.join("; ") })
    }

    /// Takes one zeroed buffer from the heap; the name of its node comes along.
    ///
    /// # Errors
    /// [`Error::HeapMissing`], [`Error::HeapExhausted`], or [`Error::System`]
    /// if this process ran out of file descriptors.
    pub fn allocate(&self, size: Bytes) -> Result<(OwnedFd, Arc<Device>)> {
        let device = self.device()?;
        match sys::allocate(device.file.as_fd(), size) {
            Ok(buffer) => Ok((buffer, device)),
            Err(cause @ (Errno::EMFILE | Errno::ENFILE)) => {
                Err(Error::System { what: "opening a file descriptor for a buffer", cause })
            }
            Err(cause) => Err(Error::HeapExhausted {
                heap: self.spec.name.clone(),
                node: device.node.clone(),
                size,
                cause,
            }),
        }
    }
}

impl Device {
    /// The node's name under [`FOLDER`].
    pub fn node(&self) -> &str {
        &self.node
    }
}
