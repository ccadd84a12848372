// SPDX-License-Identifier: Apache-2.0
//! Metadata buffers, made ahead.
//!
//! To allocate, map, write and unmap the second buffer takes longer than all
//! else that the allocator adds to the heap's own work. So blank ones are kept
//! ready, named and mapped; a request writes its header into one, and the
//! mapping is left for the refilling thread to remove.

use std::os::fd::OwnedFd;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use dmaheap_buffer::header::HEADER_SIZE;
use dmaheap_buffer::{Bytes, Handle, Header, Origin};

use crate::error::{Error, Result};
use crate::heap::Heap;
use crate::refill;
use crate::sys::{self, Mapping};

/// How many are kept: more than a client asks for at once but for the rare
/// bulk request, and not many among the service's descriptors.
const WANTED: usize = 16;

/// A blank buffer has the header and no region of the client's.
const SIZE: Bytes = Bytes(HEADER_SIZE as u64);

/// Makes the metadata of new buffers.
#[derive(Debug)]
pub struct Metadata {
    heap: Arc<Heap>,
    ready: Mutex<Vec<Blank>>,
    spent: Mutex<Vec<Mapping>>,
}

#[derive(Debug)]
struct Blank {
    buffer: OwnedFd,
    map: Mapping,
}

impl Metadata {
    /// Takes memory from `heap`, none of it yet.
    pub fn new(heap: Arc<Heap>) -> Metadata {
        Metadata { heap, ready: Mutex::default(), spent: Mutex::default() }
    }

    /// The metadata of a new buffer.
    ///
    /// # Errors
    /// Those of [`Heap::allocate`], or [`Error::System`] if it cannot be written.
    pub fn make(&self, handle: &Handle, origin: Origin) -> Result<OwnedFd> {
        let header = Header { id: handle.id, origin };
        let size = handle.metadata_size();
        let ready = if size == SIZE { lock(&self.ready).pop() } else { None };
        let Blank { buffer, mut map } = ready.map_or_else(|| self.blank(size), Ok)?;
        map.write(&buffer, &header.encode())
            .map_err(|cause| Error::System { what: "writing a buffer's metadata", cause })?;
        let mut spent = lock(&self.spent);
        if spent.len() > WANTED {
            // The thread is late, or there is none.
            spent.clear();
        }
        spent.push(map);
        drop(spent);
        refill::taken();
        Ok(buffer)
    }

    /// Makes as many ready as are wanted, and unmaps what was given away.
    ///
    /// # Errors
    /// Those of [`Heap::allocate`], or [`Error::System`].
    pub fn fill(&self) -> Result<()> {
        let spent = std::mem::take(&mut *lock(&self.spent));
        drop(spent);
        while lock(&self.ready).len() < WANTED {
            let blank = self.blank(SIZE)?;
            lock(&self.ready).push(blank);
        }
        Ok(())
    }

    fn blank(&self, size: Bytes) -> Result<Blank> {
        let (buffer, _) = self.heap.allocate(size)?;
        let system = |what| move |cause| Error::System { what, cause };
        sys::set_name(&buffer, c"dmaheap metadata").map_err(system("naming a buffer"))?;
        let mut map = Mapping::new(&buffer, HEADER_SIZE).map_err(system("mapping a buffer"))?;
        // The first write to a page faults; not when somebody waits for it.
        map.write(&buffer, &[0]).map_err(system("writing a buffer's metadata"))?;
        Ok(Blank { buffer, map })
    }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
