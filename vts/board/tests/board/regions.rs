// SPDX-License-Identifier: Apache-2.0
//! Boards with other regions: the kernel's own selftest, and names that are taken.

use std::process::Command;

use board::{Boot, boards, repository, source};

use crate::Outcome;
use crate::fixture::{boot, expect_contains, expect_eq, fail, overlay, ran, scratch, succeed};

/// `tools/testing/selftests/dmabuf-heaps`, from the tree that the board's kernel is built from.
pub fn kernel_selftest_passes_on_every_heap() -> Outcome {
    let selftests = source::tree(&boards::VIRT)?.join("tools/testing/selftests");
    let program = scratch("selftest")?.join("dmabuf-heap");
    let mut gcc = Command::new(format!("{}gcc", boards::VIRT.cross_compile));
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
    // EEXIST, from the driver and from the heap framework.
    expect_contains(&console, "cma_regions: default_cma_region: no heap, error -17")?;
    expect_contains(&console, "cma_regions: system: no heap, error -17")
}
