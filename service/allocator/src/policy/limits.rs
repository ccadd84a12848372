// SPDX-License-Identifier: Apache-2.0
//! How much whom may hold.

use dmaheap_buffer::Bytes;
use nix::sys::sysinfo::sysinfo;
use nix::unistd::{SysconfVar, sysconf};

use super::caller::{Callers, ClassId, ClassSet, Who};
use super::heaps::HeapId;
use super::model::Policy;
use crate::error::{Error, Result};

/// What of a machine a policy's figures depend on.
#[derive(Debug, Clone, Copy)]
pub struct Machine {
    /// All memory is given in whole pages.
    pub page: Bytes,
    /// All of its memory; where it is not known, shares of it are no limit.
    pub memory: Option<Bytes>,
}

/// A limit as the policy file has it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Amount {
    /// So much.
    Bytes(Bytes),
    /// So many hundredths of the machine's memory.
    Percent(u8),
}

/// What of a heap only some may take.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Keep {
    /// All others together leave so much of the heap's size.
    pub size: Bytes,
    /// For whom.
    pub callers: Callers,
}

/// Whose buffers a limit counts together.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Scope {
    /// Those of the caller's uid.
    Uid,
    /// Those of a class that the caller is in.
    Class(ClassId),
    /// Those of all for whom the heap keeps nothing.
    Others,
    /// Those of everybody on all heaps of scattered memory.
    Scattered,
}

/// One limit that holds for a caller.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Limit {
    /// What is counted.
    pub scope: Scope,
    /// The most that there may be.
    pub most: Bytes,
}

impl Machine {
    /// Any machine: the smallest page there is, and who knows what memory.
    pub const ANY: Machine = Machine { page: Bytes(4096), memory: None };

    /// This one.
    pub fn this() -> Machine {
        let page = sysconf(SysconfVar::PAGE_SIZE).ok().flatten();
        let page = page.and_then(|page| u64::try_from(page).ok()).map_or(Machine::ANY.page, Bytes);
        Machine { page, memory: sysinfo().ok().map(|info| Bytes(info.ram_total())) }
    }
}

impl Amount {
    /// In bytes, on this machine.
    pub fn on(self, machine: &Machine) -> Option<Bytes> {
        match self {
            Amount::Bytes(bytes) => Some(bytes),
            Amount::Percent(share) => machine.memory.map(|all| {
                let share = (all.0 / 100).saturating_mul(share.into());
                // Whole MiB can be read.
                Bytes(share >> 20 << 20)
            }),
        }
    }
}

impl Keep {
    /// Whether something is kept for callers of these classes.
    pub fn is_for(&self, classes: ClassSet) -> bool {
        self.callers.classes.intersects(classes)
    }
}

impl Policy {
    /// The limits of a heap that hold for a caller.
    pub fn limits(&self, heap: HeapId, classes: ClassSet) -> impl Iterator<Item = Limit> + '_ {
        let spec = self.heaps.of(heap);
        let per_uid = spec.per_uid.iter().map(|amount| (Scope::Uid, *amount));
        let per_class = spec.per_class.iter().filter(move |(class, _)| classes.has(*class));
        let per_class = per_class.map(|(class, amount)| (Scope::Class(*class), *amount));
        let amounts = per_uid
            .chain(per_class)
            .filter_map(|(scope, amount)| Some(Limit { scope, most: amount.on(&self.machine)? }));
        let others = spec.left_for_others(classes);
        amounts.chain(others.map(|most| Limit { scope: Scope::Others, most }))
    }

    /// A heap's limit on each uid or on a class, for everybody to see.
    pub fn limit(&self, heap: HeapId, scope: Scope) -> Option<Bytes> {
        let classes = match scope {
            Scope::Class(class) => ClassSet::from_iter([class]),
            _ => ClassSet::default(),
        };
        let limit = self.limits(heap, classes).find(|limit| limit.scope == scope);
        limit.map(|limit| limit.most)
    }

    /// For messages: whose buffers a limit of this heap counts.
    pub fn whose(&self, heap: HeapId, scope: Scope) -> String {
        match scope {
            Scope::Uid => "one uid".to_owned(),
            Scope::Class(class) => format!("all of class {} together", self.classes.name(class)),
            Scope::Others => {
                let keep = self.heaps.of(heap).keep.as_ref();
                let kept = keep.map_or(String::new(), |keep| keep.callers.to_string());
                format!("all but {kept} together")
            }
            Scope::Scattered => {
                "all callers of scattered memory, while /proc/meminfo cannot be read,".to_owned()
            }
        }
    }

    /// Whether a caller may hold `size` of a heap while nobody holds anything.
    ///
    /// # Errors
    /// [`Error::AboveLimit`].
    pub(super) fn within_limits(&self, heap: HeapId, who: Who<'_>, size: Bytes) -> Result<()> {
        match self.limits(heap, who.classes).find(|limit| size > limit.most) {
            None => Ok(()),
            Some(Limit { scope, most }) => Err(Error::AboveLimit {
                heap: self.heaps.of(heap).name.clone(),
                whose: self.whose(heap, scope),
                size,
                limit: most,
            }),
        }
    }
}
