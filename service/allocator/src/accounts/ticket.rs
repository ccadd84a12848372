// SPDX-License-Identifier: Apache-2.0
//! From admission to settlement.

use std::slice;
use std::sync::Arc;

use dmaheap_buffer::Bytes;

use super::ledger::{Item, Ledger, Source};
use super::{Accounts, Held};
use crate::error::{Error, Result};
use crate::policy::{HeapId, Need, Scope, Who};

/// An allocation that was admitted: settled, or given back when it is dropped.
#[derive(Debug)]
#[must_use]
pub struct Ticket<'a> {
    accounts: &'a Accounts,
    who: Who<'a>,
    parts: Vec<(Arc<Ledger>, Bytes)>,
}

impl<'a> Ticket<'a> {
    /// For nothing yet.
    pub(super) fn new(accounts: &'a Accounts, who: Who<'a>) -> Ticket<'a> {
        Ticket { accounts, who, parts: Vec::new() }
    }

    /// Admits another need as well.
    ///
    /// # Errors
    /// As for [`Accounts::admit`].
    pub fn admit(&mut self, need: &Need, blind: Option<Bytes>) -> Result<()> {
        let Ticket { accounts, who, .. } = *self;
        let policy = &accounts.policy;
        let mut swept: Vec<(HeapId, Scope)> = Vec::new();
        loop {
            let mut books = accounts.lock();
            let Some(excess) = books.excess(policy, who, need, blind) else {
                let admit = |(heap, size): &(_, _)| (books.admit(policy, who, *heap, *size), *size);
                self.parts.extend(need.iter().map(admit));
                return Ok(());
            };
            let what = (excess.heap, excess.limit.scope);
            // What is too much by itself stays too much.
            if excess.size > excess.limit.most || swept.contains(&what) {
                drop(books);
                return Err(accounts.refusal(who, &excess));
            }
            swept.push(what);
            let ledgers = books.about(policy, who.caller.uid, &excess);
            drop(books);
            // Without it, all may still live: the next look decides.
            let _ = accounts.sweep(&ledgers);
        }
    }

    /// Replaces what was admitted by what was made. Each comes with the heap it
    /// is from, which is one of those that were admitted.
    ///
    /// # Errors
    /// [`Error::System`] if it cannot be watched. Then none of it may leave the
    /// service; what was entered already is found gone by the next sweep.
    pub fn settle<'b>(mut self, items: impl Iterator<Item = Item<'b>>) -> Result<()> {
        let parts = std::mem::take(&mut self.parts);
        let mut made = vec![Held::default(); parts.len()];
        let Ticket { accounts, who, .. } = self;
        let watched = enter(&accounts.source, &parts, &mut made, items);
        let mut books = accounts.lock();
        for ((ledger, admitted), made) in parts.iter().zip(&made) {
            // In this order a holding is not empty in between.
            books.hand_out(&accounts.policy, who, ledger.heap, made);
            books.withdraw(&accounts.policy, who, ledger.heap, *admitted);
        }
        drop(books);
        for (ledger, _) in parts.iter().filter(|(ledger, _)| ledger.is_due()) {
            // Without it, all may still live.
            let _ = accounts.sweep(slice::from_ref(ledger));
        }
        watched
    }
}

fn enter<'b>(
    source: &Source,
    parts: &[(Arc<Ledger>, Bytes)],
    made: &mut [Held],
    mut items: impl Iterator<Item = Item<'b>>,
) -> Result<()> {
    let what = "watching a buffer for when it is released";
    items.try_for_each(|item| {
        let mut parts = parts.iter().zip(&mut *made);
        let part = parts.find(|((ledger, _), _)| ledger.heap == item.heap);
        let Some(((ledger, _), made)) = part else { return Ok(()) };
        ledger.enter(&item, source).map_err(|cause| Error::System { what, cause })?;
        made.add(item.kind, item.size);
        Ok(())
    })
}

impl Drop for Ticket<'_> {
    fn drop(&mut self) {
        let mut books = self.accounts.lock();
        for (ledger, admitted) in &self.parts {
            books.withdraw(&self.accounts.policy, self.who, ledger.heap, *admitted);
        }
    }
}
