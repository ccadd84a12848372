// SPDX-License-Identifier: Apache-2.0
//! Requests become buffers.
//!
//! A buffer is two dma-bufs, pixels and metadata, and a handle. All buffers
//! of a call are made, or none is kept: what was already allocated is dropped
//! with the error.

use std::ffi::CString;
use std::hash::{BuildHasher, RandomState};
use std::os::fd::OwnedFd;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use dmaheap_aidl::binder::Caller;
use dmaheap_buffer::{Bytes, Format, Handle, Layout, Origin};
use nix::errno::Errno;

use crate::accounts::{self, Accounts};
use crate::error::{Error, Result};
use crate::heap::{Device, Heap};
use crate::metadata::Metadata;
use crate::policy::{Fallback, Plan, Policy, Rule};
use crate::refill;
use crate::request::Request;
use crate::sys;

/// The most buffers of one call. While a reply is on its way binder holds
/// every descriptor twice: two per buffer, four threads at work, and the
/// service stays near a thousand. BufferQueue, the hungriest client, has 64
/// slots.
pub const MAX_COUNT: u32 = 64;

/// Turns requests into buffers, as the policy says.
#[derive(Debug)]
pub struct Allocator {
    policy: Policy,
    metadata: Arc<Metadata>,
    accounts: Accounts,
    ids: Ids,
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
    heap: Arc<Heap>,
}

impl Allocator {
    /// An allocator that follows this policy. No heap is opened yet.
    pub fn new(policy: Policy) -> Allocator {
        let accounts = Accounts::new(Path::new(accounts::LIVE));
        let metadata = Arc::new(Metadata::new(policy.metadata_heap.clone()));
        Allocator { policy, metadata, accounts, ids: Ids::default() }
    }

    /// The policy it follows.
    pub fn policy(&self) -> &Policy {
        &self.policy
    }

    /// Who holds what.
    pub fn accounts(&self) -> &Accounts {
        &self.accounts
    }

    /// Opens every heap, logs those that are missing, and starts to make ready
    /// what will be asked for.
    pub fn start(&self) {
        for error in self.policy.heaps.iter().filter_map(|heap| heap.device().err()) {
            log::warn!("{error}; it is tried again whenever it is needed");
        }
        let (heaps, metadata) = (self.policy.heaps.clone(), self.metadata.clone());
        refill::start(move || {
            // Each gets its turn, whatever became of the others.
            let unfilled = heaps.iter().filter(|heap| heap.fill().is_err()).count();
            metadata.fill().is_ok() && unfilled == 0
        });
    }

    /// Allocates all of `count` buffers for a caller, or none.
    ///
    /// # Errors
    /// Those of [`Policy::plan`], a `count` out of range, or a lack of resources.
    pub fn allocate(&self, caller: &Caller, request: &Request, count: i32) -> Result<Vec<Buffer>> {
        let plan = self.policy.plan(request)?;
        let wanted = wanted(count)?;
        plan.rule.count_hit();
        let size = plan.layout.size().checked_mul(wanted.into());
        let size = size.ok_or(dmaheap_buffer::Error::Overflow)?;
        let ticket = self.accounts.admit(caller, plan.rule.heap.spec(), size)?;

        let made: Result<Vec<Buffer>> =
            (0..wanted).map(|_| self.allocate_one(request, &plan)).collect();
        match &made {
            Ok(buffers) => {
                let taken = buffers.iter().map(Buffer::account);
                self.accounts.settle(caller, ticket, taken);
            }
            Err(_) => self.accounts.withdraw(caller, ticket),
        }
        made
    }

    fn allocate_one(&self, request: &Request, plan: &Plan<'_>) -> Result<Buffer> {
        let handle = Handle {
            id: self.ids.next(),
            usage: request.usage,
            any_format: request.format == Format::IMPLEMENTATION_DEFINED,
            layout: plan.layout.clone(),
            reserved: request.reserved,
        };
        let (heap, (pixels, device)) = take_pixels(plan)?;
        name_buffer(&pixels, request, &plan.layout)?;
        let origin = Origin {
            rule: plan.rule.name.clone(),
            heap: heap.spec().name.clone(),
            node: device.node().to_owned(),
            name: request.name.clone(),
        };
        let metadata = self.metadata.make(&handle, origin)?;
        Ok(Buffer { pixels, metadata, handle, heap: heap.clone() })
    }
}

impl Buffer {
    /// What its holder's account is charged with.
    fn account(&self) -> (&str, Bytes, &OwnedFd) {
        (&self.heap.spec().name, self.handle.layout.size(), &self.pixels)
    }
}

fn wanted(count: i32) -> Result<u32> {
    match u32::try_from(count) {
        Err(_) | Ok(0) => Err(Error::BadCount(count)),
        Ok(wanted) if wanted > MAX_COUNT => Err(Error::TooMany { count, limit: MAX_COUNT }),
        Ok(wanted) => Ok(wanted),
    }
}

type Memory = (OwnedFd, Arc<Device>);

/// Allocates from the rule's heap, or does what the rule says if that fails.
fn take_pixels<'p>(plan: &Plan<'p>) -> Result<(&'p Arc<Heap>, Memory)> {
    let (rule, size) = (plan.rule, plan.layout.size());
    let error = match rule.heap.allocate(size) {
        Ok(memory) => return Ok((&rule.heap, memory)),
        Err(error) => error,
    };
    match fallback(rule, &error) {
        Fallback::Refuse => Err(error),
        Fallback::Degrade(heap) => {
            log::warn!("{error}; rule {} degrades to heap {}", rule.name, heap.spec().name);
            Ok((heap, heap.allocate(size)?))
        }
    }
}

fn fallback<'r>(rule: &'r Rule, error: &Error) -> &'r Fallback {
    match error {
        Error::HeapMissing { .. } => &rule.missing,
        Error::HeapExhausted { .. } => &rule.exhausted,
        _ => &Fallback::Refuse,
    }
}

/// Names a buffer so that a leak can be traced: who asked, and what for.
fn name_buffer(buffer: &OwnedFd, request: &Request, layout: &Layout) -> Result<()> {
    let (extent, format) = (layout.extent(), layout.format());
    let what = format!(" {}x{} {format}", extent.width().0, extent.height().0);
    let room = sys::NAME_LEN.saturating_sub(1).saturating_sub(what.len());
    let mut name = request.name.clone();
    name.truncate(name.floor_char_boundary(room));
    name.push_str(&what);
    name.truncate(name.floor_char_boundary(sys::NAME_LEN.saturating_sub(1)));
    let what = "naming a buffer";
    let name = CString::new(name).map_err(|_| Error::System { what, cause: Errno::EINVAL })?;
    sys::set_name(buffer, &name).map_err(|cause| Error::System { what, cause })
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
