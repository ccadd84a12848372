// SPDX-License-Identifier: Apache-2.0
//! A validated policy, and what it decides.

use std::collections::BTreeMap;

use dmaheap_buffer::{Bytes, Constraints, Format, Layout, Usage};

use super::heaps::{HeapId, PerHeap, Spec};
use super::rule::{Mismatch, Rule, When};
use crate::error::{Error, Result};
use crate::request::Request;

/// Heaps hand out whole pages; this is the smallest page there is.
const PAGE: Bytes = Bytes(4096);

/// A validated policy file.
#[derive(Debug)]
pub struct Policy {
    /// All heaps, in the order of their names.
    pub heaps: PerHeap<Spec>,
    /// All rules, in the order in which they are tried.
    pub rules: Vec<Rule>,
    /// The heap that the small metadata buffers come from.
    pub metadata_heap: HeapId,
    pub(super) vendor_usage: BTreeMap<String, Usage>,
    pub(super) resolutions: Vec<Resolution>,
    pub(super) alignment: Vec<Alignment>,
    pub(super) limits: Limits,
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
}

/// Everything that is decided about a request before memory is touched.
#[derive(Debug)]
pub struct Plan<'p> {
    /// The rule that matched.
    pub rule: &'p Rule,
    /// Where the pixels will be.
    pub layout: Layout,
}

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

    /// Decides layout and rule. Pure: no heap is touched.
    ///
    /// # Errors
    /// Whatever makes the request impossible on this board. If there is no
    /// error, only a lack of resources can keep the request from being served.
    pub fn plan(&self, request: &Request) -> Result<Plan<'_>> {
        let layout = self.layout(request)?;
        let rule = self
            .rules
            .iter()
            .find(|rule| self.mismatch(rule, request.usage, &layout).is_none())
            .ok_or(Error::NoRule(request.usage))?;
        self.require_room(rule, layout.size())?;
        Ok(Plan { rule, layout })
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

    /// Why a buffer does not fall under a rule, if it does not.
    pub fn mismatch<'r>(
        &self,
        rule: &'r Rule,
        usage: Usage,
        layout: &Layout,
    ) -> Option<Mismatch<'r>> {
        if self.heaps.of(rule.heap).protected != usage.contains(Usage::PROTECTED) {
            return Some(Mismatch::Protection);
        }
        rule.mismatch(usage, layout)
    }

    /// Whether a buffer of `size` can come from the rule's heap, or from one
    /// that it degrades to, while nobody holds anything.
    fn require_room(&self, rule: &Rule, size: Bytes) -> Result<()> {
        let heap = self.heaps.of(rule.heap);
        heap.within_limit(size)?;
        let ever = |heap: &Spec| heap.within_limit(size).and_then(|()| heap.within_size(size));
        heap.within_size(size).or_else(|too_large| {
            let mut fallbacks = rule.fallbacks().map(|(_, id)| self.heaps.of(id));
            if fallbacks.any(|heap| ever(heap).is_ok()) { Ok(()) } else { Err(too_large) }
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
        let pages = Constraints { size: PAGE, ..Constraints::default() };
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
