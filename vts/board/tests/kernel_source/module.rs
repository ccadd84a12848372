// SPDX-License-Identifier: Apache-2.0
//! The driver as an external module.

use std::collections::BTreeSet;
use std::fs;
use std::path::Path;
use std::process::Command;

use board::source::Workbench;
use board::{Board, boards, repository};

use crate::{MODULES, Outcome, UNWATCHED, driver_files, name, printed};

/// Where what the driver uses is defined.
const DEFINED_IN: [&str; 8] =
    ["arch/arm64", "drivers/base", "drivers/dma-buf", "drivers/of", "fs", "kernel", "lib", "mm"];

/// What 6.12 has and does not export, so that the module builds and cannot be loaded there.
const NOT_EXPORTED: [&str; 5] = [
    "cma_alloc",
    "cma_release",
    "dma_contiguous_default_area",
    "dma_heap_add",
    "dma_heap_get_drvdata",
];

/// What 7.3 has in place of inline functions, other names, or nothing, of the kernels that have lists.
const SINCE_THE_LISTS: [&str; 4] =
    ["dev_get_cma_area", "mutex_init_generic", "of_property_read_bool", "tracepoint_srcu"];

#[test]
fn it_builds_and_uses_what_android_kernels_let_a_module_use() -> Outcome {
    builds(&boards::VIRT, MODULES, &NOT_EXPORTED, &[])?;
    builds(&boards::VIRT_NEXT, UNWATCHED, &[], &SINCE_THE_LISTS)
}

fn builds(board: &Board, more: &str, not_exported: &[&str], unlisted: &[&str]) -> Outcome {
    let bench = Workbench::open(board, more)?;
    // kbuild puts objects of an external module beside its source.
    let here = tempfile::tempdir()?;
    for file in driver_files(&[".c", ".h", "Makefile"]) {
        fs::copy(&file, here.path().join(name(&file)))?;
    }
    // The suites ask for more.
    fs::write(here.path().join("tree_test.c"), "")?;
    const NO_SUITES: &str = "CONFIG_DMABUF_HEAPS_CMA_REGIONS_KUNIT_TEST=";
    let folder = format!("M={}", here.path().display());
    // No kernel was built, so modpost knows no export at all: it may warn only.
    let words = bench.make(&[&folder, NO_SUITES, "KBUILD_MODPOST_WARN=1", "W=1", "modules"])?;
    let complaint = |line: &&str| line.contains(".c:") || line.contains(".h:");
    assert_eq!(words.lines().find(complaint), None);

    let exported = exported(&source_of(&bench)?)?;
    let missing: Vec<String> = undefined(&here.path().join("cma_regions.ko"))?
        .into_iter()
        // Exported by a macro that builds the names.
        .filter(|symbol| !exported.contains(symbol) && !symbol.starts_with("param_ops_"))
        .collect();
    assert_eq!(missing, not_exported);
    let allowed = fs::read_to_string(repository().join("kernel/android-kmi.txt"))?;
    let allowed: BTreeSet<&str> = allowed.lines().filter(|line| !line.starts_with('#')).collect();
    let forbidden: Vec<String> = undefined(&here.path().join("cma_regions.ko"))?
        .into_iter()
        .filter(|symbol| !allowed.contains(symbol.as_str()))
        .collect();
    assert_eq!(forbidden, unlisted, "{}: not on the symbol lists of Android's kernels", board.name);
    Ok(())
}

fn source_of(bench: &Workbench) -> std::io::Result<std::path::PathBuf> {
    fs::canonicalize(bench.folder().join("source"))
}

fn undefined(module: &Path) -> Result<BTreeSet<String>, String> {
    let mut nm = Command::new(format!("{}nm", boards::VIRT.target.cross_compile));
    let symbols = printed(nm.arg("-u").arg(module))?;
    let symbols = String::from_utf8_lossy(&symbols).into_owned();
    Ok(symbols
        .lines()
        .filter_map(|line| line.split_whitespace().last())
        .map(str::to_owned)
        .collect())
}

/// The symbols that source below `tree` exports by name.
fn exported(tree: &Path) -> Result<BTreeSet<String>, String> {
    let mut grep = Command::new("grep");
    grep.current_dir(tree).args(["-rhoE", r"EXPORT_SYMBOL(_NS)?(_GPL)?\(\w+"]).args(DEFINED_IN);
    let found = printed(&mut grep)?;
    let found = String::from_utf8_lossy(&found).into_owned();
    Ok(found.lines().filter_map(|line| line.split_once('(')).map(|(_, name)| name.into()).collect())
}
