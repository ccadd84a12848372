// SPDX-License-Identifier: Apache-2.0
//! Boards with other regions: the kernel's own selftest, and names that are taken.

use std::process::Command;

use board::{Boot, Guest, boards, repository, source};
use dmaheap_suite::program::HEAPS;

use crate::Outcome;
use crate::fixture::{
    boot, expect_contains, expect_eq, fail, overlay, ran, reserved_memory, scratch, succeed,
};

/// `tools/testing/selftests/dmabuf-heaps`, from the tree that the board's kernel is built from.
pub fn kernel_selftest_passes_on_every_heap() -> Outcome {
    let selftests = source::tree(&boards::VIRT)?.join("tools/testing/selftests");
    let program = scratch("selftest")?.join("dmabuf-heap");
    let mut gcc = Command::new(format!("{}gcc", boards::VIRT.target.cross_compile));
    gcc.args(["-O2", "-static", "-I"]).arg(&selftests).arg("-o").arg(&program);
    let compiled = ran(gcc.arg(selftests.join("dmabuf-heaps/dmabuf-heap.c")))?;
    expect_eq("compiler", compiled.code, Some(0)).or(fail(compiled.stderr))?;

    // It takes more of each heap at once than the board's smallest region has.
    let overlay = Some(repository().join("kernel/board/virt-selftest.dtso"));
    let mut guest = boot(&Boot { overlay, services: false, ..Boot::default() })?;
    guest.push(&program, "/tmp/dmabuf-heap")?;
    let heaps = succeed(&mut guest, "ls /dev/dma_heap")?.lines().count();
    expect_eq("heaps", heaps, 4)?;
    let report = succeed(&mut guest, "/tmp/dmabuf-heap")?;
    let passed = 11 * heaps;
    let totals = format!("# Totals: pass:{passed} fail:0 xfail:0 xpass:0 skip:0 error:0");
    expect_contains(&report, &totals)
}

/// By the default area, and by the kernel's own heap.
pub fn name_that_is_taken_costs_no_other_region() -> Outcome {
    const ANYWHERE: &str = "size = <0x0 0x1000000>;";
    let overlay = overlay(&[
        ("linux,cma", "size = <0x0 0x1000000>; linux,cma-default;"),
        ("default_cma_region", ANYWHERE),
        ("system", ANYWHERE),
        ("last@50000000", "reg = <0x0 0x50000000 0x0 0x1000000>;"),
    ])?;
    let mut guest = boot(&Boot { overlay: Some(overlay), services: false, ..Boot::default() })?;
    let heaps = succeed(&mut guest, "ls /dev/dma_heap")?;
    expect_eq("heaps", heaps.as_str(), "default_cma_region\nlast@50000000\nsystem\n")?;
    let console = guest.console();
    for name in ["default_cma_region", "system"] {
        let line = format!("cma_regions: {name}: no heap: its name is taken (error -17)");
        expect_contains(&console, &line)?;
    }
    no_warning(&console)
}

/// Since 6.17 it has the names of this driver; before, that of the default area, whatever it is.
pub fn name_of_the_in_tree_heap_is_left_to_it() -> Outcome {
    let overlay = overlay(&[
        ("default_cma_region", "size = <0 0x1000000>; linux,cma-default;"),
        ("camera@54000000", "reg = <0 0x54000000 0 0x1000000>; dmaheap,held;"),
    ])?;
    let with = Boot { overlay: Some(overlay), services: false, ..Boot::default() };
    let mut guest = Guest::boot(&boards::VIRT_BENCH, &with)?;
    let heaps = succeed(&mut guest, "ls /dev/dma_heap")?;
    expect_eq("heaps", heaps.as_str(), "camera@54000000\ndefault_cma_region\nsystem\n")?;
    expect_eq(
        "regions",
        succeed(&mut guest, "ls /sys/kernel/dmaheap")?.as_str(),
        "camera@54000000\n",
    )?;
    let console = guest.console();
    expect_contains(&console, "cma_regions: default_cma_region: no heap: its name is taken")?;
    no_warning(&console)
}

/// There it has the names of all CMA regions, and lends them; a carve-out is no region of its.
pub fn newer_in_tree_heap_keeps_all_areas() -> Outcome {
    let with = Boot { services: false, ..Boot::default() };
    let mut guest = Guest::boot(&boards::VIRT_NEXT_IN_TREE, &with)?;
    let heaps = succeed(&mut guest, "ls /dev/dma_heap")?;
    // It has the default area twice.
    let expected = "camera@54000000\ndefault_cma_region\nfixed@58000000\nlinux,cma\nsystem\n";
    expect_eq("heaps", heaps.as_str(), expected)?;
    let regions = succeed(&mut guest, "ls /sys/kernel/dmaheap")?;
    expect_eq("regions", regions.as_str(), "fixed@58000000\n")?;
    let console = guest.console();
    for name in ["default_cma_region", "camera@54000000"] {
        let line = format!("cma_regions: {name}: no heap: its name is taken (error -17)");
        expect_contains(&console, &line)?;
    }
    no_warning(&console)
}

/// Regions that are wrong, and a word of the line that says so. The board has 1000 MiB, which end
/// within a section of the kernel's memory map.
const WRONG: [(&str, &str, &str); 14] = [
    ("hole@7f000000", "reg = <0 0x7f000000 0 0x400000>; dmaheap,held;", "not all of it is memory"),
    ("beyond@c0000000", "reg = <0 0xc0000000 0 0x400000>; dmaheap,held;", "is memory"),
    ("image@40200000", "reg = <0 0x40200000 0 0x400000>; dmaheap,held;", "the kernel itself"),
    ("initrd@48000000", "reg = <0 0x48000000 0 0x100000>; dmaheap,held;", "initrd"),
    ("inside@54100000", "reg = <0 0x54100000 0 0x100000>; dmaheap,held;", "overlaps"),
    ("one@5a000000", "reg = <0 0x5a000000 0 0x400000>; dmaheap,held;", "overlaps"),
    ("two@5a300000", "reg = <0 0x5a300000 0 0x400000>; dmaheap,held;", "overlaps"),
    ("pages@5c000800", "reg = <0 0x5c000800 0 0x400000>; dmaheap,held;", "whole pages"),
    (
        "off@5e000000",
        "reg = <0 0x5e000000 0 0x400000>; dmaheap,held; status = \"disabled\";",
        "disabled",
    ),
    (
        "worst@62000000",
        "reg = <0 0x62000000 0 0x400000>; dmaheap,held = \"worst-fit\";",
        "dmaheap,held",
    ),
    ("number@62400000", "reg = <0 0x62400000 0 0x400000>; dmaheap,held = <1>;", "dmaheap,held"),
    (
        "three@63000000",
        "reg = <0 0x63000000 0 0x400000>; dmaheap,held; dmaheap,align = <3>;",
        "power of two",
    ),
    ("apart@64000000", "reg = <0 0x64000000 0 0x400000>; dmaheap,held; no-map;", "no-map"),
    // CMA's least alignment is 4 MiB here.
    (
        "blocks@5d100000",
        "compatible = \"shared-dma-pool\"; reusable; reg = <0 0x5d100000 0 0x400000>;",
        "CMA found fault with it",
    ),
];

/// Those that are right, among them one whose name has a comma.
const RIGHT: [(&str, &str); 4] = [
    (
        "linux,cma",
        "compatible = \"shared-dma-pool\"; reusable; size = <0 0x1000000>; linux,cma-default; dmaheap,held;",
    ),
    (
        "camera@54000000",
        "compatible = \"shared-dma-pool\"; reusable; reg = <0 0x54000000 0 0x1000000>; dmaheap,held;",
    ),
    ("fixed@58000000", "reg = <0 0x58000000 0 0x400000>; dmaheap,held; dmaheap,align = <0x10000>;"),
    (
        "video,secure@60000000",
        "compatible = \"shared-dma-pool\"; reusable; reg = <0 0x60000000 0 0x1000000>;",
    ),
];

/// One line in the log for each, and all other heaps.
pub fn wrong_regions_are_reported_and_cost_no_other() -> Outcome {
    let wrong = WRONG.iter().map(|(name, properties, _)| (*name, (*properties).to_owned()));
    let right = RIGHT.iter().map(|(name, properties)| (*name, (*properties).to_owned()));
    let mut guest = boot(&Boot {
        overlay: Some(reserved_memory(wrong.chain(right))?),
        append: "cma_regions.held=video,secure@60000000:best-fit cma_regions.held=nobody@1".into(),
        memory: Some(1000),
        services: false,
        ..Boot::default()
    })?;
    let heaps = succeed(&mut guest, "ls /dev/dma_heap")?;
    let expected =
        "camera@54000000\ndefault_cma_region\nfixed@58000000\nsystem\nvideo,secure@60000000\n";
    expect_eq("heaps", heaps.as_str(), expected)?;
    let held = succeed(&mut guest, "cd /sys/kernel/dmaheap && grep -l '^[1-9]' */held")?;
    let expected = "camera@54000000/held\nfixed@58000000/held\nvideo,secure@60000000/held\n";
    expect_eq("held", held.as_str(), expected)?;

    let console = guest.console();
    for (name, _, word) in WRONG {
        let ours = format!("cma_regions: {name}: ");
        let lines: Vec<&str> = console.lines().filter(|line| line.contains(&ours)).collect();
        expect_eq(name, lines.len(), 1)?;
        expect_contains(lines[0], word)?;
    }
    expect_contains(&console, "cma_regions: default_cma_region: it stays lent")?;
    expect_contains(&console, "cma_regions: held=nobody@1: no such region")?;
    no_warning(&console)
}

/// Where pages have 16 KiB, what CMA takes begins at a multiple of 32 MiB. The driver, a module here,
/// gets its parameters from init.
pub fn region_that_large_pages_misalign_is_reported() -> Outcome {
    let overlay = overlay(&[
        ("linux,cma", "size = <0 0x2000000>; linux,cma-default;"),
        ("camera@54000000", "reg = <0 0x54000000 0 0x2000000>;"),
        ("blocks@58400000", "reg = <0 0x58400000 0 0x400000>;"),
    ])?;
    let boot = Boot {
        overlay: Some(overlay),
        append: "cma_regions.held=camera@54000000:best-fit cma_regions.held=nobody@1".into(),
        services: false,
        ..Boot::default()
    };
    let mut guest = Guest::boot(&boards::VIRT_NEXT, &boot)?;
    let heaps = succeed(&mut guest, "ls /dev/dma_heap")?;
    expect_eq("heaps", heaps.as_str(), "camera@54000000\ndefault_cma_region\nsystem\n")?;
    let held = succeed(&mut guest, "cd /sys/kernel/dmaheap && grep -l '^[1-9]' */held")?;
    expect_eq("held", held.as_str(), "camera@54000000/held\n")?;
    let console = guest.console();
    expect_contains(&console, "cma_regions: blocks@58400000: no heap: ")?;
    expect_contains(&console, "cma_regions: held=nobody@1: no such region")?;
    no_warning(&console)
}

/// A second heap over the same memory: its buffers are as good, and come out of the same room.
pub fn uncached_twin_shares_its_regions_memory() -> Outcome {
    let overlay = overlay(&[
        ("linux,cma", "size = <0 0x2000000>; linux,cma-default; dmaheap,uncached;"),
        ("camera@54000000", "reg = <0 0x54000000 0 0x2000000>; dmaheap,held; dmaheap,uncached;"),
    ])?;
    let mut guest = boot(&Boot { overlay: Some(overlay), services: false, ..Boot::default() })?;
    let heaps = succeed(&mut guest, "ls /dev/dma_heap")?;
    let expected = "camera@54000000\ncamera@54000000-uncached\ndefault_cma_region\n\
                    default_cma_region-uncached\nsystem\n";
    expect_eq("heaps", heaps.as_str(), expected)?;
    // What ueventd.rc does for nodes that it knows.
    succeed(&mut guest, "chmod 666 /dev/dma_heap/*-uncached")?;
    let cases = [
        "request::is_rounded_up_to_pages",
        "mapping::shows_every_page_at_its_place",
        "mapping::outlives_its_descriptor",
        "content::is_zero_after_another_uid_had_the_memory",
        "race::of_mappings_and_syncs_with_close",
        "race::of_devices_and_syncs_with_close",
    ];
    let report = succeed(&mut guest, &format!("{} --exact {}", HEAPS.name, cases.join(" ")))?;
    expect_contains(&report, &format!("{} passed", cases.len()))?;
    no_warning(&guest.console())
}

fn no_warning(console: &str) -> Outcome {
    match ["WARNING:", "BUG:", "Call trace:"].iter().find(|sign| console.contains(**sign)) {
        Some(sign) => fail(format!("'{sign}' is in:\n{console}")),
        None => Ok(()),
    }
}
