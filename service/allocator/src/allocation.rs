// SPDX-License-Identifier: Apache-2.0
//! Requests become buffers.
//!
//! A buffer is two dma-bufs, pixels and metadata, and a handle. All buffers
//! of a call are made, or none is kept: what was already allocated is dropped
//! with the error.
//!
//! A request passes three gates before anything is taken for it, in this order:
//! whether a thread may work for this caller ([`gate`](crate::gate)), whether the
//! caller and everybody it is counted with may have so much
//! ([`accounts`](crate::accounts)), and whether the system can spare it
//! ([`headroom`](crate::headroom)). Each counts the whole of it: all buffers, and
//! their metadata with the clients' reserved regions.

use std::hash::{BuildHasher, RandomState};
use std::os::fd::{AsFd, OwnedFd};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use dmaheap_aidl::binder;
use dmaheap_buffer::{Bytes, Format, Handle, Origin};
use dmaheap_dmabuf::buffer as dmabuf;
use nix::time::{ClockId, clock_gettime};

use crate::accounts::{Accounts, Asked, Item, Kind, Ticket};
use crate::error::{Error, Result};
use crate::gate::Gate;
use crate::headroom::{Flight, Headroom};
use crate::heap::{Heap, Memory};
use crate::metadata::Metadata;
use crate::name::kernel_name;
use crate::policy::{Fallback, HeapId, Machine, PerHeap, Plan, Policy, Rule, RuleId, Who};
use crate::refill::Refill;
use crate::request::Request;

/// The most buffers of one call. While a reply is on its way binder holds
/// every descriptor twice: 256 for a call, and 4096 while each thread of the
/// pool has such a one. BufferQueue, the hungriest client, has 64 slots.
pub const MAX_COUNT: u32 = 64;

/// Turns requests into buffers, as the policy says.
#[derive(Debug)]
pub struct Allocator {
    policy: Arc<Policy>,
    memory: Arc<Supply>,
    refill: Arc<Refill>,
    /// Requests that fell under each rule.
    hits: Vec<AtomicU64>,
    accounts: Arc<Accounts>,
    gate: Gate,
    ids: Ids,
}

/// Where memory comes from.
#[derive(Debug)]
struct Supply {
    heaps: PerHeap<Heap>,
    /// The heap of all metadata.
    metadata_heap: HeapId,
    metadata: Metadata,
    headroom: Headroom,
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
    /// The heap it came from in the end, and its size there.
    heap: HeapId,
    size: Bytes,
}

/// What a request was let in with.
struct Admission<'a> {
    who: Who<'a>,
    /// The heap that its pixels come from.
    heap: HeapId,
    ticket: Ticket<'a>,
    flights: Vec<Flight<'a>>,
}

impl Allocator {
    /// An allocator that follows this policy on this machine. No heap is opened
    /// yet.
    pub fn new(policy: Policy) -> Allocator {
        let policy = Arc::new(policy.on(Machine::this()));
        let refill = Arc::<Refill>::default();
        let memory = Supply {
            heaps: policy.heaps.map(|_, spec| Heap::new(spec, &refill)),
            metadata_heap: policy.metadata_heap,
            metadata: Metadata::new(&refill),
            headroom: Headroom::of_this_machine(),
            filling: Mutex::default(),
        };
        Allocator {
            hits: policy.rules.iter().map(|_| AtomicU64::new(0)).collect(),
            memory: Arc::new(memory),
            refill,
            accounts: Arc::new(Accounts::new(&policy)),
            gate: Gate::new(binder::THREADS, &policy),
            policy,
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

    /// Why it is not known what memory the system can spare, if it is not.
    pub fn is_blind(&self) -> Option<String> {
        self.memory.headroom.look_again()
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
        let (memory, accounts) = (self.memory.clone(), self.accounts.clone());
        self.refill.start(move || {
            accounts.tidy();
            memory.fill(Instant::now())
        });
    }

    /// Allocates all of `count` buffers for a caller, or none.
    ///
    /// # Errors
    /// Those of [`Policy::plan`], a `count` out of range, or a lack of resources.
    pub fn allocate(&self, who: Who<'_>, request: &Request, count: i32) -> Result<Vec<Buffer>> {
        let plan = self.policy.plan(request, who)?;
        let wanted = wanted(count)?;
        let _turn = self.gate.enter(who)?;
        if let Some(hits) = self.hits.get(plan.rule.id.0) {
            hits.fetch_add(1, Ordering::Relaxed);
        }
        let mut admission = self.admit(&plan, who, wanted)?;
        let buffers = (0..wanted)
            .map(|_| self.allocate_one(request, &plan, &mut admission))
            .collect::<Result<Vec<Buffer>>>()?;
        let asked = Arc::new(asked(request, plan.rule));
        let items = buffers.iter().flat_map(|buffer| self.items(buffer, &plan, &asked));
        admission.ticket.settle(items)?;
        Ok(buffers)
    }

    /// Lets a request in as a whole. What the system cannot spare may come from
    /// the heap that the rule degrades to.
    fn admit<'a>(&'a self, plan: &Plan<'_>, who: Who<'a>, count: u32) -> Result<Admission<'a>> {
        let error = match self.admit_from(plan.heap, plan, who, count) {
            Ok(admission) => return Ok(admission),
            Err(error) => error,
        };
        match fallback(plan.rule, &error) {
            Fallback::Degrade(heap) if heap != plan.heap => {
                self.degrade(plan.rule, heap, &error);
                self.admit_from(heap, plan, who, count)
            }
            _ => Err(error),
        }
    }

    fn admit_from<'a>(
        &'a self,
        heap: HeapId,
        plan: &Plan<'_>,
        who: Who<'a>,
        count: u32,
    ) -> Result<Admission<'a>> {
        let need = self.policy.need(plan, heap, who, count)?;
        let ticket = self.accounts.admit(who, &need, self.blind())?;
        let flights = vec![self.memory.headroom.admit(self.policy.scattered(&need))?];
        Ok(Admission { who, heap, ticket, flights })
    }

    /// What all scattered memory together is limited to, while it is.
    fn blind(&self) -> Option<Bytes> {
        self.memory.headroom.is_blind().map(|_| self.policy.blind())
    }

    fn degrade(&self, rule: &Rule, heap: HeapId, error: &Error) {
        let heap = &self.policy.heaps.of(heap).name;
        log::warn!("{}; rule {} degrades to heap {heap}", error.in_full(), rule.name);
    }

    fn allocate_one<'a>(
        &'a self,
        request: &Request,
        plan: &Plan<'_>,
        admission: &mut Admission<'a>,
    ) -> Result<Buffer> {
        let handle = Handle {
            id: self.ids.next(),
            usage: request.usage,
            any_format: request.format == Format::IMPLEMENTATION_DEFINED,
            layout: plan.layout.clone(),
            reserved: request.reserved,
        };
        let (heap, pixels) = self.take_pixels(plan, admission)?;
        let name = kernel_name(admission.who.caller.uid, &request.name, &plan.layout);
        dmabuf::set_name(pixels.buffer.as_fd(), &name)
            .map_err(|cause| Error::System { what: "naming a buffer", cause })?;
        let origin = Origin {
            rule: plan.rule.name.clone(),
            heap: self.policy.heaps.of(heap).name.clone(),
            node: pixels.device.name().to_owned(),
            name: request.name.clone(),
        };
        let (memory, is_app) = (&self.memory, self.gate.is_app(admission.who));
        let metadata_heap = memory.heaps.of(memory.metadata_heap);
        let (metadata, dataspace) = (&memory.metadata, request.dataspace);
        let metadata = metadata.make(metadata_heap, &handle, origin, dataspace, is_app)?;
        let size = self.policy.whole_pages(pixels.size).unwrap_or(pixels.size);
        Ok(Buffer { pixels: pixels.buffer, metadata, handle, heap, size })
    }

    /// What the holder's account is charged with for a buffer.
    fn items<'b>(
        &self,
        buffer: &'b Buffer,
        plan: &Plan<'_>,
        asked: &'b Arc<Asked>,
    ) -> [Item<'b>; 2] {
        let Buffer { heap, size, .. } = *buffer;
        let metadata = (self.policy.metadata_heap, plan.metadata);
        [
            Item { heap, kind: Kind::Pixels, size, buffer: &buffer.pixels, asked },
            Item {
                heap: metadata.0,
                kind: Kind::Metadata,
                size: metadata.1,
                buffer: &buffer.metadata,
                asked,
            },
        ]
    }

    /// Allocates from the heap that the request was let in for, or does what the
    /// rule says if that fails: the other heap's limits hold as its own would.
    fn take_pixels<'a>(
        &'a self,
        plan: &Plan<'_>,
        admission: &mut Admission<'a>,
    ) -> Result<(HeapId, Memory)> {
        let (size, who) = (plan.layout.size(), admission.who);
        let error = match self.serve(admission.heap, size, who) {
            Ok(memory) => return Ok((admission.heap, memory)),
            Err(error) => error,
        };
        match fallback(plan.rule, &error) {
            Fallback::Degrade(heap) if heap != admission.heap => {
                let need = vec![(heap, self.policy.pixels(plan, heap, who)?)];
                admission.ticket.admit(&need, self.blind())?;
                let flight = self.memory.headroom.admit(self.policy.scattered(&need))?;
                admission.flights.push(flight);
                self.degrade(plan.rule, heap, &error);
                Ok((heap, self.serve(heap, size, who)?))
            }
            _ => Err(error),
        }
    }

    /// A buffer of this heap. Where it has no room, the error knows who has it.
    fn serve(&self, id: HeapId, size: Bytes, who: Who<'_>) -> Result<Memory> {
        let heap = self.heaps().of(id);
        heap.serve(size, who).map_err(|mut error| {
            if let Error::HeapExhausted { shortage: Some(shortage), .. } = &mut error {
                shortage.note(self.accounts.holders(id));
                heap.note_holders(shortage.holders());
            }
            error
        })
    }
}

impl Supply {
    /// Makes ready what is wanted. When to try again, if some is still wanted.
    fn fill(&self, now: Instant) -> Option<Instant> {
        let _filling = self.filling.lock().unwrap_or_else(PoisonError::into_inner);
        // Each gets its turn, whatever became of the others.
        let headroom = &self.headroom;
        let heaps = self.heaps.iter().filter_map(|(_, heap)| heap.fill(now, headroom)).min();
        let metadata = self.metadata.fill(self.heaps.of(self.metadata_heap), now, headroom);
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
        Error::HeapExhausted { .. } | Error::NoMemory { .. } => rule.exhausted,
        _ => Fallback::Refuse,
    }
}

/// What is remembered of a request for as long as any of its buffers lives.
fn asked(request: &Request, rule: &Rule) -> Asked {
    Asked {
        name: request.name.as_str().into(),
        extent: request.extent,
        format: request.format,
        usage: request.usage,
        rule: rule.id,
        pid: binder::calling_pid(),
        at: clock_gettime(ClockId::CLOCK_BOOTTIME).map_or(Duration::ZERO, Duration::from),
    }
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
