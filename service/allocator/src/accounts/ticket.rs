// SPDX-License-Identifier: Apache-2.0
//! From admission to settlement.

use std::sync::Arc;

use dmaheap_buffer::Bytes;
use nix::errno::Errno;

use super::ledger::{Item, Ledger};
use super::{Accounts, Held};
use crate::error::{Error, Result};
use crate::policy::{HeapId, Need, Scope, Who};

/// An allocation that was admitted: settled, or given back when it is dropped.
#[derive(Debug)]
#[must_use]
pub struct Ticket<'a> {
    accounts: &'a Accounts,
    who: Who<'a>,
    parts: Vec<Part>,
}

/// Of one heap.
#[derive(Debug)]
pub(super) struct Part {
    pub ledger: Arc<Ledger>,
    pub admitted: Bytes,
    /// What was entered of it.
    pub made: Held,
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
                let id = books.open(who);
                self.parts.extend(need.iter().map(|(heap, size)| Part {
                    ledger: books.admit(policy, id, who, *heap, *size),
                    admitted: *size,
                    made: Held::default(),
                }));
                return Ok(());
            };
            let what = (excess.heap, excess.limit.scope);
            // What is too much by itself stays too much.
            if excess.size > excess.limit.most || swept.contains(&what) {
                drop(books);
                return Err(accounts.refusal(who, &excess));
            }
            swept.push(what);
            let arrival = books.tick();
            let ledgers = books.about(policy, who.caller.uid, &excess);
            drop(books);
            accounts.sweep_for(what, arrival, &ledgers);
        }
    }

    /// Replaces what was admitted by what was made. Each comes with the heap it
    /// is from, which is one of those that were admitted.
    ///
    /// # Errors
    /// [`Error::System`] if it cannot be watched. Then none of it may leave the
    /// service; what was entered already is found gone by the next sweep.
    pub fn settle<'b>(mut self, mut items: impl Iterator<Item = Item<'b>>) -> Result<()> {
        let what = "watching a buffer for when it is released";
        let watched = items.try_for_each(|item| self.enter(&item));
        let accounts = self.accounts;
        let ledgers = self.parts.iter().map(|part| part.ledger.clone());
        let due: Vec<_> = ledgers.filter(|ledger| ledger.is_due()).collect();
        drop(self);
        // If it fails, all may still live.
        let _ = accounts.sweep(&due);
        watched.map_err(|cause| Error::System { what, cause })
    }

    fn enter(&mut self, item: &Item<'_>) -> std::result::Result<(), Errno> {
        let part = self.parts.iter_mut().find(|part| part.ledger.heap == item.heap);
        let part = part.ok_or(Errno::EINVAL)?;
        part.ledger.enter(item, &self.accounts.source)?;
        part.made.add(item.kind, item.size);
        Ok(())
    }
}

/// What was entered stays, the rest is given back.
impl Drop for Ticket<'_> {
    fn drop(&mut self) {
        let mut books = self.accounts.lock();
        for part in &self.parts {
            books.settle(&self.accounts.policy, self.who, part);
        }
    }
}
