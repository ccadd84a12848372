// SPDX-License-Identifier: Apache-2.0
//! The sums, by everything that a limit can be about. They are kept with each
//! change, so that to admit takes as many steps as there are limits, however
//! many buffers live.

use std::collections::BTreeMap;
use std::sync::Arc;

use dmaheap_aidl::binder::Caller;
use dmaheap_buffer::Bytes;

use super::ledger::{self, Ledger};
use super::ticket::Part;
use super::{Account, Held, Holding, REMEMBERED, Totals};
use crate::policy::{ClassId, HeapId, Limit, Need, PerHeap, Policy, Scope, Who};

/// So many ledgers are not worth looking through.
const FEW: usize = 64;

/// An account, until it is forgotten.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct AccountId(u64);

#[derive(Debug)]
pub(super) struct Books {
    /// Whose which account is: a caller's name is looked up once for a request.
    ids: BTreeMap<Caller, AccountId>,
    accounts: BTreeMap<AccountId, Account>,
    next: u64,
    pub forgotten: Totals,
    pub sums: PerHeap<Sums>,
    /// Rises with whatever comes before or after something else.
    now: u64,
    /// Ledgers there are, and that were left when all were swept.
    ledgers: usize,
    left: usize,
}

/// What is held of one heap.
#[derive(Debug, Clone, Default)]
pub(super) struct Sums {
    pub live: Held,
    pub peak: Bytes,
    // What was admitted counts below, too: these are held against limits.
    uids: BTreeMap<u32, Bytes>,
    classes: Vec<Bytes>,
    pub others: Bytes,
    all: Bytes,
}

/// A limit that a request would exceed.
#[derive(Debug, Clone, Copy)]
pub(super) struct Excess {
    pub heap: HeapId,
    pub limit: Limit,
    pub size: Bytes,
    pub held: Bytes,
    pub own: Bytes,
}

impl Books {
    pub fn new(policy: &Policy) -> Books {
        let classes = vec![Bytes(0); policy.classes.iter().count()];
        let sums = policy.heaps.map(|_, _| Sums { classes: classes.clone(), ..Sums::default() });
        Books {
            ids: BTreeMap::new(),
            accounts: BTreeMap::new(),
            next: 0,
            forgotten: Totals::default(),
            sums,
            now: 0,
            ledgers: 0,
            left: 0,
        }
    }

    /// All accounts, in the order of their callers.
    pub fn accounts(&self) -> impl Iterator<Item = (&Caller, &Account)> {
        self.ids.iter().filter_map(|(caller, id)| Some((caller, self.accounts.get(id)?)))
    }

    /// A caller's account, opened if it has none.
    pub fn open(&mut self, who: Who<'_>) -> AccountId {
        let now = self.tick();
        let id = self.ids.get(who.caller).copied().unwrap_or_else(|| {
            self.forget_one();
            let id = AccountId(self.next);
            self.next = self.next.wrapping_add(1);
            self.ids.insert(who.caller.clone(), id);
            self.accounts.insert(id, Account::of(who.classes));
            id
        });
        if let Some(account) = self.accounts.get_mut(&id) {
            account.last_seen = now;
        }
        id
    }

    /// A moment after all others.
    pub fn tick(&mut self) -> u64 {
        self.now = self.now.wrapping_add(1);
        self.now
    }

    /// Notes a request that failed.
    pub fn fail(&mut self, who: Who<'_>, why: String) {
        let id = self.open(who);
        if let Some(account) = self.accounts.get_mut(&id) {
            account.totals.failures = account.totals.failures.saturating_add(1);
            account.last_failure = Some(why);
        }
    }

    /// Makes room for another caller, if too many are remembered.
    fn forget_one(&mut self) {
        let idle = self.accounts().filter(|(_, account)| account.holdings.is_empty());
        let (mut count, mut oldest) = (0, None::<(&Caller, u64)>);
        for (caller, account) in idle {
            count = usize::saturating_add(count, 1);
            if oldest.is_none_or(|(_, seen)| account.last_seen < seen) {
                oldest = Some((caller, account.last_seen));
            }
        }
        if count >= REMEMBERED
            && let Some(caller) = oldest.map(|(caller, _)| caller.clone())
            && let Some(id) = self.ids.remove(&caller)
            && let Some(account) = self.accounts.remove(&id)
        {
            self.forgotten.add(&account.totals);
        }
    }

    /// The first limit that the need would exceed. `blind` is that of all
    /// scattered memory together, if it holds.
    pub fn excess(
        &self,
        policy: &Policy,
        who: Who<'_>,
        need: &Need,
        blind: Option<Bytes>,
    ) -> Option<Excess> {
        let own = |heap| self.sums.of(heap).uid(who.caller.uid);
        let excess = |heap, limit: Limit, size, held: Bytes| {
            let exceeds = held.checked_add(size).is_none_or(|sum| sum > limit.most);
            exceeds.then(|| Excess { heap, limit, size, held, own: own(heap) })
        };
        let of_heap = need.iter().find_map(|(heap, size)| {
            policy.limits(*heap, who.classes).find_map(|limit| {
                let held = self.sums.of(*heap).held(limit.scope, who.caller.uid);
                excess(*heap, limit, *size, held)
            })
        });
        let is_scattered = |heap| !policy.heaps.of(heap).contiguous;
        of_heap.or_else(|| {
            let limit = Limit { scope: Scope::Scattered, most: blind? };
            let held = self.sums.iter().filter(|(heap, _)| is_scattered(*heap));
            let held = held.map(|(_, sums)| sums.all).fold(Bytes(0), plus);
            let mut sizes = need.iter().filter(|(heap, _)| is_scattered(*heap));
            let (heap, _) = *sizes.clone().next()?;
            let size = sizes.try_fold(Bytes(0), |sum, (_, size)| sum.checked_add(*size));
            excess(heap, limit, size.unwrap_or(Bytes(u64::MAX)), held)
        })
    }

    /// The ledgers that a limit is about.
    pub fn about(&self, policy: &Policy, uid: u32, excess: &Excess) -> Vec<Arc<Ledger>> {
        let Excess { heap, limit: Limit { scope, .. }, .. } = *excess;
        let first = match scope {
            Scope::Uid => Caller { uid, context: None },
            _ => Caller { uid: 0, context: None },
        };
        let keep = policy.heaps.of(heap).keep.as_ref();
        let counts = |account: &Account| match scope {
            Scope::Class(class) => account.classes.has(class),
            Scope::Others => keep.is_none_or(|keep| !keep.is_for(account.classes)),
            Scope::Uid | Scope::Scattered => true,
        };
        let is_about = |of: HeapId| match scope {
            Scope::Scattered => !policy.heaps.of(of).contiguous,
            _ => of == heap,
        };
        (self.ids.range(first..))
            .take_while(|(caller, _)| scope != Scope::Uid || caller.uid == uid)
            .filter_map(|(_, id)| self.accounts.get(id))
            .filter(|account| counts(account))
            .flat_map(|account| account.holdings.iter())
            .filter(|(of, _)| is_about(**of))
            .map(|(_, holding)| holding.ledger.clone())
            .collect()
    }

    /// All ledgers.
    pub fn ledgers(&self) -> Vec<Arc<Ledger>> {
        let holdings = self.accounts.values().flat_map(|account| account.holdings.values());
        holdings.map(|holding| holding.ledger.clone()).collect()
    }

    /// Those of one heap.
    pub fn ledgers_of(&self, heap: HeapId) -> Vec<Arc<Ledger>> {
        let holdings = self.accounts.values().filter_map(|account| account.holdings.get(&heap));
        holdings.map(|holding| holding.ledger.clone()).collect()
    }

    /// What lives of one heap, by uid.
    pub fn holders(&self, heap: HeapId) -> Vec<(u32, Held)> {
        let mut all = BTreeMap::<u32, Held>::new();
        for (caller, account) in self.accounts() {
            let live = account.holdings.get(&heap).map(|holding| holding.live);
            if let Some(live) = live.filter(|live| *live != Held::default()) {
                all.entry(caller.uid).or_default().join(&live);
            }
        }
        all.into_iter().collect()
    }

    /// Notes that all were swept. Those of holders that died are gone now.
    pub fn swept_all(&mut self) {
        self.left = self.ledgers;
    }

    /// Whether there are so many ledgers that some are probably of holders that
    /// died and will never reach a limit of their own.
    pub fn has_many_ledgers(&self) -> bool {
        self.ledgers > self.left.saturating_mul(2).saturating_add(FEW)
    }

    /// Counts `size` as the caller's before it is taken.
    pub fn admit(
        &mut self,
        policy: &Policy,
        id: AccountId,
        who: Who<'_>,
        heap: HeapId,
        size: Bytes,
    ) -> Arc<Ledger> {
        self.change(policy, who, heap, |sum| *sum = plus(*sum, size));
        let shares = self.ledgers >= ledger::OWN;
        let all = &mut self.ledgers;
        let account = self.accounts.entry(id).or_insert_with(|| Account::of(who.classes));
        let holding = account.holdings.entry(heap).or_insert_with(|| {
            *all = all.saturating_add(1);
            Holding::new(Arc::new(Ledger::new(id, who.caller, heap, shares)))
        });
        holding.admitted = plus(holding.admitted, size);
        holding.ledger.clone()
    }

    /// Counts what was made instead of what was admitted.
    pub fn settle(&mut self, policy: &Policy, who: Who<'_>, part: &Part) {
        let Part { ledger, admitted, made } = part;
        let heap = ledger.heap;
        // In this order no sum is less in between than it is before and after.
        self.change(policy, who, heap, |sum| *sum = minus(plus(*sum, made.bytes), *admitted));
        if let Some(account) = self.accounts.get_mut(&ledger.account) {
            let (buffers, bytes) = (made.buffers, made.bytes);
            account.totals.add(&Totals { buffers, bytes, ..Totals::default() });
        }
        self.with_holding(ledger, |holding| {
            holding.live.join(made);
            holding.admitted = minus(holding.admitted, *admitted);
        });
        let sums = self.sums.of_mut(heap);
        sums.live.join(made);
        sums.peak = sums.peak.max(sums.live.bytes);
    }

    /// Counts what is gone no longer.
    pub fn release(&mut self, policy: &Policy, ledger: &Ledger, gone: &Held) {
        let Some(account) = self.accounts.get(&ledger.account) else { return };
        let who = Who { caller: &ledger.caller, classes: account.classes };
        self.change(policy, who, ledger.heap, |sum| *sum = minus(*sum, gone.bytes));
        self.sums.of_mut(ledger.heap).live.part(gone);
        self.with_holding(ledger, |holding| holding.live.part(gone));
    }

    /// Changes a holding. One of nothing is removed, and its ledger's descriptor
    /// closed with it.
    fn with_holding(&mut self, ledger: &Ledger, change: impl FnOnce(&mut Holding)) {
        let Some(account) = self.accounts.get_mut(&ledger.account) else { return };
        let Some(holding) = account.holdings.get_mut(&ledger.heap) else { return };
        change(holding);
        if holding.is_empty() {
            account.holdings.remove(&ledger.heap);
            self.ledgers = self.ledgers.saturating_sub(1);
        }
    }

    /// Changes every sum that a caller's buffers of a heap are in.
    fn change(&mut self, policy: &Policy, who: Who<'_>, heap: HeapId, change: impl Fn(&mut Bytes)) {
        let keep = policy.heaps.of(heap).keep.as_ref();
        let sums = self.sums.of_mut(heap);
        change(&mut sums.all);
        if keep.is_some_and(|keep| !keep.is_for(who.classes)) {
            change(&mut sums.others);
        }
        let of_classes = (0..).map(ClassId).zip(&mut sums.classes);
        of_classes.filter(|(class, _)| who.classes.has(*class)).for_each(|(_, sum)| change(sum));
        let uid = sums.uids.entry(who.caller.uid).or_default();
        change(uid);
        if uid.0 == 0 {
            sums.uids.remove(&who.caller.uid);
        }
    }
}

impl Sums {
    pub fn held(&self, scope: Scope, uid: u32) -> Bytes {
        match scope {
            Scope::Uid => self.uid(uid),
            Scope::Class(class) => self.class(class),
            Scope::Others => self.others,
            Scope::Scattered => self.all,
        }
    }

    fn uid(&self, uid: u32) -> Bytes {
        self.uids.get(&uid).copied().unwrap_or_default()
    }

    /// What all callers of a class hold, or are about to.
    pub fn class(&self, class: ClassId) -> Bytes {
        self.classes.get(class.0).copied().unwrap_or_default()
    }
}

pub(super) fn plus(a: Bytes, b: Bytes) -> Bytes {
    Bytes(a.0.saturating_add(b.0))
}

pub(super) fn minus(a: Bytes, b: Bytes) -> Bytes {
    Bytes(a.0.saturating_sub(b.0))
}
