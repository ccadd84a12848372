// SPDX-License-Identifier: Apache-2.0
//! What the service looks like from inside, for `dumpsys` and for programs.

use std::fmt;

use dmaheap_dmabuf::kernel::{self, DmaBufs, LiveList};
use serde::Serialize;

use crate::accounts::{Held, Statement, Statements, Totals};
use crate::allocation::Allocator;
use crate::heap::{Heap, Shelf};

/// Everything, at one moment. Sizes are in bytes.
#[derive(Debug, Serialize)]
pub struct Report {
    /// Whether live buffers can be told from released ones.
    pub knows_live: bool,
    /// Whether nothing is being made ready for later requests.
    pub at_rest: bool,
    /// In the order of their names.
    pub heaps: Vec<HeapReport>,
    /// In the order in which they are tried.
    pub rules: Vec<RuleReport>,
    /// In the order of their uids: all of them, or the reader's own.
    pub callers: Vec<CallerReport>,
    /// Of callers that hold nothing and were away longest; not for everybody.
    pub forgotten: Option<ForgottenReport>,
}

/// Who reads a report. Heaps and rules are everybody's to see; what others
/// hold, and what they were refused, is not.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Reader {
    /// Root, the system, and adb's shell, which is where dumpsys runs.
    Privileged,
    /// Anybody else, of this uid.
    Uid(u32),
}

impl Reader {
    /// The reader that has this uid.
    pub fn new(uid: u32) -> Reader {
        const ROOT: u32 = 0;
        const SYSTEM: u32 = 1000;
        const SHELL: u32 = 2000;
        match uid {
            ROOT | SYSTEM | SHELL => Reader::Privileged,
            uid => Reader::Uid(uid),
        }
    }

    fn may_see(self, uid: u32) -> bool {
        match self {
            Reader::Privileged => true,
            Reader::Uid(own) => own == uid,
        }
    }
}

/// One heap.
#[derive(Debug, Serialize)]
pub struct HeapReport {
    name: String,
    contiguous: bool,
    cached: bool,
    protected: bool,
    node: Option<String>,
    missing: Option<String>,
    live_buffers: u64,
    live_bytes: u64,
    peak_bytes: u64,
    per_uid_bytes: Option<u64>,
    served: u64,
    failed: u64,
    last_failure: Option<String>,
    reserve: Vec<ShelfReport>,
    kernel_buffers: Option<ExporterReport>,
    kernel_cma: Option<CmaReport>,
}

/// Buffers of one size that are held ready.
#[derive(Debug, Serialize)]
pub struct ShelfReport {
    size: u64,
    wanted: usize,
    ready: usize,
    hits: u64,
}

/// Live dma-bufs of the heap's node, in every process, as the kernel counts them.
#[derive(Debug, Serialize)]
pub struct ExporterReport {
    buffers: u64,
    bytes: u64,
}

/// What the kernel's CMA area went through since boot.
#[derive(Debug, Serialize)]
pub struct CmaReport {
    name: String,
    pages_allocated: u64,
    pages_failed: u64,
}

/// One rule.
#[derive(Debug, Serialize)]
pub struct RuleReport {
    name: String,
    heap: String,
    hits: u64,
}

/// One caller.
#[derive(Debug, Serialize)]
pub struct CallerReport {
    uid: u32,
    context: Option<String>,
    live_buffers: u64,
    live_bytes: u64,
    buffers: u64,
    bytes: u64,
    failures: u64,
    last_failure: Option<String>,
}

/// All callers that are no longer remembered one by one.
#[derive(Debug, Serialize)]
pub struct ForgottenReport {
    callers: u64,
    buffers: u64,
    bytes: u64,
    failures: u64,
}

impl Report {
    /// Collects everything that is for this reader.
    pub fn new(allocator: &Allocator, reader: Reader) -> Report {
        let Statements { callers, forgotten, heaps: held } = allocator.accounts().statements();
        let exporters = allocator.accounts().live().map(LiveList::by_exporter).unwrap_or_default();
        let policy = allocator.policy();
        let heap = |(_, heap): (_, &Heap)| {
            let held = held.get(&heap.spec().name).copied().unwrap_or_default();
            HeapReport::new(heap, held, |node| exporters.get(node).copied().unwrap_or_default())
        };
        Report {
            knows_live: allocator.accounts().knows_live(),
            at_rest: allocator.is_at_rest(),
            heaps: allocator.heaps().iter().map(heap).collect(),
            rules: (policy.rules.iter())
                .map(|rule| RuleReport {
                    name: rule.name.clone(),
                    heap: policy.heaps.of(rule.heap).name.clone(),
                    hits: allocator.hits(rule.id),
                })
                .collect(),
            callers: (callers.into_iter())
                .filter(|statement| reader.may_see(statement.caller.uid))
                .map(CallerReport::new)
                .collect(),
            forgotten: Some(ForgottenReport::new(forgotten))
                .filter(|forgotten| reader == Reader::Privileged && forgotten.callers > 0),
        }
    }
}

impl HeapReport {
    fn new(heap: &Heap, held: Held, exported: impl Fn(&str) -> DmaBufs) -> HeapReport {
        let spec = heap.spec();
        let counters = heap.counters();
        let (node, missing) = match heap.device() {
            Ok(device) => (Some(device.name().to_owned()), None),
            Err(error) => (None, Some(error.to_string())),
        };
        HeapReport {
            name: spec.name.clone(),
            contiguous: spec.contiguous,
            cached: spec.cached,
            protected: spec.protected,
            live_buffers: held.buffers,
            live_bytes: held.bytes.0,
            peak_bytes: held.peak.0,
            per_uid_bytes: spec.per_uid.map(|limit| limit.0),
            served: counters.served,
            failed: counters.failed,
            last_failure: counters.last_failure,
            reserve: heap.reserve().iter().map(ShelfReport::new).collect(),
            kernel_buffers: node.as_deref().map(exported).map(ExporterReport::new),
            // An area is known by any of the heap's names, or by none.
            kernel_cma: spec.nodes.iter().find_map(|name| CmaReport::new(name)),
            node,
            missing,
        }
    }
}

impl ExporterReport {
    fn new(live: DmaBufs) -> ExporterReport {
        ExporterReport { buffers: live.buffers, bytes: live.bytes.0 }
    }
}

impl CmaReport {
    fn new(name: &str) -> Option<CmaReport> {
        let area = kernel::cma_area(name).ok()?;
        let (pages_allocated, pages_failed) = (area.allocated, area.failed);
        Some(CmaReport { name: name.to_owned(), pages_allocated, pages_failed })
    }
}

impl ShelfReport {
    fn new(shelf: &Shelf) -> ShelfReport {
        let stock = &shelf.stock;
        let (size, wanted) = (shelf.size.0, stock.wanted);
        ShelfReport { size, wanted, ready: stock.ready(), hits: stock.hits() }
    }
}

impl CallerReport {
    fn new(statement: Statement) -> CallerReport {
        let account = statement.account;
        CallerReport {
            uid: statement.caller.uid,
            context: statement.caller.context,
            live_buffers: statement.live_buffers,
            live_bytes: statement.live_bytes.0,
            buffers: account.totals.buffers,
            bytes: account.totals.bytes.0,
            failures: account.totals.failures,
            last_failure: account.last_failure,
        }
    }
}

impl ForgottenReport {
    fn new(totals: Totals) -> ForgottenReport {
        let Totals { callers, buffers, bytes, failures } = totals;
        ForgottenReport { callers, buffers, bytes: bytes.0, failures }
    }
}

impl fmt::Display for Report {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if !self.knows_live {
            writeln!(
                f,
                "This kernel does not tell which buffers live: no live counts, no limits."
            )?;
        }
        if !self.at_rest {
            writeln!(f, "Buffers for later requests are being made ready.")?;
        }
        writeln!(f, "HEAPS")?;
        self.heaps.iter().try_for_each(|heap| heap.fmt(f))?;
        writeln!(f, "RULES")?;
        for rule in &self.rules {
            writeln!(f, "  {:24} -> {:16} {:8} requests", rule.name, rule.heap, rule.hits)?;
        }
        writeln!(f, "CALLERS")?;
        self.callers.iter().try_for_each(|caller| caller.fmt(f))?;
        match &self.forgotten {
            Some(ForgottenReport { callers, buffers, bytes, failures }) => writeln!(
                f,
                "  and {callers} that hold nothing; ever {buffers} buffers, {bytes} bytes; {failures} failures"
            ),
            None => Ok(()),
        }
    }
}

impl fmt::Display for HeapReport {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let flags = [
            (self.contiguous, "contiguous", "scattered"),
            (self.cached, "cached", "uncached"),
            (self.protected, "protected", "unprotected"),
        ]
        .map(|(is, yes, no)| if is { yes } else { no });
        writeln!(f, "  {} ({})", self.name, flags.join(", "))?;
        match (&self.node, &self.missing) {
            (Some(node), _) => writeln!(f, "    node     {node}")?,
            (_, missing) => writeln!(f, "    MISSING  {}", missing.as_deref().unwrap_or_default())?,
        }
        let limit = self.per_uid_bytes.map_or(String::new(), |n| format!(", limit per uid {n}"));
        writeln!(
            f,
            "    live     {} buffers, {} bytes, at most {} bytes at a time{limit}",
            self.live_buffers, self.live_bytes, self.peak_bytes
        )?;
        writeln!(f, "    served   {}, failed {}", self.served, self.failed)?;
        if let Some(failure) = &self.last_failure {
            writeln!(f, "    last     {failure}")?;
        }
        for shelf in &self.reserve {
            let ShelfReport { size, wanted, ready, hits } = shelf;
            writeln!(f, "    reserve  {ready} of {wanted} x {size} bytes, {hits} hits")?;
        }
        if let Some(ExporterReport { buffers, bytes }) = &self.kernel_buffers {
            writeln!(f, "    kernel   {buffers} dma-bufs, {bytes} bytes in all processes")?;
        }
        if let Some(CmaReport { name, pages_allocated, pages_failed }) = &self.kernel_cma {
            writeln!(
                f,
                "    kernel   CMA area {name}: {pages_allocated} pages allocated, {pages_failed} failed"
            )?;
        }
        Ok(())
    }
}

impl fmt::Display for CallerReport {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(
            f,
            "  uid {:5} {:40} live {} buffers, {} bytes; ever {} buffers, {} bytes; {} failures",
            self.uid,
            self.context.as_deref().unwrap_or("-"),
            self.live_buffers,
            self.live_bytes,
            self.buffers,
            self.bytes,
            self.failures
        )?;
        match &self.last_failure {
            Some(failure) => writeln!(f, "            last {failure}"),
            None => Ok(()),
        }
    }
}
