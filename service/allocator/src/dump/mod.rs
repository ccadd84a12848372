// SPDX-License-Identifier: Apache-2.0
//! What the service looks like from inside, for `dumpsys` and for programs.

pub mod buffers;
mod text;

use dmaheap_buffer::Bytes;
use dmaheap_dmabuf::kernel;
use serde::Serialize;

use crate::accounts::{HeapStatement, Statement, Statements, Totals};
use crate::allocation::Allocator;
use crate::heap::{Heap, Shelf};
use crate::policy::{ClassSet, HeapId, Policy, Rule, Scope};

/// Everything, at one moment. Sizes are in bytes.
#[derive(Debug, Serialize)]
pub struct Report {
    /// The version of IAllocator that is answered.
    pub interface: i32,
    /// Since when the accounts are kept, in seconds after boot: a service that
    /// ended before has taken its own with it.
    pub since: f64,
    /// Why it cannot be told what lives, and live counts are upper bounds.
    pub unknown: Option<String>,
    /// Why it cannot be told what memory the system can spare, and a limit of the
    /// policy file's holds instead.
    pub blind: Option<String>,
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
    live_metadata: u64,
    live_bytes: u64,
    peak_bytes: u64,
    per_uid_bytes: Option<u64>,
    /// What callers of each class hold together; of classes that hold something or
    /// have a limit, and not for everybody.
    classes: Vec<ClassReport>,
    keep: Option<KeepReport>,
    served: u64,
    failed: u64,
    last_failure: Option<String>,
    /// Who held its memory then; not for everybody.
    last_holders: Option<String>,
    reserve: Vec<ShelfReport>,
    kernel_cma: Option<CmaReport>,
    kernel_region: Option<RegionReport>,
}

/// Buffers of one size that are held ready.
#[derive(Debug, Serialize)]
pub struct ShelfReport {
    size: u64,
    wanted: usize,
    ready: usize,
    hits: u64,
}

/// What the callers of a class hold of a heap, and what was admitted for them.
#[derive(Debug, Serialize)]
pub struct ClassReport {
    class: String,
    bytes: u64,
    limit_bytes: Option<u64>,
}

/// What a heap keeps for some.
#[derive(Debug, Serialize)]
pub struct KeepReport {
    bytes: u64,
    callers: Vec<String>,
    /// What all others hold together, and the most that they may.
    others_bytes: u64,
    others_limit_bytes: u64,
}

/// The driver's region, of all who take from it; in bytes.
#[derive(Debug, Serialize)]
pub struct RegionReport {
    size: u64,
    held: u64,
    used: u64,
    largest_free: u64,
    buffers: u64,
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
    /// Whom it is for, if not for everybody.
    callers: Option<Vec<String>>,
    hits: u64,
}

/// One caller.
#[derive(Debug, Serialize)]
pub struct CallerReport {
    uid: u32,
    context: Option<String>,
    classes: Vec<String>,
    live_buffers: u64,
    live_metadata: u64,
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
        let accounts = allocator.accounts();
        let Statements { callers, forgotten, heaps: held, unknown } = accounts.statements();
        let policy = allocator.policy();
        let heap = |(id, heap): (HeapId, &Heap)| HeapReport {
            classes: match reader {
                Reader::Privileged => ClassReport::all(policy, id, held.of(id)),
                Reader::Uid(_) => Vec::new(),
            },
            last_holders: heap.counters().last_holders.filter(|_| reader == Reader::Privileged),
            ..HeapReport::new(policy, id, heap, held.of(id))
        };
        Report {
            since: accounts.since().as_secs_f64(),
            unknown,
            blind: allocator.is_blind(),
            interface: allocator.policy().interface.number(),
            at_rest: allocator.is_at_rest(),
            heaps: allocator.heaps().iter().map(heap).collect(),
            rules: policy.rules.iter().map(|rule| RuleReport::new(allocator, rule)).collect(),
            callers: (callers.into_iter())
                .filter(|statement| reader.may_see(statement.caller.uid))
                .map(|statement| CallerReport::new(policy, statement))
                .collect(),
            forgotten: Some(ForgottenReport::new(forgotten))
                .filter(|forgotten| reader == Reader::Privileged && forgotten.callers > 0),
        }
    }
}

impl RuleReport {
    fn new(allocator: &Allocator, rule: &Rule) -> RuleReport {
        RuleReport {
            name: rule.name.clone(),
            heap: allocator.policy().heaps.of(rule.heap).name.clone(),
            callers: rule.callers.as_ref().map(|callers| callers.names().to_vec()),
            hits: allocator.hits(rule.id),
        }
    }
}

impl HeapReport {
    fn new(policy: &Policy, id: HeapId, heap: &Heap, held: &HeapStatement) -> HeapReport {
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
            live_buffers: held.live.buffers,
            live_metadata: held.live.metadata,
            live_bytes: held.live.bytes.0,
            peak_bytes: held.peak.0,
            per_uid_bytes: policy.limit(id, Scope::Uid).map(|limit| limit.0),
            classes: Vec::new(),
            keep: KeepReport::new(heap, held.others),
            served: counters.served,
            failed: counters.failed,
            last_failure: counters.last_failure,
            last_holders: None,
            reserve: heap.reserve().iter().map(ShelfReport::new).collect(),
            kernel_region: node.as_deref().and_then(RegionReport::new),
            // An area is known by any of the heap's names, or by none.
            kernel_cma: spec.nodes.iter().find_map(|name| CmaReport::new(name)),
            node,
            missing,
        }
    }
}

impl ClassReport {
    fn all(policy: &Policy, heap: HeapId, held: &HeapStatement) -> Vec<ClassReport> {
        let class = |(class, bytes): &(_, Bytes)| ClassReport {
            class: policy.classes.name(*class).to_owned(),
            bytes: bytes.0,
            limit_bytes: policy.limit(heap, Scope::Class(*class)).map(|limit| limit.0),
        };
        let all = held.classes.iter().map(class);
        all.filter(|class| class.bytes > 0 || class.limit_bytes.is_some()).collect()
    }
}

impl KeepReport {
    fn new(heap: &Heap, others: Bytes) -> Option<KeepReport> {
        let spec = heap.spec();
        let keep = spec.keep.as_ref()?;
        Some(KeepReport {
            bytes: keep.size.0,
            callers: keep.callers.names().to_vec(),
            others_bytes: others.0,
            others_limit_bytes: spec.left_for_others(ClassSet::default())?.0,
        })
    }
}

impl RegionReport {
    fn new(node: &str) -> Option<RegionReport> {
        let kernel::Region { size, held, used, largest_free, buffers } =
            kernel::region(node).ok()?;
        Some(RegionReport { size, held, used, largest_free, buffers })
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
        let (size, wanted) = (shelf.reserve.size.0, stock.wanted);
        ShelfReport { size, wanted, ready: stock.ready(), hits: stock.hits() }
    }
}

impl CallerReport {
    fn new(policy: &Policy, statement: Statement) -> CallerReport {
        let Statement { caller, account, live } = statement;
        CallerReport {
            uid: caller.uid,
            context: caller.context,
            classes: policy.classes.names(account.classes),
            live_buffers: live.buffers,
            live_metadata: live.metadata,
            live_bytes: live.bytes.0,
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
