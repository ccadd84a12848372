// SPDX-License-Identifier: Apache-2.0
//! Metadata buffers, made ahead.
//!
//! To allocate, map, write and unmap the second buffer takes longer than all
//! else that the allocator adds to the heap's own work. So blank ones, with
//! short headers and with long ones, are kept ready, named and mapped; a request
//! writes its header into one, and the mapping is left for the refilling thread
//! to remove.

use std::os::fd::{AsFd, OwnedFd};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Instant;

use dmaheap_buffer::header::{HEADER_SIZE, LONG_HEADER_SIZE};
use dmaheap_buffer::settable::Shared;
use dmaheap_buffer::{Bytes, Handle, Header, Origin, Type};
use dmaheap_dmabuf::{Mapping, buffer as dmabuf};

use crate::error::{Error, Result};
use crate::headroom::Headroom;
use crate::heap::{Heap, Memory};
use crate::refill::Refill;
use crate::stock::Stock;

/// How many of each are kept: more than a client asks for at once but for the rare
/// bulk request, and not many among the service's descriptors.
const WANTED: usize = 16;

/// So many of them are not for apps, which could take all for themselves.
const NOT_FOR_APPS: usize = WANTED / 4;

/// A blank buffer has the header and no region of the client's.
const SIZES: [Bytes; 2] = [Bytes(HEADER_SIZE as u64), Bytes(LONG_HEADER_SIZE as u64)];

/// Makes the metadata of new buffers.
#[derive(Debug)]
pub struct Metadata {
    /// Of each size.
    blanks: [(Bytes, Stock<Blank>); SIZES.len()],
    spent: Mutex<Vec<Mapping>>,
    refill: Arc<Refill>,
}

#[derive(Debug)]
struct Blank {
    buffer: OwnedFd,
    map: Mapping,
}

impl Metadata {
    /// Nothing is made yet.
    pub fn new(refill: &Arc<Refill>) -> Metadata {
        let blanks = SIZES.map(|size| (size, Stock::new(WANTED, refill)));
        Metadata { blanks, spent: Mutex::default(), refill: refill.clone() }
    }

    /// The metadata of a new buffer, for an app or for somebody else, with the
    /// dataspace that was asked for; `heap` is that of all metadata.
    ///
    /// # Errors
    /// Those of [`Heap::make`], or [`Error::System`] if it cannot be written.
    pub fn make(
        &self,
        heap: &Heap,
        handle: &Handle,
        origin: Origin,
        dataspace: Option<i32>,
        is_app: bool,
    ) -> Result<OwnedFd> {
        let header = Header { id: handle.id, origin };
        let size = handle.metadata_size();
        let leave = if is_app { NOT_FOR_APPS } else { 0 };
        let stock = self.blanks.iter().find_map(|(of, stock)| (*of == size).then_some(stock));
        let ready = stock.and_then(|stock| stock.take(leave));
        let hurry = || self.blanks.iter().for_each(|(_, stock)| stock.hurry());
        // What the client reserves is not the service's to map.
        let header_size = Bytes(handle.header_size() as u64);
        let fresh = || blank(heap.make(size)?, header_size).inspect(|_| hurry());
        let Blank { buffer, mut map } = ready.map_or_else(fresh, Ok)?;
        write(&mut map, &header.encode())?;
        if let Some(dataspace) = dataspace {
            let shared = Shared::new(map.words(handle.header_size()))?;
            shared.write(Type::Dataspace, Some(&dataspace.to_le_bytes()))?;
        }
        let mut spent = self.lock_spent();
        if spent.len() > WANTED {
            // The thread is late, or there is none.
            spent.clear();
        }
        spent.push(map);
        drop(spent);
        self.refill.wake();
        Ok(buffer)
    }

    /// Makes as many ready as are wanted, and unmaps what was given away. When
    /// to try again, if some are still wanted.
    pub fn fill(&self, heap: &Heap, now: Instant, headroom: &Headroom) -> Option<Instant> {
        let spent = std::mem::take(&mut *self.lock_spent());
        drop(spent);
        let fill = |(size, stock): &(Bytes, Stock<Blank>)| {
            stock.fill(now, || blank(heap.make_spared(*size, headroom)?, *size))
        };
        self.blanks.iter().filter_map(fill).min()
    }

    /// Whether the thread has nothing to do for it.
    pub fn is_at_rest(&self) -> bool {
        self.blanks.iter().all(|(_, stock)| stock.is_at_rest()) && self.lock_spent().is_empty()
    }

    fn lock_spent(&self) -> MutexGuard<'_, Vec<Mapping>> {
        self.spent.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn blank(Memory { buffer, .. }: Memory, header_size: Bytes) -> Result<Blank> {
    let system = |what| move |cause| Error::System { what, cause };
    dmabuf::set_name(buffer.as_fd(), c"dmaheap metadata").map_err(system("naming a buffer"))?;
    let mut map = Mapping::new(buffer.as_fd(), header_size).map_err(system("mapping a buffer"))?;
    // The first write to a page faults; not when somebody waits for it.
    write(&mut map, &[0])?;
    Ok(Blank { buffer, map })
}

/// Writes to the start of a buffer that nobody else has yet. Without SYNC, which is for devices: none
/// ever reads metadata.
fn write(map: &mut Mapping, data: &[u8]) -> Result<()> {
    let what = "writing a buffer's metadata";
    map.write(data).map_err(|cause| Error::System { what, cause })
}
