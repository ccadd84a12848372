// SPDX-License-Identifier: Apache-2.0
//! QEMU's machine in place of a device that it does not have: the device's policy and its regions, of
//! the same names, sizes and properties, but where this machine has memory.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use crate::boards::Board;
use crate::error::{Error, OnFile, Result};
use crate::tool;

const RESERVED: &str = "/reserved-memory";

/// Where the machine's memory begins, and where in it the first region may: behind kernel and image.
const MEMORY: u64 = 0x4000_0000;
const FIRST: u64 = 0x5400_0000;

/// Each begins at a multiple of what CMA takes at a time, of 4 KiB pages and of 16 KiB ones.
const STEP: u64 = 32 << 20;

/// Of a region's own properties, those that the driver and the kernel read.
const KEPT: [&str; 5] =
    ["reusable", "linux,cma-default", "dmaheap,held", "dmaheap,align", "dmaheap,uncached"];

/// An overlay for QEMU's machine with the regions of the device's tree; what is otherwise than there
/// is said.
pub fn overlay(board: &Board, device: &Path, folder: &Path) -> Result<PathBuf> {
    let tree = Tree(device);
    let mut regions = String::new();
    let mut moved = Vec::new();
    let mut next = FIRST;
    for name in tree.ask(&["-l"], RESERVED, &[])?.lines() {
        let node = format!("{RESERVED}/{name}");
        let properties = tree.ask(&["-p"], &node, &[])?;
        let has = |property: &str| properties.lines().any(|line| line == property);
        let is_region = has("reusable") || has("dmaheap,held");
        if !is_region || (has("status") && tree.ask(&[], &node, &["status"])? != "okay\n") {
            continue;
        }
        let size = tree.size(&node, has("reg"))?;
        let place = if has("reg") {
            let start = next;
            next = (start + size).next_multiple_of(STEP);
            moved.push(format!("{name} at {start:#x}"));
            format!("reg = <0 {start:#x} 0 {size:#x}>;")
        } else {
            format!("size = <0 {size:#x}>;")
        };
        regions += &format!("\t\t{name} {{\n\t\t\t{place}\n");
        if has("compatible") {
            regions += "\t\t\tcompatible = \"shared-dma-pool\";\n";
        }
        for property in KEPT.into_iter().filter(|property| has(property)) {
            let bytes = tree.ask(&["-t", "bx"], &node, &[property])?;
            let bytes = bytes.split_whitespace().map(|byte| format!("{byte:0>2}"));
            let bytes = bytes.collect::<Vec<_>>().join(" ");
            regions += &match bytes.as_str() {
                "" => format!("\t\t\t{property};\n"),
                bytes => format!("\t\t\t{property} = [{bytes}];\n"),
            };
        }
        regions += "\t\t};\n";
    }
    if next > MEMORY + (u64::from(board.machine.memory) << 20) {
        return Err(Error::Usage(format!(
            "the regions of {} end at {next:#x}, beyond the {} MiB of the machine that stands in \
             for it: say `memory` under [machine] in its board.toml",
            board.name, board.machine.memory
        )));
    }
    eprintln!(
        "QEMU has no {}: its policy runs on {}; regions have their names and sizes, with {}",
        board.name,
        board.machine.kind.split(',').next().unwrap_or_default(),
        if moved.is_empty() { "no address".to_owned() } else { moved.join(", ") },
    );
    let file = folder.join("stand-in.dts");
    let text = format!(
        "/dts-v1/;\n/plugin/;\n/ {{ fragment@0 {{ target-path = \"/\"; __overlay__ {{\n\
         \treserved-memory {{\n\t\t#address-cells = <2>;\n\t\t#size-cells = <2>;\n\t\tranges;\n\
         {regions}\t}};\n}}; }}; }};\n"
    );
    fs::write(&file, text).on("cannot write", &file)?;
    Ok(file)
}

/// A compiled tree.
struct Tree<'a>(&'a Path);

impl Tree<'_> {
    fn ask(&self, options: &[&str], node: &str, properties: &[&str]) -> Result<String> {
        let mut fdtget = Command::new("fdtget");
        fdtget.args(options).arg(self.0).arg(node).args(properties);
        tool::output("reading the device's tree", &mut fdtget)
    }

    /// Of a region in bytes: its `reg` without the address, or its `size`.
    fn size(&self, node: &str, has_reg: bool) -> Result<u64> {
        let cells = |node: &str, property: &str| {
            let cells = self.ask(&["-t", "x"], node, &[property])?;
            let cells = cells.split_whitespace().map(|cell| u64::from_str_radix(cell, 16));
            cells.collect::<std::result::Result<Vec<_>, _>>().map_err(|error| {
                Error::Usage(format!("{property} of {node} in the device's tree: {error}"))
            })
        };
        let size = match has_reg {
            true => {
                let address = cells(RESERVED, "#address-cells")?.first().copied().unwrap_or(2);
                cells(node, "reg")?.split_off(usize::try_from(address).unwrap_or(2))
            }
            false => cells(node, "size")?,
        };
        Ok(size.into_iter().fold(0, |size, cell| size << 32 | cell))
    }
}
