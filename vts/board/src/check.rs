// SPDX-License-Identifier: Apache-2.0
//! `check`: the board's files, each held against the others by `allocator check`.

use std::path::Path;
use std::process::ExitCode;

use board::{Board, Error, Result, cargo, devicetree, repository, sepolicy};

/// Runs it; the code is its own.
pub fn run(board: &Board, install: bool) -> Result<ExitCode> {
    let folder = tempfile::tempdir()
        .map_err(|error| Error::Usage(format!("cannot make a temporary folder: {error}")))?;
    let mut check = cargo();
    check.args(["run", "-q", "-p", "dmaheap-allocator", "--manifest-path"]);
    check.arg(repository().join("Cargo.toml")).args(["--", "check"]);
    let mut add = |option: &str, path: &Path| {
        check.arg(option).arg(path);
    };
    add("--sepolicy", &sepolicy::platform());
    board.sepolicy.iter().for_each(|folder| add("--sepolicy", folder));
    board.ueventd.iter().for_each(|file| add("--ueventd", file));
    if !board.is_emulated() {
        let base = folder.path().join("base.dtb");
        devicetree::kernels(board, &base, &["-@"], install)?;
        add("--device-tree", &base);
    }
    add("--device-tree", &board.overlay);
    let status = check.arg(&board.policy).status();
    let status = status.map_err(|error| Error::Usage(format!("cannot start cargo: {error}")))?;
    Ok(ExitCode::from(u8::try_from(status.code().unwrap_or(125)).unwrap_or(125)))
}
