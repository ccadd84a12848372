// SPDX-License-Identifier: Apache-2.0
//! The regions of a device tree and the heaps of a policy, each held against the other.

use std::ops::Range;

use dmaheap_buffer::Bytes;
use dmaheap_dmabuf::node::TWIN;

use super::tree::{Node, Tree};
use super::{BUILT_IN, Chain};
use crate::finding::Severity;
use crate::policy::heaps::Spec;
use crate::policy::model::Policy;

const RESERVED: &str = "/reserved-memory";

/// The heap of the default area, however its node is called.
const DEFAULT: &str = "default_cma_region";

/// What CMA takes at least and at a time, a page block of arm64's, by the size of a page.
const BLOCK_4K: u64 = 2 << 20;
const BLOCK_16K: u64 = 32 << 20;

/// A node below `/reserved-memory` that is there.
struct Reserved<'t> {
    name: &'t str,
    node: &'t Node,
    ranges: Vec<Range<u64>>,
    /// Of its ranges, or of what it asks for without saying where.
    size: Option<Bytes>,
}

impl<'t> Reserved<'t> {
    fn all(tree: &'t Tree) -> Vec<Reserved<'t>> {
        let cells = Cells::of(tree, RESERVED);
        let there = tree.children(RESERVED).filter(|(_, node)| node.is_available());
        let read = |(name, node): (&'t str, &'t Node)| {
            let ranges = cells.ranges(&node.cells("reg"));
            let sizes = ranges.iter().map(|range| range.end.saturating_sub(range.start));
            let size = if ranges.is_empty() {
                wide(&node.cells("size"))
            } else {
                Some(sizes.fold(0, u64::saturating_add))
            };
            Reserved { name, node, ranges, size: size.map(Bytes) }
        };
        there.map(read).collect()
    }

    fn is_held(&self) -> bool {
        self.node.has("dmaheap,held")
    }

    fn is_default(&self) -> bool {
        self.node.has("linux,cma-default")
    }

    fn is_cma(&self) -> bool {
        self.node.says("compatible", "shared-dma-pool") && self.node.has("reusable")
    }

    /// Whether the driver makes a heap of it.
    fn is_region(&self) -> bool {
        self.is_cma() || self.is_held()
    }

    /// Whether this is the name of its heap or of that one's twin.
    fn has_heap(&self, node: &str) -> bool {
        let of = |node| node == self.name || (self.is_default() && node == DEFAULT);
        let twin = node.strip_suffix(TWIN).filter(|_| self.node.has("dmaheap,uncached"));
        self.is_region() && (of(node) || twin.is_some_and(of))
    }

    /// Where it is, or where the kernel may put it.
    fn may_lie_in(&self, tree: &Tree) -> Vec<Range<u64>> {
        match &self.ranges[..] {
            [] => Cells::of(tree, RESERVED).ranges(&self.node.cells("alloc-ranges")),
            ranges => ranges.to_vec(),
        }
    }

    fn meets(&self, other: &Range<u64>) -> bool {
        self.ranges.iter().any(|own| own.start < other.end && other.start < own.end)
    }
}

/// How many cells an address and a size have.
struct Cells {
    address: usize,
    size: usize,
}

impl Cells {
    /// Those of the nodes below `path`. An overlay alone leaves them to its base: then 64 bits each.
    fn of(tree: &Tree, path: &str) -> Cells {
        let said = |key: &str| {
            let nodes = [tree.node(path), tree.node("")];
            let count =
                nodes.into_iter().flatten().find_map(|node| node.cells(key).first().copied());
            count.and_then(|count| usize::try_from(count).ok()).unwrap_or(2)
        };
        Cells { address: said("#address-cells"), size: said("#size-cells") }
    }

    /// Those of a `reg`; none if it ends within one.
    fn ranges(&self, reg: &[u32]) -> Vec<Range<u64>> {
        let range = |cells: &[u32]| {
            let (start, size) = cells.split_at_checked(self.address)?;
            let (start, size) = (wide(start)?, wide(size)?);
            Some(start..start.saturating_add(size))
        };
        let each = self.address.saturating_add(self.size).max(1);
        if !reg.len().is_multiple_of(each) {
            return Vec::new();
        }
        reg.chunks_exact(each).filter_map(range).filter(|range| !range.is_empty()).collect()
    }
}

/// One number of one or two cells.
fn wide(cells: &[u32]) -> Option<u64> {
    match *cells {
        [low] => Some(u64::from(low)),
        [high, low] => Some(u64::from(high) << u32::BITS | u64::from(low)),
        _ => None,
    }
}

/// The machine's memory, what touches joined; empty where the boot loader says it.
fn memory(tree: &Tree) -> Vec<Range<u64>> {
    let cells = Cells::of(tree, "");
    let nodes = tree.children("").filter(|(_, node)| node.says("device_type", "memory"));
    let mut parts: Vec<_> = nodes.flat_map(|(_, node)| cells.ranges(&node.cells("reg"))).collect();
    parts.sort_by_key(|part| part.start);
    parts.dedup_by(|next, last| {
        let joins = next.start <= last.end;
        if joins {
            last.end = last.end.max(next.end);
        }
        joins
    });
    parts
}

impl Chain<'_> {
    pub(super) fn device_tree(&mut self, policy: &Policy, tree: &Tree) {
        let all = Reserved::all(tree);
        for (_, heap) in policy.heaps.iter() {
            let of = |node: &String| all.iter().find(|region| region.has_heap(node));
            match heap.nodes.iter().find_map(of) {
                Some(region) => {
                    self.size(heap, region);
                    self.reach(heap, tree, region);
                    self.starts(heap, tree, region);
                }
                None => self.no_region(heap, tree),
            }
        }
        let memory = memory(tree);
        for (i, region) in all.iter().enumerate().filter(|(_, region)| region.is_region()) {
            if region.size.is_none() {
                self.error(
                    tree.place(region.name, region.node),
                    format!(
                        "region {} has no size, or not the cells that it should have",
                        region.name
                    ),
                    format!("{RESERVED} says how many #address-cells and #size-cells `reg` has"),
                );
            }
            self.unused(policy, tree, region);
            self.within(tree, region, &memory);
            // Of two regions the one that comes later is told.
            let others = all.iter().enumerate().filter(|(j, _)| i != *j);
            let others = others.filter(|(j, other)| *j < i || !other.is_region());
            let others =
                others.flat_map(|(_, other)| other.ranges.iter().map(|range| (other.name, range)));
            let unnamed = tree.reserved.iter().map(|range| ("a /memreserve/", range));
            if let Some((other, range)) =
                others.chain(unnamed).find(|(_, range)| region.meets(range))
            {
                self.error(
                    tree.place(region.name, region.node),
                    format!("region {} overlaps {other}, {range:#x?}", region.name),
                    "move it, or make one smaller: the kernel gives memory to one of them, or to none"
                        .to_owned(),
                );
            }
            if region.is_cma() {
                self.aligned(tree, region);
            }
        }
    }

    fn no_region(&mut self, heap: &Spec, tree: &Tree) {
        if heap.nodes.iter().any(|node| BUILT_IN.contains(&node.as_str())) {
            return;
        }
        let name = &heap.name;
        let mut regions = tree.children(RESERVED);
        let of = |region: &str| heap.nodes.iter().any(|node| node == region);
        let twin =
            |region: &str| heap.nodes.iter().any(|node| node.strip_suffix(TWIN) == Some(region));
        let (place, why, hint) = match regions.find(|(region, _)| of(region) || twin(region)) {
            Some((region, node)) => {
                let (why, hint) = if !node.is_available() {
                    ("is disabled", "remove its `status`, or the heap")
                } else if twin(region) {
                    ("has no twin", "add `dmaheap,uncached;` to it")
                } else {
                    (
                        "is neither held nor CMA's",
                        "add `dmaheap,held;`, or `compatible = \"shared-dma-pool\"; reusable;`",
                    )
                };
                (tree.place(region, node), format!("its region {region} {why}"), hint.to_owned())
            }
            None => (
                self.place(heap, "nodes"),
                "the device tree has none of its regions".to_owned(),
                format!("add a {RESERVED} node {}", heap.nodes.join(" or ")),
            ),
        };
        self.error(place, format!("heap {name} has no node: {why}"), hint);
    }

    fn size(&mut self, heap: &Spec, region: &Reserved) {
        if let Some(size) = region.size
            && heap.size != Some(size)
        {
            let said = heap.size.map_or("not said".to_owned(), |said| said.to_string());
            self.error(
                self.place(heap, "size"),
                format!("the size of heap {} is {said}, and its region has {size}", heap.name),
                format!("size = \"{size}\": clients are promised what is smaller"),
            );
        }
    }

    /// Whether its consumers can address all of the region, wherever the kernel puts it.
    fn reach(&mut self, heap: &Spec, tree: &Tree, region: &Reserved) {
        let Some(below) = heap.below else { return };
        let (name, said) = (&heap.name, region.may_lie_in(tree));
        if said.is_empty() {
            self.error(
                tree.place(region.name, region.node),
                format!("region {} may lie anywhere, and heap {name} is for what reaches memory below {below}", region.name),
                format!("alloc-ranges, all of it below {:#x}", below.0),
            );
        } else if let Some(range) = said.iter().find(|range| range.end > below.0) {
            self.error(
                self.place(heap, "below"),
                format!("heap {name} is for what reaches memory below {below}, and its region {} may lie in {range:#x?}", region.name),
                "move the region, or give those devices another heap".to_owned(),
            );
        }
    }

    /// Whether buffers begin where the heap's consumers want them to.
    fn starts(&mut self, heap: &Spec, tree: &Tree, region: &Reserved) {
        let Some(align) = heap.align else { return };
        let given = region.node.cells("dmaheap,align").first().copied().unwrap_or(0);
        // Which is none, where the driver does not take it.
        if u64::from(given) < align.0 || !given.is_power_of_two() {
            self.error(
                tree.place(region.name, region.node),
                format!("buffers of heap {} are to begin at multiples of {align}, and those of region {} do not", heap.name, region.name),
                format!("dmaheap,align = <{:#x}>;", align.0),
            );
        }
    }

    /// The default area is the kernel's own for DMA as well, and a lent region other programs' in
    /// movable pages; a held one is nobody's.
    fn unused(&mut self, policy: &Policy, tree: &Tree, region: &Reserved) {
        let is_used = super::nodes(policy).any(|(_, node)| region.has_heap(node));
        if is_used || region.is_default() {
            return;
        }
        let (severity, lost) = match region.is_held() {
            true => (Severity::Error, "is lost to everybody"),
            false => (Severity::Warning, "gives no buffer"),
        };
        let size = region.size.unwrap_or_default();
        self.note(
            severity,
            tree.place(region.name, region.node),
            format!("region {} of {size} {lost}: no heap of {} has it", region.name, self.file),
            format!(
                "add a heap with nodes = [{:?}] and a rule for it, or remove the region",
                region.name
            ),
        );
    }

    fn within(&mut self, tree: &Tree, region: &Reserved, memory: &[Range<u64>]) {
        let inside = |range: &Range<u64>| {
            memory.iter().any(|part| part.start <= range.start && range.end <= part.end)
        };
        let outside = region.ranges.iter().find(|range| !inside(range));
        if let Some(range) = outside.filter(|_| !memory.is_empty()) {
            let parts: Vec<_> = memory.iter().map(|part| format!("{part:#x?}")).collect();
            self.error(
                tree.place(region.name, region.node),
                format!("region {}, {range:#x?}, is not all memory of this machine", region.name),
                format!("memory is {}", parts.join(", ")),
            );
        }
    }

    fn aligned(&mut self, tree: &Tree, region: &Reserved) {
        let ends = region.ranges.iter().flat_map(|range| [range.start, range.end]);
        let ends: Vec<u64> = ends.chain(region.size.map(|size| size.0)).collect();
        let cut = |block| ends.iter().any(|end| !end.is_multiple_of(block));
        let (severity, block, pages) = if cut(BLOCK_4K) {
            (Severity::Error, BLOCK_4K, "4 KiB")
        } else if cut(BLOCK_16K) {
            (Severity::Warning, BLOCK_16K, "16 KiB")
        } else {
            return;
        };
        let (name, block) = (region.name, Bytes(block));
        self.note(
            severity,
            tree.place(name, region.node),
            format!(
                "region {name} does not begin and end at multiples of {block}: a kernel with pages \
                 of {pages} makes no heap of it"
            ),
            format!("move it, or round it: CMA takes whole blocks of {block} there"),
        );
    }
}
