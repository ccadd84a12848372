// SPDX-License-Identifier: Apache-2.0
//! The driver's KUnit suites: a kernel of their own that runs them while it boots, and switches
//! the machine off before there is a userland.

use std::path::PathBuf;
use std::time::Duration;

use crate::boards::Board;
use crate::cache::Cache;
use crate::error::{Error, Result};
use crate::machine::{self, Accelerator, Machine, Parts};
use crate::{debian, devicetree, kernel, packages};

/// Some 15 seconds on an idle machine, under emulation.
const LIMIT: Duration = Duration::from_secs(300);

/// Builds the board's kernel, if it is not built yet.
pub fn build(board: &Board) -> Result<PathBuf> {
    let cache = Cache::open()?;
    packages::provide(board, &[], &cache, packages::may_install())?;
    kernel::image(board, &cache, None)
}

/// Boots `board` with `append` as further kernel arguments; returns all that its console showed.
pub fn console(board: &Board, append: &str) -> Result<String> {
    let kernel = build(board)?;
    let qemu = debian::qemu(board, &Cache::open()?)?;
    let folder = tempfile::tempdir()
        .map_err(|e| Error::Usage(format!("cannot make a temporary folder: {e}")))?;
    let shape = machine::shape(board, Accelerator::Emulation, board.memory);
    let tree = devicetree::make(board, &qemu, &shape, None, folder.path())?;
    let arguments = [board.kernel_arguments, append].join(" ");
    let parts =
        Parts { qemu: &qemu, kernel: &kernel, image: None, tree: &tree, arguments: &arguments };
    Machine::start(&shape, &parts)?.run_to_the_end("running the KUnit suites", LIMIT)
}
