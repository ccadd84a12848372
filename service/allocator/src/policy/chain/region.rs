// SPDX-License-Identifier: Apache-2.0
//! Sources of device trees, as far as a region of memory is concerned.

use dmaheap_buffer::Bytes;

/// A node of a region.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Region {
    /// Its size, if that can be told: the last two cells of `reg` or `size`.
    pub size: Option<Bytes>,
}

impl Region {
    /// The node of this name.
    pub fn find(tree: &str, node: &str) -> Option<Region> {
        let mut lines = tree.lines().map(str::trim);
        lines.find(|line| {
            let name = line.split_once(':').map_or(*line, |(_, behind)| behind.trim());
            name.strip_prefix(node).is_some_and(|rest| rest.trim() == "{")
        })?;
        let mut inside = lines.take_while(|line| *line != "};");
        Some(Region { size: inside.find_map(size) })
    }
}

fn size(line: &str) -> Option<Bytes> {
    let (key, value) = line.split_once('=')?;
    let cells = value.trim().strip_prefix('<')?.strip_suffix(">;")?;
    let mut cells = cells.split_whitespace().rev().map(|cell| {
        cell.strip_prefix("0x").map_or_else(|| cell.parse(), |hex| u32::from_str_radix(hex, 16))
    });
    let (low, high) = (cells.next()?.ok()?, cells.next()?.ok()?);
    let size = Bytes(u64::from(high) << u32::BITS | u64::from(low));
    ["reg", "size"].contains(&key.trim()).then_some(size)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_region_has_the_size_of_its_reg_or_of_its_size() {
        let tree = "reserved-memory {\n label: camera@1 {\n reusable;\n reg = <0x0 0x1 0x1 0x10>;\n};\n \
                    linux,cma {\n alloc-ranges = <0 0 0 9>;\n size = <0 4096>;\n};\n bare {\n};\n};";
        let size = |node| Region::find(tree, node).map(|region| region.size);
        assert_eq!(size("camera@1"), Some(Some(Bytes(0x1_0000_0010))));
        assert_eq!(size("linux,cma"), Some(Some(Bytes(4096))));
        assert_eq!(size("bare"), Some(None));
        assert_eq!(size("camera@2"), None);
    }
}
