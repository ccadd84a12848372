// SPDX-License-Identifier: Apache-2.0
//! Regions and heaps that do not go together: each found, in both directions, at its line.

use std::fs;
use std::process::Command;

use dmaheap_allocator::Policy;
use dmaheap_allocator::policy::chain::{self, Board};

use super::{Copy, HEAPS, TREE, findings, inject};

const CAMERA_SIZE: &str = "size = \"64 MiB\"";

/// Of the device tree, and of the memory that no rule leads to: name, file, text in it, what it becomes,
/// the file in whose line it is noticed, the text of that line, and the words.
const REGIONS: [[&str; 7]; 24] = [
    [
        "a heap whose consumers do not reach its region",
        HEAPS,
        CAMERA_SIZE,
        "size = \"64 MiB\"\nbelow = \"1 GiB\"",
        HEAPS,
        "below = \"1 GiB\"",
        "error: heap camera is for what reaches memory below 1 GiB, and its region camera@54000000",
    ],
    [
        "a heap of limited reach whose region may lie anywhere",
        HEAPS,
        "size = \"128 MiB\"",
        "size = \"128 MiB\"\nbelow = \"2 GiB\"",
        TREE,
        "linux,cma {",
        "error: region linux,cma may lie anywhere, and heap framebuffer is for what reaches",
    ],
    [
        "buffers that are to begin where the region does not put them",
        HEAPS,
        CAMERA_SIZE,
        "size = \"64 MiB\"\nalign = \"32 KiB\"",
        TREE,
        "camera@54000000 {",
        "error: buffers of heap camera are to begin at multiples of 32 KiB",
    ],
    [
        "a heap larger than its region",
        HEAPS,
        CAMERA_SIZE,
        "size = \"96 MiB\"",
        HEAPS,
        "size = \"96 MiB\"",
        "error: the size of heap camera is 96 MiB, and its region has 64 MiB",
    ],
    [
        "a region larger than its heap",
        TREE,
        "0x54000000 0x0 0x4000000>",
        "0x54000000 0x0 (0x4000000 + 0x2000000)>",
        HEAPS,
        CAMERA_SIZE,
        "error: the size of heap camera is 64 MiB, and its region has 96 MiB",
    ],
    [
        "a region whose size is one number of 64 bits",
        TREE,
        "size = <0x0 0x8000000>;",
        "size = /bits/ 64 <0x4000000>;",
        HEAPS,
        "size = \"128 MiB\"",
        "error: the size of heap framebuffer is 128 MiB, and its region has 64 MiB",
    ],
    [
        "a region with a cell too few",
        TREE,
        "0x54000000 0x0 0x4000000>",
        "0x54000000 0x4000000>",
        TREE,
        "camera@54000000 {",
        "error: region camera@54000000 has no size",
    ],
    [
        "a held region without a heap",
        TREE,
        "camera@54000000 {",
        "spare@50000000 { reg = <0x0 0x50000000 0x0 0x4000000>; dmaheap,held; };\ncamera@54000000 {",
        TREE,
        "spare@50000000 {",
        "error: region spare@50000000 of 64 MiB is lost to everybody",
    ],
    [
        "a lent region without a heap",
        TREE,
        "camera@54000000 {",
        "spare@50000000 { compatible = \"shared-dma-pool\"; reusable; \
         reg = <0x0 0x50000000 0x0 0x4000000>; };\ncamera@54000000 {",
        TREE,
        "spare@50000000 {",
        "warning: region spare@50000000 of 64 MiB gives no buffer",
    ],
    [
        "a heap with another address than its region",
        HEAPS,
        "nodes = [\"camera@54000000\"]",
        "nodes = [\"camera@56000000\"]",
        HEAPS,
        "nodes = [\"camera@56000000\"]",
        "error: heap camera has no node: the device tree has none of its regions",
    ],
    [
        "a region whose heap was left out, as HiKey's was",
        HEAPS,
        "nodes = [\"camera@54000000\"]",
        "nodes = [\"camera@56000000\"]",
        TREE,
        "camera@54000000 {",
        "error: region camera@54000000 of 64 MiB is lost to everybody",
    ],
    [
        "a region that is disabled",
        TREE,
        "dmaheap,held = \"best-fit\";",
        "dmaheap,held = \"best-fit\"; status = \"disabled\";",
        TREE,
        "camera@54000000 {",
        "error: heap camera has no node: its region camera@54000000 is disabled",
    ],
    [
        "a region that is nobody's to give",
        TREE,
        "0x58000000 0x0 0x400000>;\n\t\t\t\t\tdmaheap,held;",
        "0x58000000 0x0 0x400000>;",
        TREE,
        "fixed@58000000 {",
        "error: heap fixed has no node: its region fixed@58000000 is neither held nor CMA's",
    ],
    [
        "a heap that wants an uncached twin",
        HEAPS,
        "nodes = [\"fixed@58000000\"]",
        "nodes = [\"fixed@58000000-uncached\"]",
        TREE,
        "fixed@58000000 {",
        "error: heap fixed has no node: its region fixed@58000000 has no twin",
    ],
    [
        "two regions that overlap",
        TREE,
        "0x54000000 0x0 0x4000000>",
        "0x54000000 0x0 0x6000000>",
        TREE,
        "fixed@58000000 {",
        "error: region fixed@58000000 overlaps camera@54000000",
    ],
    [
        "a region on what firmware has",
        TREE,
        "camera@54000000 {",
        "firmware@57f00000 { reg = <0x0 0x57f00000 0x0 0x100000>; no-map; };\ncamera@54000000 {",
        TREE,
        "camera@54000000 {",
        "error: region camera@54000000 overlaps firmware@57f00000",
    ],
    [
        "a region on a /memreserve/",
        TREE,
        "/plugin/;",
        "/plugin/;\n/memreserve/ 0x57ff0000 0x1000;",
        TREE,
        "camera@54000000 {",
        "error: region camera@54000000 overlaps a /memreserve/",
    ],
    [
        "a region beyond the end of memory",
        TREE,
        "reserved-memory {",
        "memory@40000000 { device_type = \"memory\"; reg = <0x0 0x40000000 0x0 0x16000000>; };\n\
         reserved-memory {",
        TREE,
        "camera@54000000 {",
        "error: region camera@54000000, 0x54000000..0x58000000, is not all memory",
    ],
    [
        "a region in a gap of memory",
        TREE,
        "reserved-memory {",
        "memory@40000000 { device_type = \"memory\"; reg = <0x0 0x40000000 0x0 0x18000000>, \
         <0x0 0x59000000 0x0 0x10000000>; };\nreserved-memory {",
        TREE,
        "fixed@58000000 {",
        "error: region fixed@58000000, 0x58000000..0x58400000, is not all memory",
    ],
    [
        "a region for pages of 4 KiB alone",
        TREE,
        "0x54000000 0x0 0x4000000>",
        "0x53800000 0x0 0x4000000>",
        TREE,
        "camera@54000000 {",
        "warning: region camera@54000000 does not begin and end at multiples of 32 MiB",
    ],
    [
        "a region that CMA never takes",
        TREE,
        "0x54000000 0x0 0x4000000>",
        "0x54001000 0x0 0x3fff000>",
        TREE,
        "camera@54000000 {",
        "error: region camera@54000000 does not begin and end at multiples of 2 MiB",
    ],
    [
        "a default area that CMA never takes",
        TREE,
        "size = <0x0 0x8000000>;",
        "size = <0x0 0x8080000>;",
        TREE,
        "linux,cma {",
        "error: region linux,cma does not begin and end at multiples of 2 MiB",
    ],
    [
        "a heap that no rule leads to",
        HEAPS,
        "heap = \"camera\"",
        "heap = \"framebuffer\"",
        HEAPS,
        "[heaps.camera]",
        "warning: nobody uses heap camera",
    ],
    [
        "memory kept for callers whom no rule leads to it",
        HEAPS,
        "heap = \"camera\"",
        "heap = \"camera\"\ncallers = [\"apps\"]",
        HEAPS,
        "keep = { size = \"32 MiB\", callers = [\"cameraserver\"] }",
        "warning: no rule leads cameraserver to heap camera, which keeps 32 MiB for them",
    ],
];

#[test]
fn each_break_between_regions_and_heaps_is_found_at_its_line() {
    for [name, file, from, to, at, line, words] in REGIONS {
        let copy = Copy::new();
        inject(&copy.path(file), from, to);
        let found = copy.check();
        let text = fs::read_to_string(copy.path(at)).unwrap();
        let finding = |said: &str| {
            let said = said.strip_prefix(&format!("{}:", copy.path(at).display()))?;
            let (number, said) = said.split_once(": ")?;
            let written = text.lines().nth(number.parse::<usize>().ok()? - 1)?;
            (said.starts_with(words) && written.trim().starts_with(line)).then_some(())
        };
        assert!(found.lines().any(|said| finding(said).is_some()), "{name}: {words}:\n{found}");
    }
}

/// An overlay is laid over its base, whose labels it may name, and both may be blobs.
#[test]
fn overlays_are_laid_over_their_bases() {
    let copy = Copy::new();
    let (base, overlay) = (copy.path("base.dts"), copy.path("overlay.dts"));
    let dtb = copy.path("base.dtb");
    let tree = "/dts-v1/;\n/ {\n\t#address-cells = <1>;\n\t#size-cells = <1>;\n\t\
                memory@40000000 {\n\t\tdevice_type = \"memory\";\n\t\t\
                reg = <0x40000000 0x10000000>, <0x50000000 0x10000000>;\n\t};\n\t\
                reserved: reserved-memory {\n\t\t#address-cells = <1>;\n\t\t\
                #size-cells = <1>;\n\t\tranges;\n\t};\n};\n";
    fs::write(&base, tree).unwrap();
    let regions = "/dts-v1/;\n/plugin/;\n&reserved {\n\tcamera@4e000000 {\n\t\tdmaheap,held;\n\t\t\
                   reg = <0x4e000000 0x4000000>;\n\t};\n\tfixed@5fe00000 {\n\t\tdmaheap,held;\n\t\t\
                   reg = <0x5fe00000 0x400000>;\n\t};\n};\n";
    fs::write(&overlay, regions).unwrap();
    let compiled = Command::new("dtc")
        .args(["-q", "-@", "-I", "dts", "-O", "dtb", "-o"])
        .args([&dtb, &base])
        .status();
    assert!(compiled.unwrap().success());
    inject(&copy.path(HEAPS), "camera@54000000", "camera@4e000000");
    inject(&copy.path(HEAPS), "fixed@58000000", "fixed@5fe00000");
    for first in [base, dtb] {
        let trees = vec![first, overlay.clone()];
        let board = Board { device_tree: trees, ..Board::default() };
        let found = findings(&copy.path(HEAPS), &board);
        let all: Vec<_> = found.lines().filter(|line| !line.starts_with("    hint")).collect();
        let beyond = format!("{}:8: error: region fixed@5fe00000", overlay.display());
        assert!(all.len() == 1 && all[0].starts_with(&beyond), "{found}");
    }
    let file = copy.path(HEAPS);
    let text = fs::read_to_string(&file).unwrap();
    let (policy, _) = Policy::parse("heaps.toml", &text).unwrap();
    let alone = Board { device_tree: vec![overlay], ..Board::default() };
    let error = chain::check(&policy, "heaps.toml", &text, &alone).unwrap_err().to_string();
    assert!(error.contains("the label \"reserved\", which no tree before it has"), "{error}");
}
