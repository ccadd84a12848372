// SPDX-License-Identifier: Apache-2.0
//! checkpatch, kernel-doc, sparse, the compiler's extra warnings, and Coccinelle, of the oldest kernel
//! and of the newest: all have nothing to say.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::Mutex;

use board::source::{self, DRIVER, Workbench};
use board::{Board, boards, repository};

use crate::{MODULES, Outcome, UNWATCHED, name, said, source_files};

/// Fails with the checker's words, unless it has none.
fn silent(checker: &str, words: &str) -> Outcome {
    match words.trim() {
        "" => Ok(()),
        words => Err(format!("{checker}:\n{words}").into()),
    }
}

#[test]
fn checkpatch_strict_is_silent() -> Outcome {
    checkpatch(&boards::VIRT)?;
    checkpatch(&boards::VIRT_NEXT)
}

fn checkpatch(board: &Board) -> Outcome {
    let script = source::tree(board)?.join("scripts/checkpatch.pl");
    let overlays = fs::read_dir(repository().join("kernel/board"))?;
    let overlays = overlays.map(|entry| entry.map(|entry| entry.path()));
    let overlays = overlays.collect::<Result<Vec<PathBuf>, _>>()?;
    let mut command = Command::new("perl");
    command
        .arg(script)
        .args(["--strict", "--no-tree", "--terse", "--no-summary", "--show-types"])
        .args(["--color=never", "-f"])
        .args(source_files(&[".c", ".h", "Kconfig", "Makefile"]))
        .args(overlays.iter().filter(|path| name(path).ends_with(".dtso")));
    let (clean, words) = said(&mut command)?;
    silent("checkpatch.pl --strict", &words)?;
    assert!(clean, "checkpatch.pl fails without a word");
    Ok(())
}

#[test]
fn kernel_doc_is_silent() -> Outcome {
    kernel_doc(&boards::VIRT)?;
    kernel_doc(&boards::VIRT_NEXT)
}

fn kernel_doc(board: &Board) -> Outcome {
    let mut command = Command::new(source::tree(board)?.join("scripts/kernel-doc"));
    let (clean, words) = said(command.args(["-none", "-Wall"]).args(source_files(&[".c", ".h"])))?;
    silent("kernel-doc -none -Wall", &words)?;
    assert!(clean, "kernel-doc fails without a word");
    Ok(())
}

/// The newest kernel wants a newer sparse than Debian 12 has.
#[test]
fn sparse_and_the_compilers_extra_warnings_are_silent() -> Outcome {
    compile(&boards::VIRT, MODULES, &["W=1", "C=2"], "CHECK", ".c")?;
    compile(&boards::VIRT_NEXT, UNWATCHED, &["W=1"], "CC", ".o")
}

/// Compiles every file, the KUnit suites included; a `step` shows of each that it was looked at.
fn compile(board: &Board, more: &str, flags: &[&str], step: &str, ending: &str) -> Outcome {
    let bench = Workbench::open(board, more)?;
    // What is up to date is not compiled, and says nothing.
    let objects = bench.folder().join(DRIVER);
    if objects.exists() {
        fs::remove_dir_all(&objects)?;
    }
    // The folder above has the goals of both, driver and test devices.
    let heaps = Path::new(DRIVER).parent().ok_or("the driver has a folder above it")?;
    let folder = format!("{}/", heaps.display());
    let words = bench.make(&[flags, &[&folder]].concat())?;
    // kbuild's own lines are indented.
    let (steps, complaints): (Vec<&str>, Vec<&str>) =
        words.lines().filter(|line| line.contains(DRIVER)).partition(|line| line.starts_with("  "));
    silent(&format!("{} with {flags:?}", board.name), &complaints.join("\n"))?;
    for file in source_files(&[".c"]).iter().map(|path| name(path)) {
        // The one suite that its subject includes.
        if file == "tree_test.c" {
            continue;
        }
        let end = format!("/{}", file.replace(".c", ending));
        let shows =
            |line: &&&str| line.trim_start().starts_with(step) && line.ends_with(end.as_str());
        assert!(steps.iter().find(shows).is_some(), "{file} was not looked at:\n{words}");
    }
    Ok(())
}

/// A defect that Coccinelle must find, or it finds nothing in the driver either.
const PLANTED: &str =
    "void planted(void *p);\nvoid planted(void *p)\n{\n\tif (p)\n\t\tkfree(p);\n}\n";

/// Its checks hardly change between kernels.
#[test]
fn coccinelle_is_silent() -> Outcome {
    let tree = source::tree(&boards::VIRT_NEXT)?;
    let here = tempfile::tempdir()?;
    for file in source_files(&[".c", ".h"]) {
        fs::copy(&file, here.path().join(name(&file)))?;
    }
    fs::write(here.path().join("planted.c"), PLANTED)?;

    let checks = Mutex::new(semantic_patches(&tree.join("scripts/coccinelle"))?);
    let found = Mutex::new(String::new());
    let work = || -> Result<(), String> {
        while let Some(check) = next(&checks) {
            let words = spatch(&tree, &check, here.path())?;
            found.lock().map_err(|_| "another check failed")?.push_str(&words);
        }
        Ok(())
    };
    std::thread::scope(|scope| -> Outcome {
        let workers = std::thread::available_parallelism()?.get();
        let workers: Vec<_> = (0..workers).map(|_| scope.spawn(work)).collect();
        for worker in workers {
            worker.join().map_err(|_| "a check ended by panic")??;
        }
        Ok(())
    })?;
    let found = found.into_inner()?;
    let (planted, others): (Vec<&str>, Vec<&str>) =
        found.lines().partition(|line| line.contains("planted.c"));
    assert_eq!(planted.len(), 1, "Coccinelle says of the planted defect: {planted:?}");
    silent("Coccinelle", &others.join("\n"))
}

fn next(checks: &Mutex<Vec<PathBuf>>) -> Option<PathBuf> {
    checks.lock().ok()?.pop()
}

/// The kernel's checks that can report, below `folder`.
fn semantic_patches(folder: &Path) -> std::io::Result<Vec<PathBuf>> {
    let mut found = Vec::new();
    for entry in fs::read_dir(folder)? {
        let path = entry?.path();
        if path.is_dir() {
            found.extend(semantic_patches(&path)?);
        } else if name(&path).ends_with(".cocci")
            && fs::read_to_string(&path)?.contains("virtual report")
        {
            found.push(path);
        }
    }
    Ok(found)
}

/// Applies one check to a folder as scripts/coccicheck does, which itself loses what parallel
/// workers find, and checks in sequence for a minute.
fn spatch(tree: &Path, check: &Path, folder: &Path) -> Result<String, String> {
    let text = fs::read_to_string(check).map_err(|error| error.to_string())?;
    let options = text.lines().find_map(|line| line.split_once("Options:"));
    let mut command = Command::new("spatch");
    command
        .args(["-D", "report", "--very-quiet", "--no-show-diff", "--use-coccigrep"])
        .arg("--cocci-file")
        .arg(check)
        .args(options.map_or("", |(_, options)| options).split_whitespace());
    for include in ["arch/arm64/include", "include", "arch/arm64/include/uapi", "include/uapi"] {
        command.arg("-I").arg(tree.join(include));
    }
    for header in ["include/linux/compiler-version.h", "include/linux/kconfig.h"] {
        command.arg("--include").arg(tree.join(header));
    }
    let output = command.arg("--dir").arg(folder).output().map_err(|e| format!("spatch: {e}"))?;
    if !output.status.success() {
        let words = String::from_utf8_lossy(&output.stderr);
        return Err(format!("{command:?}: {}\n{words}", output.status));
    }
    Ok(String::from_utf8_lossy(&output.stdout).into_owned())
}
