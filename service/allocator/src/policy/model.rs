// SPDX-License-Identifier: Apache-2.0
//! A validated policy, and what it decides.

use std::collections::BTreeMap;

use dmaheap_aidl::allocator::VERSION;
use dmaheap_aidl::binder::Caller;
use dmaheap_buffer::{Bytes, Constraints, Error as Descriptor, Format, Layout, Usage, header};

use super::caller::{Classes, Who};
use super::heaps::{HeapId, PerHeap, Spec};
use super::limits::Machine;
use super::rule::{Fallback, Mismatch, Rule, When};
use crate::error::{Error, Result};
use crate::request::Request;

/// A validated policy file.
#[derive(Debug)]
pub struct Policy {
    /// All heaps, in the order of their names.
    pub heaps: PerHeap<Spec>,
    /// All rules, in the order in which they are tried.
    pub rules: Vec<Rule>,
    /// The heap that the small metadata buffers come from.
    pub metadata_heap: HeapId,
    /// The version that the service answers.
    pub interface: Interface,
    /// All classes of callers.
    pub classes: Classes,
    pub(super) machine: Machine,
    pub(super) vendor_usage: BTreeMap<String, Usage>,
    pub(super) resolutions: Vec<Resolution>,
    pub(super) alignment: Vec<Alignment>,
    pub(super) limits: Limits,
}

/// A version of IAllocator that a board's VINTF manifest may declare. What is asked
/// in both is answered alike.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Interface {
    /// Of Android 14 to 16.
    V2,
    /// With the methods for several views.
    V3,
}

impl Interface {
    /// Its number.
    pub fn number(self) -> i32 {
        match self {
            Interface::V2 => 2,
            Interface::V3 => VERSION,
        }
    }
}

/// What IMPLEMENTATION_DEFINED means for a use.
#[derive(Debug)]
pub(super) struct Resolution {
    pub when: When,
    pub format: Format,
}

/// What a group of devices asks of layouts.
#[derive(Debug)]
pub(super) struct Alignment {
    pub consumers: Usage,
    pub constraints: Constraints,
}

#[derive(Debug)]
pub(super) struct Limits {
    pub buffer: Bytes,
    pub reserved: Bytes,
    pub blind: Bytes,
}

/// Everything that is decided about a request before memory is touched.
#[derive(Debug)]
pub struct Plan<'p> {
    /// The rule that matched.
    pub rule: &'p Rule,
    /// Where the memory comes from, if there is some.
    pub heap: HeapId,
    /// Where the pixels will be.
    pub layout: Layout,
    /// The size of the metadata, whole pages.
    pub metadata: Bytes,
}

/// How much of which heaps; each heap comes once.
pub type Need = Vec<(HeapId, Bytes)>;

impl Policy {
    /// The vendor usage bits that the file gives a name.
    pub fn vendor_bits(&self) -> Usage {
        self.vendor_usage.values().fold(Usage::NONE, |all, usage| all | *usage)
    }

    /// The usage of this name, the file's own names included.
    ///
    /// # Errors
    /// If nobody defined it.
    pub fn usage(&self, name: &str) -> Result<Usage> {
        match self.vendor_usage.get(name) {
            Some(usage) => Ok(*usage),
            None => Ok(Usage::from_name(name)?),
        }
    }

    /// The same policy, with its figures for this machine.
    pub fn on(self, machine: Machine) -> Policy {
        Policy { machine, ..self }
    }

    /// All of its memory that the machine it is for has, where that is known.
    pub fn memory(&self) -> Option<Bytes> {
        self.machine.memory
    }

    /// What all callers together may hold of scattered memory while nobody can
    /// tell how much the system can spare.
    pub fn blind(&self) -> Bytes {
        self.limits.blind
    }

    /// What this caller is to the policy.
    pub fn who<'c>(&self, caller: &'c Caller) -> Who<'c> {
        Who { caller, classes: self.classes.of(caller) }
    }

    /// Decides layout and rule. Pure: no heap is touched.
    ///
    /// # Errors
    /// Whatever makes the request impossible for this caller on this board. If
    /// there is no error, only a lack of resources can keep the request from
    /// being served.
    pub fn plan(&self, request: &Request, who: Who<'_>) -> Result<Plan<'_>> {
        let layout = self.layout(request)?;
        let metadata = header::size(layout.format(), request.usage, request.reserved)
            .and_then(|size| self.whole_pages(size));
        let metadata = metadata.ok_or(Descriptor::Overflow)?;
        let rule = self
            .rules
            .iter()
            .find(|rule| self.mismatch(rule, who, request.usage, &layout).is_none())
            .ok_or(Error::NoRule(request.usage))?;
        let heap = self.heap_with_room(rule, layout.size())?;
        let plan = Plan { rule, heap, layout, metadata };
        for (heap, size) in self.need(&plan, heap, who, 1)? {
            self.within_limits(heap, who, size)?;
        }
        Ok(plan)
    }

    /// What `count` buffers of a plan take at most if their pixels come from
    /// this heap.
    ///
    /// # Errors
    /// If that cannot be expressed.
    pub fn need(&self, plan: &Plan<'_>, heap: HeapId, who: Who<'_>, count: u32) -> Result<Need> {
        let times = |size: Bytes| size.checked_mul(count.into()).ok_or(Descriptor::Overflow);
        let (pixels, metadata) = (times(self.pixels(plan, heap, who)?)?, times(plan.metadata)?);
        if heap != self.metadata_heap {
            return Ok(vec![(heap, pixels), (self.metadata_heap, metadata)]);
        }
        Ok(vec![(heap, pixels.checked_add(metadata).ok_or(Descriptor::Overflow)?)])
    }

    /// What the pixels of one buffer take of this heap at most.
    ///
    /// # Errors
    /// If that cannot be expressed.
    pub fn pixels(&self, plan: &Plan<'_>, heap: HeapId, who: Who<'_>) -> Result<Bytes> {
        let size = self.heaps.of(heap).largest_for(plan.layout.size(), who.classes);
        Ok(self.whole_pages(size).ok_or(Descriptor::Overflow)?)
    }

    /// What of a need is not from a contiguous region.
    pub fn scattered(&self, need: &Need) -> Bytes {
        let sizes = need.iter().filter(|(heap, _)| !self.heaps.of(*heap).contiguous);
        Bytes(sizes.fold(0, |sum, (_, size)| sum.saturating_add(size.0)))
    }

    /// What the kernel gives for a request of `size`.
    pub fn whole_pages(&self, size: Bytes) -> Option<Bytes> {
        size.align_up(self.machine.page)
    }

    /// The layout of a request, whatever rule it falls under.
    ///
    /// # Errors
    /// If the format, the size or a limit forbids it.
    pub fn layout(&self, request: &Request) -> Result<Layout> {
        request.usage.require_fit(request.extent)?;
        let format = self.resolve(request.format, request.usage)?;
        let layout = Layout::new(format, request.extent, &self.constraints(request.usage)?)?;
        within("a buffer", layout.size(), self.limits.buffer)?;
        within("a reserved region", request.reserved, self.limits.reserved)?;
        Ok(layout)
    }

    /// Why a caller's buffer does not fall under a rule, if it does not.
    pub fn mismatch<'r>(
        &self,
        rule: &'r Rule,
        who: Who<'_>,
        usage: Usage,
        layout: &Layout,
    ) -> Option<Mismatch<'r>> {
        if self.heaps.of(rule.heap).protected != usage.contains(Usage::PROTECTED) {
            return Some(Mismatch::Protection);
        }
        rule.mismatch(who.classes, usage, layout)
    }

    /// The heap that a rule's buffer of `size` comes from if there is memory: the
    /// rule's own, or that behind it if its own could never have so much.
    fn heap_with_room(&self, rule: &Rule, size: Bytes) -> Result<HeapId> {
        let has_room = |heap| self.heaps.of(heap).within_size(size).map(|()| heap);
        has_room(rule.heap).or_else(|too_large| match rule.exhausted {
            Fallback::Degrade(heap) => has_room(heap).map_err(|_| too_large),
            Fallback::Refuse => Err(too_large),
        })
    }

    fn resolve(&self, code: i32, usage: Usage) -> Result<Format> {
        if code != Format::IMPLEMENTATION_DEFINED {
            return Ok(Format::new(code)?);
        }
        self.resolutions
            .iter()
            .find(|resolution| resolution.when.mismatch(usage).is_none())
            .map(|resolution| resolution.format)
            .ok_or(Error::NoFormat(usage))
    }

    /// What all consumers of a buffer ask of its layout together.
    fn constraints(&self, usage: Usage) -> Result<Constraints> {
        let pages = Constraints { size: Machine::ANY.page, ..Constraints::default() };
        self.alignment
            .iter()
            .filter(|alignment| alignment.consumers.intersects(usage))
            .try_fold(pages, |all, alignment| Ok(all.combine(alignment.constraints)?))
    }
}

fn within(what: &'static str, size: Bytes, limit: Bytes) -> Result<()> {
    if size > limit {
        return Err(Error::TooLarge { what, size, limit });
    }
    Ok(())
}
