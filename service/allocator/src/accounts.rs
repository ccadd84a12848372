// SPDX-License-Identifier: Apache-2.0
//! Who holds what.
//!
//! A buffer leaves the service with the reply and never reports back. What
//! tells whether it still exists is the kernel: as long as a dma-buf lives,
//! `/sys/kernel/dmabuf/buffers` has a folder named after its inode. Looking
//! there for every buffer would cost more than allocating one, so buffers are
//! counted as live until a *sweep* finds them gone. A sweep happens when
//!
//! - a caller would exceed a limit, before it is refused,
//! - somebody wants to see the accounts,
//! - as many buffers were handed out as were found live the last time, which
//!   bounds the memory this takes and costs little per buffer.
//!
//! Between sweeps the numbers are upper bounds. A kernel without these folders
//! (CONFIG_DMABUF_SYSFS_STATS) gives no bounds: then nothing is kept but
//! totals, and limits per uid are off.
//!
//! An allocation is admitted before memory is taken and settled afterwards, so
//! that two calls at once cannot both squeeze under a limit. The ticket in
//! between gives itself back wherever a call ends early.
//!
//! A caller that holds nothing is remembered for people only. Of those there
//! are at most [`REMEMBERED`]; whoever was away longest is forgotten, but for
//! the totals.

use std::collections::{BTreeMap, HashSet};
use std::io;
use std::os::fd::OwnedFd;
use std::sync::{Mutex, MutexGuard, PoisonError};

use dmaheap_aidl::binder::Caller;
use dmaheap_buffer::Bytes;
use dmaheap_dmabuf::kernel::LiveList;
use nix::sys::stat::fstat;

use crate::error::{Error, Result};
use crate::policy::Spec;

/// Fewer buffers than this are not worth a sweep.
const FEW: usize = 64;

/// So many callers that hold nothing are remembered.
pub const REMEMBERED: usize = 256;

/// Accounts of all callers.
#[derive(Debug)]
pub struct Accounts {
    /// Where it can be read.
    live: Option<LiveList>,
    books: Mutex<Books>,
}

#[derive(Debug, Default)]
struct Books {
    accounts: BTreeMap<Caller, Account>,
    forgotten: Totals,
    /// Rises with each entry into an account.
    now: u64,
    heaps: BTreeMap<String, Held>,
    next_ticket: u64,
    /// Buffers handed out since the last sweep, and found live by it.
    handed_out: usize,
    found_live: usize,
}

/// What callers did, ever.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Totals {
    /// Callers it is about.
    pub callers: u64,
    /// Buffers they were given.
    pub buffers: u64,
    /// Their size together.
    pub bytes: Bytes,
    /// Requests that failed.
    pub failures: u64,
}

/// What one caller did.
#[derive(Debug, Clone, Default)]
pub struct Account {
    /// What it did, ever.
    pub totals: Totals,
    /// Why a request failed, the last time.
    pub last_failure: Option<String>,
    entries: Vec<Entry>,
    last_seen: u64,
}

/// Memory of one heap that is in use.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Held {
    /// How many buffers.
    pub buffers: u64,
    /// Their size together.
    pub bytes: Bytes,
    /// The most bytes there were at any time; an upper bound, as between sweeps.
    pub peak: Bytes,
}

#[derive(Debug, Clone)]
struct Entry {
    heap: String,
    size: Bytes,
    state: State,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum State {
    /// Admitted, not yet settled.
    Admitted(u64),
    /// A buffer with this inode.
    Buffer(u64),
}

/// An allocation that was admitted: settled, or given back when it is dropped.
#[derive(Debug)]
#[must_use]
pub struct Ticket<'a> {
    accounts: &'a Accounts,
    caller: &'a Caller,
    number: u64,
}

/// What the accounts say at one moment.
#[derive(Debug, Clone, Default)]
pub struct Statements {
    /// Of each caller that is remembered.
    pub callers: Vec<Statement>,
    /// Of those that are not.
    pub forgotten: Totals,
    /// By heap.
    pub heaps: BTreeMap<String, Held>,
}

/// A caller with its account, as of a sweep.
#[derive(Debug, Clone)]
pub struct Statement {
    /// Who.
    pub caller: Caller,
    /// What it did so far.
    pub account: Account,
    /// How many of its buffers live.
    pub live_buffers: u64,
    /// Their size together.
    pub live_bytes: Bytes,
}

impl Accounts {
    /// Empty accounts, and where the kernel lists live dma-bufs.
    pub fn new(live: io::Result<LiveList>) -> Accounts {
        let off = |error: io::Error| {
            log::warn!(
                "limits per uid are off, because live buffers cannot be listed: {error}; \
                 the kernel needs CONFIG_DMABUF_SYSFS_STATS"
            );
        };
        Accounts { live: live.map_err(off).ok(), books: Mutex::default() }
    }

    /// The kernel's list, where it has one.
    pub fn live(&self) -> Option<&LiveList> {
        self.live.as_ref()
    }

    /// Whether released buffers can be told from live ones.
    pub fn knows_live(&self) -> bool {
        self.live.is_some()
    }

    /// Admits `size` bytes of a heap for this caller.
    ///
    /// # Errors
    /// [`Error::Quota`] if its uid would then hold more than the heap allows.
    pub fn admit<'a>(&'a self, caller: &'a Caller, heap: &Spec, size: Bytes) -> Result<Ticket<'a>> {
        let mut books = self.lock();
        let number = books.next_ticket;
        books.next_ticket = number.wrapping_add(1);
        books.admit(caller, heap, size, number, self.live.as_ref())?;
        Ok(Ticket { accounts: self, caller, number })
    }

    /// Notes a request that failed.
    pub fn fail(&self, caller: &Caller, error: &Error) {
        let mut books = self.lock();
        let account = books.account(caller);
        account.totals.failures = account.totals.failures.saturating_add(1);
        account.last_failure = Some(error.to_string());
    }

    /// All accounts and all heaps, as of now.
    pub fn statements(&self) -> Statements {
        let mut books = self.lock();
        if let Some(live) = &self.live {
            books.sweep(live);
        }
        let statement = |(caller, account): (&Caller, &Account)| {
            let live = account.entries.iter();
            Statement {
                caller: caller.clone(),
                account: account.clone(),
                live_buffers: live.len() as u64,
                live_bytes: total(live),
            }
        };
        Statements {
            callers: books.accounts.iter().map(statement).collect(),
            forgotten: books.forgotten,
            heaps: books.heaps.clone(),
        }
    }

    fn lock(&self) -> MutexGuard<'_, Books> {
        self.books.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Ticket<'_> {
    /// Admits `size` bytes of another heap as well.
    ///
    /// # Errors
    /// As for [`Accounts::admit`].
    pub fn admit(&self, heap: &Spec, size: Bytes) -> Result<()> {
        let live = self.accounts.live.as_ref();
        self.accounts.lock().admit(self.caller, heap, size, self.number, live)
    }

    /// Replaces what was admitted by the buffers that were made. Each comes
    /// with the heap it is from, which may be another than was admitted.
    pub fn settle<'b>(self, buffers: impl Iterator<Item = (&'b str, Bytes, &'b OwnedFd)>) {
        let mut books = self.accounts.lock();
        let live = self.accounts.live.as_ref();
        books.withdraw(self.caller, self.number);
        for (heap, size, buffer) in buffers {
            // An inode that cannot be told is none that lives.
            let inode = fstat(buffer).map_or(0, |stat| stat.st_ino);
            books.hand_out(self.caller, heap, size, inode, live.is_some());
        }
        if let Some(live) = live
            && books.handed_out > books.found_live.max(FEW)
        {
            books.sweep(live);
        }
        drop(books);
        // Nothing is left to give back.
        std::mem::forget(self);
    }
}

impl Drop for Ticket<'_> {
    fn drop(&mut self) {
        self.accounts.lock().withdraw(self.caller, self.number);
    }
}

impl Books {
    /// A caller's account, opened if it has none.
    fn account(&mut self, caller: &Caller) -> &mut Account {
        if !self.accounts.contains_key(caller) {
            self.forget_one();
        }
        self.now = self.now.wrapping_add(1);
        let account = self.accounts.entry(caller.clone()).or_default();
        account.totals.callers = 1;
        account.last_seen = self.now;
        account
    }

    /// Makes room for another caller, if too many are remembered.
    fn forget_one(&mut self) {
        let idle = self.accounts.iter().filter(|(_, account)| account.entries.is_empty());
        if idle.clone().count() < REMEMBERED {
            return;
        }
        let oldest = idle.min_by_key(|(_, account)| account.last_seen);
        if let Some(caller) = oldest.map(|(caller, _)| caller.clone())
            && let Some(account) = self.accounts.remove(&caller)
        {
            self.forgotten.add(&account.totals);
        }
    }

    fn held_by(&self, uid: u32, heap: &str) -> Bytes {
        let of_uid = self.accounts.iter().filter(|(caller, _)| caller.uid == uid);
        let entries = of_uid.flat_map(|(_, account)| &account.entries);
        total(entries.filter(|entry| entry.heap == heap))
    }

    fn would_exceed(&self, uid: u32, heap: &str, size: Bytes, limit: Bytes) -> bool {
        self.held_by(uid, heap).checked_add(size).is_none_or(|sum| sum > limit)
    }

    /// Admits, if that exceeds no limit once what is gone is forgotten.
    fn admit(
        &mut self,
        caller: &Caller,
        heap: &Spec,
        size: Bytes,
        ticket: u64,
        live: Option<&LiveList>,
    ) -> Result<()> {
        if let (Some(limit), Some(live)) = (heap.per_uid, live) {
            if self.would_exceed(caller.uid, &heap.name, size, limit) {
                self.sweep(live);
            }
            if self.would_exceed(caller.uid, &heap.name, size, limit) {
                let held = self.held_by(caller.uid, &heap.name);
                return Err(Error::Quota { heap: heap.name.clone(), uid: caller.uid, held, limit });
            }
        }
        let entry = Entry { heap: heap.name.clone(), size, state: State::Admitted(ticket) };
        self.account(caller).entries.push(entry);
        Ok(())
    }

    fn withdraw(&mut self, caller: &Caller, ticket: u64) {
        if let Some(account) = self.accounts.get_mut(caller) {
            account.entries.retain(|entry| entry.state != State::Admitted(ticket));
        }
    }

    fn hand_out(&mut self, caller: &Caller, heap: &str, size: Bytes, inode: u64, keep: bool) {
        let account = self.account(caller);
        account.totals.add(&Totals { buffers: 1, bytes: size, ..Totals::default() });
        if keep {
            let state = State::Buffer(inode);
            account.entries.push(Entry { heap: heap.to_owned(), size, state });
            self.handed_out = self.handed_out.saturating_add(1);
            let held = self.heaps.entry(heap.to_owned()).or_default();
            held.buffers = held.buffers.saturating_add(1);
            held.bytes = Bytes(held.bytes.0.saturating_add(size.0));
            held.peak = held.peak.max(held.bytes);
        }
    }

    /// Forgets every buffer that the kernel no longer has.
    fn sweep(&mut self, live: &LiveList) {
        // If the list cannot be read now, all may still live.
        let Ok(inodes) = live.inodes() else { return };
        let live: HashSet<u64> = inodes.collect();
        for account in self.accounts.values_mut() {
            account.entries.retain(|entry| match entry.state {
                State::Admitted(_) => true,
                State::Buffer(inode) => live.contains(&inode),
            });
        }
        self.recount();
    }

    fn recount(&mut self) {
        for held in self.heaps.values_mut() {
            *held = Held { peak: held.peak, ..Held::default() };
        }
        self.handed_out = 0;
        self.found_live = 0;
        for entry in self.accounts.values().flat_map(|account| &account.entries) {
            if let (State::Buffer(_), Some(held)) = (entry.state, self.heaps.get_mut(&entry.heap)) {
                held.buffers = held.buffers.saturating_add(1);
                held.bytes = Bytes(held.bytes.0.saturating_add(entry.size.0));
                self.found_live = self.found_live.saturating_add(1);
            }
        }
    }
}

impl Totals {
    fn add(&mut self, other: &Totals) {
        self.callers = self.callers.saturating_add(other.callers);
        self.buffers = self.buffers.saturating_add(other.buffers);
        self.bytes = Bytes(self.bytes.0.saturating_add(other.bytes.0));
        self.failures = self.failures.saturating_add(other.failures);
    }
}

fn total<'e>(entries: impl Iterator<Item = &'e Entry>) -> Bytes {
    Bytes(entries.fold(0, |sum, entry| sum.saturating_add(entry.size.0)))
}

#[cfg(test)]
mod tests;
