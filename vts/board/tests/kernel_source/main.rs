// SPDX-License-Identifier: Apache-2.0
//! The driver's source and the overlays before they run: what the kernel's own checkers say, the
//! build as a module, and the device trees of boards that are not here. Needs no boot.

mod checkers;
mod module;
mod overlays;

use std::path::{Path, PathBuf};
use std::process::{Command, Output};
use std::{fmt, fs};

use board::repository;

/// More of virt's kernel: modules, and the KUnit suites.
const MODULES: &str = "CONFIG_MODULES=y\nCONFIG_DMABUF_HEAPS_CMA_REGIONS=m\nCONFIG_KUNIT=y\n\
    CONFIG_FAULT_INJECTION=y\nCONFIG_FAULT_INJECTION_DEBUG_FS=y\nCONFIG_FAILSLAB=y\n\
    CONFIG_FAIL_PAGE_ALLOC=y\nCONFIG_DMABUF_HEAPS_CMA_REGIONS_KUNIT_TEST=y\n";

/// Less of virt-next's kernel: what watches there calls functions of its own.
const UNWATCHED: &str = "# CONFIG_KASAN is not set\n# CONFIG_KASAN_GENERIC is not set\n\
    # CONFIG_KASAN_INLINE is not set\n# CONFIG_SLUB_RCU_DEBUG is not set\n\
    # CONFIG_PROVE_LOCKING is not set\n# CONFIG_DEBUG_ATOMIC_SLEEP is not set\n\
    # CONFIG_DEBUG_LIST is not set\n# CONFIG_DEBUG_VM is not set\n\
    # CONFIG_DMA_API_DEBUG is not set\n";

/// A test's result; any error fails it with its text.
type Outcome = Result<(), Failure>;

/// Shown as it is, line by line: a checker's words are for people.
struct Failure(String);

impl fmt::Debug for Failure {
    fn fmt(&self, f: &mut fmt::Formatter) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl<T: fmt::Display> From<T> for Failure {
    fn from(error: T) -> Self {
        Self(error.to_string())
    }
}

/// The driver's files whose names end in one of `endings`.
fn driver_files(endings: &[&str]) -> Vec<PathBuf> {
    files_in(&repository().join("kernel"), endings)
}

/// The same, and those of the test devices.
fn source_files(endings: &[&str]) -> Vec<PathBuf> {
    let devices = files_in(&repository().join("kernel/devices"), endings);
    [driver_files(endings), devices].concat()
}

fn files_in(folder: &Path, endings: &[&str]) -> Vec<PathBuf> {
    let entries = fs::read_dir(folder).unwrap();
    let mut files: Vec<PathBuf> = entries.map(|entry| entry.unwrap().path()).collect();
    files.retain(|path| endings.iter().any(|ending| name(path).ends_with(ending)));
    files.sort();
    assert!(!files.is_empty());
    files
}

fn name(path: &Path) -> String {
    path.file_name().unwrap_or_default().to_string_lossy().into_owned()
}

/// Runs a command to its end; all that it said, on both streams.
fn said(command: &mut Command) -> Result<(bool, String), String> {
    let Output { status, stdout, stderr } =
        command.output().map_err(|error| format!("{command:?}: {error}"))?;
    let text = [stdout, stderr].concat();
    Ok((status.success(), String::from_utf8_lossy(&text).into_owned()))
}

/// Runs a command that must succeed; what it printed, without its warnings.
fn printed(command: &mut Command) -> Result<Vec<u8>, String> {
    let output = command.output().map_err(|error| format!("{command:?}: {error}"))?;
    match output.status.success() {
        true => Ok(output.stdout),
        false => Err(format!("{command:?}: {}", String::from_utf8_lossy(&output.stderr))),
    }
}
