// SPDX-License-Identifier: Apache-2.0
//! Rules, and why one does not match.

use std::fmt;
use std::ops::RangeInclusive;

use dmaheap_buffer::{Bytes, Format, Layout, Usage};

use super::caller::{Callers, ClassSet};
use super::heaps::HeapId;

/// A condition on the usage.
#[derive(Debug, Clone, Default)]
pub struct When {
    /// At least one of these, unless there are none.
    pub any: Vec<Usage>,
    /// All of these.
    pub all: Vec<Usage>,
    /// Not one of these.
    pub none: Vec<Usage>,
}

/// Which requests a heap serves.
#[derive(Debug)]
pub struct Rule {
    /// Its place among the others.
    pub id: RuleId,
    /// For messages, the dump and the metadata.
    pub name: String,
    /// The use it is for.
    pub when: When,
    /// The formats it is for; all if empty.
    pub formats: Vec<Format>,
    /// The buffer sizes it is for.
    pub size: RangeInclusive<Bytes>,
    /// Whom it is for; everybody if nobody is named.
    pub callers: Option<Callers>,
    /// Where the memory comes from.
    pub heap: HeapId,
    /// Whether a buffer of several physical segments would be useless.
    pub contiguous: bool,
    /// What happens if the heap has no device.
    pub missing: Fallback,
    /// What happens if the heap has no memory left.
    pub exhausted: Fallback,
}

/// Which of a policy's rules: its place in their order, from 0.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct RuleId(pub usize);

/// What happens when a rule's heap cannot serve.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Fallback {
    /// The request fails.
    Refuse,
    /// The memory comes from another heap, and everyone is told.
    Degrade(HeapId),
}

/// Why a rule was passed over.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Mismatch<'r> {
    /// The usage is protected and the heap is not, or the other way round.
    Protection,
    /// The usage lacks this.
    Lacks(Usage),
    /// The usage has none of these.
    LacksAll(&'r [Usage]),
    /// The usage has this, which the rule excludes.
    Excluded(Usage),
    /// The rule is for these formats.
    Format(&'r [Format]),
    /// The rule is for buffers of these sizes.
    Size(&'r RangeInclusive<Bytes>),
    /// The rule is for these callers.
    Caller(&'r Callers),
}

impl When {
    /// Why this usage does not meet the condition, if it does not.
    pub fn mismatch(&self, usage: Usage) -> Option<Mismatch<'_>> {
        let lacked = self.all.iter().find(|wanted| !usage.contains(**wanted));
        let excluded = self.none.iter().find(|unwanted| usage.contains(**unwanted));
        match (lacked, excluded) {
            (Some(lacked), _) => Some(Mismatch::Lacks(*lacked)),
            (_, Some(excluded)) => Some(Mismatch::Excluded(*excluded)),
            _ if self.any.is_empty() => None,
            _ if self.any.iter().any(|wanted| usage.contains(*wanted)) => None,
            _ => Some(Mismatch::LacksAll(&self.any)),
        }
    }
}

impl Rule {
    /// The heaps it may degrade to, and the keys that say so.
    pub fn fallbacks(&self) -> impl Iterator<Item = (&'static str, HeapId)> + use<> {
        [("missing", self.missing), ("exhausted", self.exhausted)].into_iter().filter_map(
            |(key, fallback)| match fallback {
                Fallback::Refuse => None,
                Fallback::Degrade(heap) => Some((key, heap)),
            },
        )
    }

    /// Why a buffer does not meet this rule's conditions, if it does not.
    pub(super) fn mismatch(
        &self,
        classes: ClassSet,
        usage: Usage,
        layout: &Layout,
    ) -> Option<Mismatch<'_>> {
        let shut_out = |callers: &&Callers| !callers.classes.intersects(classes);
        self.when.mismatch(usage).or_else(|| {
            if let Some(callers) = self.callers.as_ref().filter(shut_out) {
                Some(Mismatch::Caller(callers))
            } else if !self.formats.is_empty() && !self.formats.contains(&layout.format()) {
                Some(Mismatch::Format(&self.formats))
            } else if !self.size.contains(&layout.size()) {
                Some(Mismatch::Size(&self.size))
            } else {
                None
            }
        })
    }
}

impl fmt::Display for Mismatch<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Mismatch::Protection => f.write_str("only one of usage and heap is protected"),
            Mismatch::Lacks(usage) => write!(f, "the usage lacks {usage}"),
            Mismatch::LacksAll(usages) => write!(f, "the usage has none of {}", list(usages)),
            Mismatch::Excluded(usage) => write!(f, "the rule excludes {usage}"),
            Mismatch::Format(formats) => write!(f, "the rule is for {} only", list(formats)),
            Mismatch::Caller(callers) => write!(f, "the rule is for {callers} only"),
            Mismatch::Size(size) if size.end().0 == u64::MAX => {
                write!(f, "the rule is for buffers from {}", size.start())
            }
            Mismatch::Size(size) => {
                write!(f, "the rule is for buffers from {} to {}", size.start(), size.end())
            }
        }
    }
}

fn list(items: &[impl fmt::Display]) -> String {
    let names: Vec<String> = items.iter().map(ToString::to_string).collect();
    names.join(", ")
}
