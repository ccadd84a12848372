// SPDX-License-Identifier: Apache-2.0
//! What a region looked like when it had no room, for whoever sizes regions: what was asked for, the
//! largest hole, who holds the rest, and how large it would have to be.
//!
//! Everybody may read the first part. Who holds what is for the log and for privileged readers.

use std::fmt;

use dmaheap_buffer::Bytes;
use dmaheap_dmabuf::kernel;

use crate::accounts::Held;

/// So many holders are named.
const NAMED: usize = 4;

/// A region right after it refused: while it did others may have taken or released some.
#[derive(Debug, Clone)]
pub struct Shortage {
    asked: Bytes,
    hole: Bytes,
    size: Bytes,
    /// Who holds how much by the accounts, the most first. Who opens the node itself is in none.
    holders: Vec<(u32, Held)>,
}

impl Shortage {
    /// Of the driver's region behind this node, if it is one.
    pub fn of(node: &str, asked: Bytes) -> Option<Shortage> {
        let region = kernel::region(node).ok()?;
        let (hole, size) = (Bytes(region.largest_free), Bytes(region.size));
        Some(Shortage { asked, hole, size, holders: Vec::new() })
    }

    /// Notes what each uid holds.
    pub fn note(&mut self, mut holders: Vec<(u32, Held)>) {
        holders.sort_by_key(|(_, held)| std::cmp::Reverse(held.bytes));
        self.holders = holders;
    }

    /// Who holds how much, if anybody does.
    pub fn holders(&self) -> Option<String> {
        let named = self.holders.iter().take(NAMED).map(|(uid, held)| {
            format!("uid {uid} holds {} in {} buffers", held.bytes, held.buffers)
        });
        let others = self.holders.iter().skip(NAMED).map(|(_, held)| held.bytes.0);
        let (count, bytes) = (others.clone().count(), Bytes(others.fold(0, u64::saturating_add)));
        let others = (count > 0).then(|| format!("{count} others hold {bytes}"));
        let all: Vec<String> = named.chain(others).collect();
        (!all.is_empty()).then(|| all.join(", "))
    }
}

impl fmt::Display for Shortage {
    /// However the holes lie, a region longer by what was asked for has one of that at its end.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Shortage { asked, hole, size, .. } = self;
        write!(f, "the largest hole is {hole} of {size}")?;
        match size.checked_add(*asked) {
            Some(enough) => write!(f, ", {enough} would have held this"),
            None => Ok(()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_shortage_says_what_was_left_who_has_the_rest_and_what_would_do() {
        let mib = |n: u64| Bytes(n << 20);
        let (asked, hole, size) = (mib(8), mib(6), mib(64));
        let mut shortage = Shortage { asked, hole, size, holders: Vec::new() };
        let said = "the largest hole is 6 MiB of 64 MiB, 72 MiB would have held this";
        assert_eq!((shortage.to_string().as_str(), shortage.holders()), (said, None));
        let held = |n, buffers| Held { buffers, metadata: 0, bytes: mib(n) };
        shortage.note(vec![(10_001, held(3, 1)), (1047, held(41, 5))]);
        let who = "uid 1047 holds 41 MiB in 5 buffers, uid 10001 holds 3 MiB in 1 buffers";
        assert_eq!(shortage.holders().as_deref(), Some(who));
        shortage.note((1..=6).map(|n| (10_000, held(n, 1))).collect());
        let who = shortage.holders().unwrap();
        assert!(who.ends_with("uid 10000 holds 3 MiB in 1 buffers, 2 others hold 3 MiB"), "{who}");
    }
}
