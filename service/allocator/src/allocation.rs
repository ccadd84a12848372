// SPDX-License-Identifier: Apache-2.0
//! Requests become buffers.
//!
//! A buffer is two dma-bufs, pixels and metadata, and a handle. All buffers
//! of a call are made, or none is kept: what was already allocated is dropped
//! with the error.

use std::ffi::CString;
use std::hash::{BuildHasher, RandomState};
use std::os::fd::{AsFd, OwnedFd};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use dmaheap_buffer::{Handle, Header, Layout, Origin, metadata};
use nix::errno::Errno;

use crate::error::{Error, Result};
use crate::heap::{Device, Heap};
use crate::policy::{Fallback, Plan, Policy, Rule};
use crate::request::Request;
use crate::sys;

/// The most buffers of one call. While a reply is on its way binder holds
/// every descriptor twice: two per buffer, four threads at work, and the
/// service stays near a thousand. BufferQueue, the hungriest client, has 64
/// slots.
pub const MAX_COUNT: usize = 64;

/// Turns requests into buffers, as the policy says.
#[derive(Debug)]
pub struct Allocator {
    policy: Policy,
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
}

/// Memory for pixels, and where it came from in the end.
struct Pixels<'p> {
    buffer: OwnedFd,
    heap: &'p Heap,
    device: Arc<Device>,
}

impl Allocator {
    /// An allocator that follows this policy. No heap is opened yet.
    pub fn new(policy: Policy) -> Allocator {
        Allocator { policy, ids: Ids::default() }
    }

    /// The policy it follows.
    pub fn policy(&self) -> &Policy {
        &self.policy
    }

    /// Opens every heap and logs what became of it.
    pub fn probe(&self) {
        for heap in &self.policy.heaps {
            match heap.device() {
                Ok(device) => log::info!("heap {}: {}", heap.spec().name, device.node()),
                Err(error) => log::warn!("{error}; it is tried again whenever it is needed"),
            }
        }
    }

    /// Allocates all of `count` buffers, or none.
    ///
    /// # Errors
    /// Those of [`Policy::plan`], a `count` out of range, or a lack of resources.
    pub fn allocate(&self, request: &Request, count: i32) -> Result<Vec<Buffer>> {
        let plan = self.policy.plan(request)?;
        let wanted =
            usize::try_from(count).ok().filter(|n| *n > 0).ok_or(Error::BadCount(count))?;
        if wanted > MAX_COUNT {
            return Err(Error::TooMany { count, limit: MAX_COUNT });
        }
        (0..wanted).map(|_| self.allocate_one(request, &plan)).collect()
    }

    fn allocate_one(&self, request: &Request, plan: &Plan<'_>) -> Result<Buffer> {
        let handle = Handle {
            id: self.ids.next(),
            usage: request.usage,
            requested_format: request.format,
            layout: plan.layout.clone(),
            reserved: request.reserved,
        };
        let pixels = take_pixels(plan)?;
        name_buffer(&pixels.buffer, request, &plan.layout)?;
        let metadata = self.write_metadata(&handle, request, plan.rule, &pixels)?;
        Ok(Buffer { pixels: pixels.buffer, metadata, handle })
    }

    fn write_metadata(
        &self,
        handle: &Handle,
        request: &Request,
        rule: &Rule,
        pixels: &Pixels<'_>,
    ) -> Result<OwnedFd> {
        let size = metadata::size(request.reserved).ok_or(dmaheap_buffer::Error::Overflow)?;
        let header = Header {
            id: handle.id,
            reserved: request.reserved,
            origin: Origin {
                rule: rule.name.clone(),
                heap: pixels.heap.spec().name.clone(),
                node: pixels.device.node().to_owned(),
                name: request.name.clone(),
            },
        };
        let (buffer, _) = self.policy.metadata_heap.allocate(size)?;
        sys::write(&buffer, &header.encode())
            .map_err(|cause| Error::System { what: "writing a buffer's metadata", cause })?;
        set_name(&buffer, "dmaheap metadata".to_owned())?;
        Ok(buffer)
    }
}

/// Allocates from the rule's heap, or does what the rule says if that fails.
fn take_pixels<'p>(plan: &Plan<'p>) -> Result<Pixels<'p>> {
    let rule = plan.rule;
    let error = match allocate_from(&rule.heap, plan) {
        Ok(pixels) => return Ok(pixels),
        Err(error) => error,
    };
    let fallback = match &error {
        Error::HeapMissing { .. } => &rule.missing,
        Error::HeapExhausted { .. } => &rule.exhausted,
        _ => return Err(error),
    };
    match fallback {
        Fallback::Refuse => Err(error),
        Fallback::Degrade(heap) => {
            log::warn!("{error}; rule {} degrades to heap {}", rule.name, heap.spec().name);
            allocate_from(heap, plan)
        }
    }
}

fn allocate_from<'p>(heap: &'p Heap, plan: &Plan<'p>) -> Result<Pixels<'p>> {
    let (buffer, device) = heap.allocate(plan.layout.size())?;
    Ok(Pixels { buffer, heap, device })
}

/// Names a buffer so that a leak can be traced: who asked, and what for.
fn name_buffer(buffer: &OwnedFd, request: &Request, layout: &Layout) -> Result<()> {
    let what =
        format!("{}x{} {}", layout.extent().width().0, layout.extent().height().0, layout.format());
    let room = sys::NAME_LEN.saturating_sub(what.len()).saturating_sub(2);
    let end = request.name.floor_char_boundary(room);
    let who = request.name.get(..end).unwrap_or_default();
    set_name(buffer, format!("{who} {what}"))
}

fn set_name(buffer: &OwnedFd, mut name: String) -> Result<()> {
    name.truncate(name.floor_char_boundary(sys::NAME_LEN.saturating_sub(1)));
    let what = "naming a buffer";
    let name = CString::new(name).map_err(|_| Error::System { what, cause: Errno::EINVAL })?;
    sys::set_name(buffer.as_fd(), &name).map_err(|cause| Error::System { what, cause })
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
