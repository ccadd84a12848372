// SPDX-License-Identifier: Apache-2.0
//! `allocator explain --budget`: how large must each region be for these buffers?
//!
//! Their sum is too small: buffers come and go, and leave holes that the next one
//! does not fit into. What fits is found by trying: the smallest region, in whole
//! MiB, in which no request is refused while the buffers are taken and given back
//! in many random orders.

use std::collections::BTreeMap;
use std::fmt::Display;
use std::io::Write;
use std::path::Path;

use dmaheap_buffer::Bytes;
use serde::Deserialize;

use super::asked::{Asker, descriptor};
use super::{Done, Outcome};
use crate::policy::Spec;
use crate::{Policy, Request, policy};

/// A list of buffers that are to be there at once.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Budget {
    buffers: Vec<Wanted>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Wanted {
    /// For people.
    what: String,
    usage: String,
    format: String,
    /// As in 1920x1080.
    size: String,
    count: usize,
}

/// What a heap is asked for.
struct Load<'p> {
    heap: &'p Spec,
    /// Each kind, with the bytes of one.
    kinds: Vec<(&'p Wanted, Bytes)>,
}

const PAGE: u64 = 4096;
const MIB: u64 = 1 << 20;

/// How often a buffer is taken or given back before a size is believed.
const STEPS: usize = 20_000;

/// The kernel aligns to the length rounded up to a power of two, at most to this.
const MOST_ALIGNED: u64 = MIB;

pub(super) fn run(file: &str, policy: &Policy, asker: &Asker) -> Done {
    let budget: Budget = basic_toml::from_str(&policy::read(Path::new(file))?)
        .map_err(|error| format!("{file}: {error}"))?;
    let mut loads: BTreeMap<&str, Load> = BTreeMap::new();
    let caller = asker.caller();
    for wanted in &budget.buffers {
        let named = |error: &dyn Display| format!("{file}: {}: {error}", wanted.what);
        let described = descriptor(policy, &wanted.usage, &wanted.format, &wanted.size, "1")
            .map_err(|error| named(&error))?;
        let request =
            Request::new(&described, policy.vendor_bits()).map_err(|error| named(&error))?;
        let plan = policy.plan(&request, asker.who(policy, &caller));
        let plan = plan.map_err(|error| named(&error))?;
        let heap = policy.heaps.of(plan.heap);
        let size = Bytes(plan.layout.size().0.next_multiple_of(PAGE));
        let load = loads.entry(&heap.name).or_insert(Load { heap, kinds: Vec::new() });
        load.kinds.push((wanted, size));
    }
    let mut out = std::io::stdout();
    let mut fits = true;
    for load in loads.values() {
        let (text, fine) = load.told();
        out.write_all(text.as_bytes())?;
        fits &= fine;
    }
    Ok(if fits { Outcome::Good } else { Outcome::Bad })
}

impl Load<'_> {
    /// What it takes, for people, and whether the heap has it.
    fn told(&self) -> (String, bool) {
        let mut text = format!("heap     {}\n", self.heap.name);
        let mut sizes = Vec::new();
        for (Wanted { what, count, .. }, size) in &self.kinds {
            text += &format!("         {count} x {what}, {size} each\n");
            sizes.extend(std::iter::repeat_n(size.0, *count));
        }
        let sum = Bytes(sizes.iter().sum());
        if !self.heap.contiguous {
            return (text + &format!("sum      {sum}, of scattered pages\n"), true);
        }
        let region = smallest(&sizes, self.heap.align);
        text += &format!("sum      {sum}; a region of {region} has room for them in any order\n");
        let Some(size) = self.heap.size else { return (text, true) };
        let fine = region <= size;
        let verdict = if fine { "enough" } else { "too small" };
        (text + &format!("region   {size}: {verdict}\n"), fine)
    }
}

/// The smallest region, in whole MiB, that was never too small.
fn smallest(sizes: &[u64], align: Option<Bytes>) -> Bytes {
    let sum: u64 = sizes.iter().sum();
    let mut region = sum.next_multiple_of(MIB);
    while !Region::new(region, align).holds(sizes) {
        region = region.saturating_add(MIB);
    }
    Bytes(region)
}

/// A region that places each buffer in the tightest hole.
struct Region {
    /// Beginning and end of each hole, in their order.
    holes: Vec<(u64, u64)>,
    align: Option<u64>,
}

impl Region {
    fn new(size: u64, align: Option<Bytes>) -> Region {
        Region { holes: vec![(0, size)], align: align.map(|align| align.0) }
    }

    /// Whether it never refuses one of these while they are taken and given back.
    fn holds(mut self, sizes: &[u64]) -> bool {
        let mut random = fastrand::Rng::with_seed(1);
        let mut taken: Vec<Option<u64>> = vec![None; sizes.len()];
        for _ in 0..STEPS {
            let at = random.usize(0..sizes.len().max(1));
            let (Some(place), Some(size)) = (taken.get_mut(at), sizes.get(at)) else { return true };
            match place.take() {
                Some(start) => self.give_back(start, *size),
                None => match self.take(*size) {
                    None => return false,
                    start => *place = start,
                },
            }
        }
        true
    }

    fn take(&mut self, size: u64) -> Option<u64> {
        let align = self.align.unwrap_or_else(|| size.next_power_of_two().min(MOST_ALIGNED));
        let fit = |(start, end): (u64, u64)| {
            let begin = start.checked_next_multiple_of(align)?;
            (begin.checked_add(size)? <= end).then_some(begin)
        };
        let fitting = self.holes.iter().enumerate().filter(|(_, hole)| fit(**hole).is_some());
        let (at, hole) = fitting.min_by_key(|(_, (start, end))| end.saturating_sub(*start))?;
        let (start, end) = *hole;
        let begin = fit(*hole)?;
        let rest = [(start, begin), (begin.saturating_add(size), end)];
        let rest = rest.into_iter().filter(|(start, end)| start < end);
        self.holes.splice(at..=at, rest);
        Some(begin)
    }

    fn give_back(&mut self, start: u64, size: u64) {
        let at = self.holes.partition_point(|hole| hole.0 < start);
        self.holes.insert(at, (start, start.saturating_add(size)));
        self.holes.dedup_by(|next, last| {
            let joins = last.1 == next.0;
            if joins {
                last.1 = next.1;
            }
            joins
        });
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn equal_buffers_need_their_sum_and_unequal_ones_more() {
        assert_eq!(smallest(&[MIB; 8], None), Bytes(8 * MIB));
        let mixed: Vec<u64> = (0..24).map(|i| if i % 3 == 0 { 8 * MIB } else { MIB }).collect();
        let (region, sum) = (smallest(&mixed, None), mixed.iter().sum::<u64>());
        assert!(region.0 > sum && region.0 < 2 * sum, "{region} for {sum}");
    }

    #[test]
    fn what_is_aligned_needs_more() {
        let sizes = [36 << 10; 16];
        assert_eq!(smallest(&sizes, Some(Bytes(4096))), Bytes(MIB));
        assert_eq!(smallest(&sizes, Some(Bytes(128 << 10))), Bytes(2 * MIB));
    }

    #[test]
    fn what_is_given_back_is_one_hole_again() {
        let mut region = Region::new(4 * MIB, None);
        let taken: Vec<u64> = (0..4).map(|_| region.take(MIB).unwrap()).collect();
        assert_eq!(region.take(4096), None);
        taken.into_iter().rev().for_each(|start| region.give_back(start, MIB));
        assert_eq!(region.holes, [(0, 4 * MIB)]);
    }
}
