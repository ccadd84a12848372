// SPDX-License-Identifier: Apache-2.0
//! Requests become buffers.
//!
//! A buffer is two dma-bufs, pixels and metadata, and a handle. All buffers
//! of a call are made, or none is kept: what was already allocated is dropped
//! with the error.

use std::ffi::CString;
use std::hash::{BuildHasher, RandomState};
use std::os::fd::{AsFd, OwnedFd};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Instant;

use dmaheap_aidl::binder::Caller;
use dmaheap_buffer::{Bytes, Format, Handle, Layout, Origin};
use dmaheap_dmabuf::buffer as dmabuf;
use dmaheap_dmabuf::kernel::LiveList;
use dmaheap_dmabuf::sys::NAME_LEN;
use nix::errno::Errno;

use crate::accounts::{Accounts, Ticket};
use crate::error::{Error, Result};
use crate::heap::{Heap, Memory};
use crate::metadata::Metadata;
use crate::policy::{Fallback, HeapId, PerHeap, Plan, Policy, Rule, RuleId};
use crate::refill::Refill;
use crate::request::Request;

/// The most buffers of one call. While a reply is on its way binder holds
/// every descriptor twice: two per buffer, four threads at work, and the
/// service stays near a thousand. BufferQueue, the hungriest client, has 64
/// slots.
pub const MAX_COUNT: u32 = 64;

/// Turns requests into buffers, as the policy says.
#[derive(Debug)]
pub struct Allocator {
    policy: Policy,
    memory: Arc<Supply>,
    refill: Arc<Refill>,
    /// Requests that fell under each rule.
    hits: Vec<AtomicU64>,
    accounts: Accounts,
    ids: Ids,
}

/// Where memory comes from.
#[derive(Debug)]
struct Supply {
    heaps: PerHeap<Heap>,
    /// The heap of all metadata.
    metadata_heap: HeapId,
    metadata: Metadata,
    /// Held while it is being filled.
    filling: Mutex<()>,
}

/// One buffer, not yet handed out.
#[derive(Debug)]
pub struct Buffer {
    /// The pixels.
    pub pixels: OwnedFd,
    /// Header and reserved region.
    pub metadata: OwnedFd,
    /// Everything about it that never changes.
    pub handle: Handle,
    /// The heap it came from in the end.
    heap: HeapId,
}

impl Allocator {
    /// An allocator that follows this policy. No heap is opened yet.
    pub fn new(policy: Policy) -> Allocator {
        let refill = Arc::<Refill>::default();
        let memory = Supply {
            heaps: policy.heaps.map(|_, spec| Heap::new(spec, &refill)),
            metadata_heap: policy.metadata_heap,
            metadata: Metadata::new(&refill),
            filling: Mutex::default(),
        };
        Allocator {
            hits: policy.rules.iter().map(|_| AtomicU64::new(0)).collect(),
            policy,
            memory: Arc::new(memory),
            refill,
            accounts: Accounts::new(LiveList::open()),
            ids: Ids::default(),
        }
    }

    /// The policy it follows.
    pub fn policy(&self) -> &Policy {
        &self.policy
    }

    /// The heaps of the policy, as they are on this board.
    pub fn heaps(&self) -> &PerHeap<Heap> {
        &self.memory.heaps
    }

    /// How many requests fell under a rule.
    pub fn hits(&self, rule: RuleId) -> u64 {
        self.hits.get(rule.0).map_or(0, |hits| hits.load(Ordering::Relaxed))
    }

    /// Who holds what.
    pub fn accounts(&self) -> &Accounts {
        &self.accounts
    }

    /// Whether nothing is being made ready: what there is now stays until the
    /// next request.
    pub fn is_at_rest(&self) -> bool {
        let stocks = || self.heaps().iter().flat_map(|(_, heap)| heap.reserve());
        self.memory.metadata.is_at_rest()
            && stocks().all(|shelf| shelf.stock.is_at_rest())
            && self.memory.filling.try_lock().is_ok()
    }

    /// Opens every heap, logs those that are missing, and starts to make ready
    /// what will be asked for.
    pub fn start(&self) {
        for error in self.heaps().iter().filter_map(|(_, heap)| heap.device().err()) {
            log::warn!("{error}; it is tried again whenever it is needed");
        }
        let memory = self.memory.clone();
        self.refill.start(move || memory.fill(Instant::now()));
    }

    /// Allocates all of `count` buffers for a caller, or none.
    ///
    /// # Errors
    /// Those of [`Policy::plan`], a `count` out of range, or a lack of resources.
    pub fn allocate(&self, caller: &Caller, request: &Request, count: i32) -> Result<Vec<Buffer>> {
        let plan = self.policy.plan(request)?;
        let wanted = wanted(count)?;
        if let Some(hits) = self.hits.get(plan.rule.id.0) {
            hits.fetch_add(1, Ordering::Relaxed);
        }
        let size = plan.layout.size().checked_mul(wanted.into());
        let size = size.ok_or(dmaheap_buffer::Error::Overflow)?;
        let heap = self.policy.heaps.of(plan.rule.heap);
        let ticket = self.accounts.admit(caller, heap, size)?;
        let buffers = (0..wanted)
            .map(|_| self.allocate_one(request, &plan, &ticket))
            .collect::<Result<Vec<Buffer>>>()?;
        ticket.settle(buffers.iter().map(|buffer| self.charge(buffer)));
        Ok(buffers)
    }

    fn allocate_one(
        &self,
        request: &Request,
        plan: &Plan<'_>,
        ticket: &Ticket<'_>,
    ) -> Result<Buffer> {
        let handle = Handle {
            id: self.ids.next(),
            usage: request.usage,
            any_format: request.format == Format::IMPLEMENTATION_DEFINED,
            layout: plan.layout.clone(),
            reserved: request.reserved,
        };
        let (heap, (pixels, device)) = self.take_pixels(plan, ticket)?;
        name_buffer(&pixels, request, &plan.layout)?;
        let origin = Origin {
            rule: plan.rule.name.clone(),
            heap: self.policy.heaps.of(heap).name.clone(),
            node: device.name().to_owned(),
            name: request.name.clone(),
        };
        let memory = &self.memory;
        let metadata =
            memory.metadata.make(memory.heaps.of(memory.metadata_heap), &handle, origin)?;
        Ok(Buffer { pixels, metadata, handle, heap })
    }

    /// What the holder's account is charged with for a buffer.
    fn charge<'b>(&'b self, buffer: &'b Buffer) -> (&'b str, Bytes, &'b OwnedFd) {
        let heap = self.policy.heaps.of(buffer.heap);
        (&heap.name, buffer.handle.layout.size(), &buffer.pixels)
    }

    /// Allocates from the rule's heap, or does what the rule says if that
    /// fails: the other heap's limits hold as its own would.
    fn take_pixels(&self, plan: &Plan<'_>, ticket: &Ticket<'_>) -> Result<(HeapId, Memory)> {
        let (rule, size) = (plan.rule, plan.layout.size());
        let error = match self.heaps().of(rule.heap).serve(size) {
            Ok(memory) => return Ok((rule.heap, memory)),
            Err(error) => error,
        };
        match fallback(rule, &error) {
            Fallback::Refuse => Err(error),
            Fallback::Degrade(id) => {
                let heap = self.heaps().of(id);
                ticket.admit(heap.spec(), size)?;
                log::warn!("{error}; rule {} degrades to heap {}", rule.name, heap.spec().name);
                Ok((id, heap.serve(size)?))
            }
        }
    }
}

impl Supply {
    /// Makes ready what is wanted. When to try again, if some is still wanted.
    fn fill(&self, now: Instant) -> Option<Instant> {
        let _filling = self.filling.lock().unwrap_or_else(PoisonError::into_inner);
        // Each gets its turn, whatever became of the others.
        let heaps = self.heaps.iter().filter_map(|(_, heap)| heap.fill(now)).min();
        let metadata = self.metadata.fill(self.heaps.of(self.metadata_heap), now);
        heaps.into_iter().chain(metadata).min()
    }
}

fn wanted(count: i32) -> Result<u32> {
    match u32::try_from(count) {
        Err(_) | Ok(0) => Err(Error::BadCount(count)),
        Ok(wanted) if wanted > MAX_COUNT => Err(Error::TooMany { count, limit: MAX_COUNT }),
        Ok(wanted) => Ok(wanted),
    }
}

fn fallback(rule: &Rule, error: &Error) -> Fallback {
    match error {
        Error::HeapMissing { .. } => rule.missing,
        Error::HeapExhausted { .. } => rule.exhausted,
        _ => Fallback::Refuse,
    }
}

/// Names a buffer so that a leak can be traced: who asked, and what for.
fn name_buffer(buffer: &OwnedFd, request: &Request, layout: &Layout) -> Result<()> {
    let (extent, format) = (layout.extent(), layout.format());
    let what = format!(" {}x{} {format}", extent.width().0, extent.height().0);
    let room = NAME_LEN.saturating_sub(1).saturating_sub(what.len());
    let mut name = request.name.clone();
    name.truncate(name.floor_char_boundary(room));
    name.push_str(&what);
    name.truncate(name.floor_char_boundary(NAME_LEN.saturating_sub(1)));
    let what = "naming a buffer";
    let name = CString::new(name).map_err(|_| Error::System { what, cause: Errno::EINVAL })?;
    dmabuf::set_name(buffer.as_fd(), &name).map_err(|cause| Error::System { what, cause })
}

/// Buffer ids that nobody can guess and that never repeat in practice: a
/// counter, hashed with a key that is random per process.
#[derive(Debug, Default)]
struct Ids {
    key: RandomState,
    next: AtomicU64,
}

impl Ids {
    fn next(&self) -> u64 {
        self.key.hash_one(self.next.fetch_add(1, Ordering::Relaxed))
    }
}
