// SPDX-License-Identifier: Apache-2.0
//! Who holds what, and who may not have more.
//!
//! # A buffer's life
//! A request is **admitted** as a whole before anything is taken: all that it
//! will need, of all heaps that it needs, counts as its caller's at once, and no
//! two calls can squeeze under a limit together. The [`Ticket`] gives that back
//! wherever a call ends early.
//!
//! What was made is **settled**: each dma-buf, of pixels or of metadata, becomes
//! an entry of its caller's `Ledger` for its heap, and an item of the ledger's
//! [`Watch`], before it leaves the service with the reply.
//! One that cannot be watched is not handed out.
//!
//! It never reports back. While anybody holds it, by whatever means, the kernel
//! keeps the item; a **sweep** removes the entries whose item is gone, and takes
//! them out of the sums. Between sweeps sums are upper bounds. A ledger is swept
//!
//! - in a call that would exceed a limit, before it is refused: all ledgers that
//!   the limit is about, and no other; of several such calls one does it for all;
//! - in its caller's own call, when four times as many entries were made as the
//!   last sweep left, which bounds the memory that this takes;
//! - with all others when somebody wants to see the accounts, and by the
//!   refilling thread when there are many more than the last time: the holder of
//!   one may have died.
//!
//! An empty ledger is removed, and its Watch's descriptor closed. Where there are
//! very many, they share one (see `ledger.rs`).
//!
//! # Locks
//! `Books` are the sums, which every call takes a few steps in: no sweep runs
//! under their lock, and none under a ledger's. While the kernel lists what lives
//! of one caller, others of that caller's calls can make entries, and nobody
//! else's notice it.
//!
//! # What a restart forgets
//! Everything. Buffers that a service handed out before it ended live on and are
//! in nobody's account; [`Accounts::since`] tells since when they are.
//!
//! A caller that holds nothing is remembered for people only. Of those there
//! are at most [`REMEMBERED`]; whoever was away longest is forgotten, but for
//! the totals.

mod books;
mod ledger;
mod ticket;

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use dmaheap_aidl::binder::Caller;
use dmaheap_buffer::Bytes;
use dmaheap_dmabuf::Watch;
use nix::time::{ClockId, clock_gettime};

use crate::error::{Error, Result};
use crate::policy::{ClassId, ClassSet, HeapId, Need, PerHeap, Policy, Scope, Who};
use books::{Books, Excess, Sums, minus, plus};
pub use ledger::{Asked, Entry, Item, Kind};
use ledger::{Ledger, Live, Source};
pub use ticket::Ticket;

/// So many callers that hold nothing are remembered.
pub const REMEMBERED: usize = 256;

/// Accounts of all callers.
#[derive(Debug)]
pub struct Accounts {
    policy: Arc<Policy>,
    books: Mutex<Books>,
    source: Source,
    /// When the last sweep for each limit on several callers began. Held while one
    /// is being made.
    begun: Mutex<BTreeMap<(HeapId, Scope), u64>>,
    since: Duration,
    /// Why the last look at all ledgers did not find out what lives.
    unknown: Mutex<Option<String>>,
}

/// What callers did, ever.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Totals {
    /// Callers it is about.
    pub callers: u64,
    /// Buffers they were given.
    pub buffers: u64,
    /// Their size together, metadata included.
    pub bytes: Bytes,
    /// Requests that failed.
    pub failures: u64,
}

/// dma-bufs that are held.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Held {
    /// How many hold pixels.
    pub buffers: u64,
    /// How many hold metadata.
    pub metadata: u64,
    /// The size of all.
    pub bytes: Bytes,
}

/// What one caller did, and holds.
#[derive(Debug, Clone, Default)]
pub struct Account {
    /// What it did, ever.
    pub totals: Totals,
    /// Why a request failed, the last time.
    pub last_failure: Option<String>,
    /// The classes that it is in.
    pub classes: ClassSet,
    holdings: BTreeMap<HeapId, Holding>,
    last_seen: u64,
}

/// What one caller has of one heap.
#[derive(Debug, Clone)]
struct Holding {
    /// Admitted, not yet settled.
    admitted: Bytes,
    live: Held,
    ledger: Arc<Ledger>,
}

/// What the accounts say at one moment.
#[derive(Debug)]
pub struct Statements {
    /// Of each caller that is remembered.
    pub callers: Vec<Statement>,
    /// Of those that are not.
    pub forgotten: Totals,
    /// By heap.
    pub heaps: PerHeap<HeapStatement>,
    /// Why it is not known what lives, and all of these numbers are upper bounds.
    pub unknown: Option<String>,
}

/// A caller with its account, as of a sweep.
#[derive(Debug, Clone)]
pub struct Statement {
    /// Who.
    pub caller: Caller,
    /// What it did so far.
    pub account: Account,
    /// What it holds.
    pub live: Held,
}

/// What one caller holds of one heap, dma-buf by dma-buf.
#[derive(Debug)]
pub struct Holdings {
    /// Who.
    pub caller: Caller,
    /// Of which heap.
    pub heap: HeapId,
    /// In the order in which they were given.
    pub entries: Vec<Entry>,
}

/// What is held of a heap.
#[derive(Debug, Clone)]
pub struct HeapStatement {
    /// By all.
    pub live: Held,
    /// The most bytes there were at any time; an upper bound, as between sweeps.
    pub peak: Bytes,
    /// By those for whom the heap keeps nothing, if it keeps something.
    pub others: Bytes,
    /// By the callers of each class together.
    pub classes: Vec<(ClassId, Bytes)>,
}

impl Accounts {
    /// Empty accounts, with the limits of this policy.
    pub fn new(policy: &Arc<Policy>) -> Accounts {
        Accounts {
            books: Mutex::new(Books::new(policy)),
            policy: policy.clone(),
            source: Source::default(),
            begun: Mutex::default(),
            since: clock_gettime(ClockId::CLOCK_BOOTTIME).map_or(Duration::ZERO, Duration::from),
            unknown: Mutex::default(),
        }
    }

    /// When they were opened, after boot: what was handed out before is in none.
    pub fn since(&self) -> Duration {
        self.since
    }

    /// Admits a caller's need as a whole. `blind` is the limit of all scattered
    /// memory, if it holds.
    ///
    /// # Errors
    /// [`Error::Limit`] if that exceeds any limit.
    pub fn admit<'a>(
        &'a self,
        who: Who<'a>,
        need: &Need,
        blind: Option<Bytes>,
    ) -> Result<Ticket<'a>> {
        let mut ticket = Ticket::new(self, who);
        ticket.admit(need, blind)?;
        Ok(ticket)
    }

    /// Notes a request that failed.
    pub fn fail(&self, who: Who<'_>, error: &Error) {
        self.lock().fail(who, error.to_string());
    }

    /// Sweeps all ledgers if there are many more than the last time.
    pub fn tidy(&self) {
        if self.lock().has_many_ledgers() {
            self.sweep_all();
        }
    }

    /// All accounts and all heaps, as of now.
    pub fn statements(&self) -> Statements {
        self.sweep_all();
        let books = self.lock();
        let statement = |(caller, account): (&Caller, &Account)| Statement {
            caller: caller.clone(),
            account: account.clone(),
            live: account.live(),
        };
        let heap = |_, sums: &Sums| HeapStatement {
            live: sums.live,
            peak: sums.peak,
            others: sums.others,
            classes: (self.policy.classes.iter()).map(|(id, _)| (id, sums.class(id))).collect(),
        };
        Statements {
            callers: books.accounts().map(statement).collect(),
            forgotten: books.forgotten,
            heaps: books.sums.map(heap),
            unknown: self.unknown.lock().unwrap_or_else(PoisonError::into_inner).clone(),
        }
    }

    /// All that lives, by caller and heap.
    ///
    /// # Errors
    /// If it cannot be found out.
    pub fn live(&self) -> std::io::Result<Vec<Holdings>> {
        let mut ledgers = self.lock().ledgers();
        self.sweep(&ledgers)?;
        self.lock().swept_all();
        ledgers.sort_by(|a, b| (&a.caller, a.heap).cmp(&(&b.caller, b.heap)));
        let holdings = |ledger: Arc<Ledger>| Holdings {
            caller: ledger.caller.clone(),
            heap: ledger.heap,
            entries: ledger.entries(),
        };
        Ok(ledgers.into_iter().map(holdings).collect())
    }

    /// What each uid holds of a heap, as of now.
    pub fn holders(&self, heap: HeapId) -> Vec<(u32, Held)> {
        let ledgers = self.lock().ledgers_of(heap);
        // If it fails, all may still live.
        let _ = self.sweep(&ledgers);
        self.lock().holders(heap)
    }

    fn sweep_all(&self) {
        let ledgers = self.lock().ledgers();
        let unknown = self.sweep(&ledgers).err().map(|error| error.to_string());
        *self.unknown.lock().unwrap_or_else(PoisonError::into_inner) = unknown;
        self.lock().swept_all();
    }

    /// Sweeps the ledgers that a limit is about, for a call that met it at this
    /// moment. Of calls that meet a limit on several callers at once one does it
    /// for all: they may be many, and refused ones come for nothing.
    fn sweep_for(&self, what: (HeapId, Scope), arrival: u64, ledgers: &[Arc<Ledger>]) {
        if what.1 == Scope::Uid {
            // Without it, all may still live: the next look decides.
            let _ = self.sweep(ledgers);
            return;
        }
        let mut begun = self.begun.lock().unwrap_or_else(PoisonError::into_inner);
        if begun.get(&what).is_none_or(|begun| *begun < arrival) {
            begun.insert(what, self.lock().tick());
            // As above.
            let _ = self.sweep(ledgers);
        }
    }

    /// Forgets what is gone. Where that cannot be found out, all may still live.
    fn sweep(&self, ledgers: &[Arc<Ledger>]) -> std::io::Result<()> {
        let marked: Vec<_> = ledgers.iter().filter_map(|l| Some((l, l.mark()?))).collect();
        let mut last: Option<(&Arc<Watch>, Live)> = None;
        // Those that share a Watch come together, so that it is asked once.
        let (sharing, own): (Vec<_>, Vec<_>) = marked.iter().partition(|(l, _)| l.shares());
        for (ledger, mark) in own.into_iter().chain(sharing) {
            let live = match last.take().filter(|(watch, _)| Arc::ptr_eq(watch, &mark.watch)) {
                Some((_, live)) => live,
                None => Live::of(&mark.watch).inspect_err(|error| {
                    log::warn!("which buffers live cannot be found out: {error}");
                })?,
            };
            let gone = ledger.judge(mark, &live);
            last = Some((&mark.watch, live));
            if gone != Held::default() {
                self.lock().release(&self.policy, ledger, &gone);
            }
        }
        Ok(())
    }

    fn refusal(&self, who: Who<'_>, excess: &Excess) -> Error {
        let Excess { heap, limit, size, held, own } = *excess;
        Error::Limit {
            heap: self.policy.heaps.of(heap).name.clone(),
            whose: self.policy.whose(heap, limit.scope),
            limit: limit.most,
            size,
            held,
            uid: who.caller.uid,
            own,
        }
    }

    fn lock(&self) -> MutexGuard<'_, Books> {
        self.books.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Held {
    fn add(&mut self, kind: Kind, size: Bytes) {
        let (buffers, metadata) = match kind {
            Kind::Pixels => (1, 0),
            Kind::Metadata => (0, 1),
        };
        self.join(&Held { buffers, metadata, bytes: size });
    }

    fn join(&mut self, other: &Held) {
        self.buffers = self.buffers.saturating_add(other.buffers);
        self.metadata = self.metadata.saturating_add(other.metadata);
        self.bytes = plus(self.bytes, other.bytes);
    }

    fn part(&mut self, other: &Held) {
        self.buffers = self.buffers.saturating_sub(other.buffers);
        self.metadata = self.metadata.saturating_sub(other.metadata);
        self.bytes = minus(self.bytes, other.bytes);
    }
}

impl Holding {
    fn new(ledger: Arc<Ledger>) -> Holding {
        Holding { admitted: Bytes(0), live: Held::default(), ledger }
    }

    fn is_empty(&self) -> bool {
        self.admitted.0 == 0 && self.live == Held::default()
    }
}

impl Account {
    /// That of a caller of these classes, who did nothing yet.
    fn of(classes: ClassSet) -> Account {
        let totals = Totals { callers: 1, ..Totals::default() };
        Account { classes, totals, ..Account::default() }
    }

    fn live(&self) -> Held {
        let mut all = Held::default();
        self.holdings.values().for_each(|holding| all.join(&holding.live));
        all
    }
}

impl Totals {
    fn add(&mut self, other: &Totals) {
        self.callers = self.callers.saturating_add(other.callers);
        self.buffers = self.buffers.saturating_add(other.buffers);
        self.bytes = plus(self.bytes, other.bytes);
        self.failures = self.failures.saturating_add(other.failures);
    }
}

#[cfg(test)]
mod tests;
