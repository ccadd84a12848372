// SPDX-License-Identifier: Apache-2.0
//! The board's device tree: QEMU's own for the machine, with the board's overlay applied.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use crate::boards::Board;
use crate::error::{OnFile, Result};
use crate::machine::escaped;
use crate::place::repository;
use crate::tool;

/// First bytes of a compiled tree or overlay.
const COMPILED: [u8; 4] = [0xd0, 0x0d, 0xfe, 0xed];

/// Makes the tree in `folder`. `machine` are QEMU's machine, CPU and memory arguments, which
/// shape its tree; `overlay` replaces the board's own.
pub fn make(
    board: &Board,
    qemu: &Path,
    machine: &[String],
    overlay: Option<&Path>,
    folder: &Path,
) -> Result<PathBuf> {
    let overlay = overlay.map_or(repository().join(board.overlay), Path::to_owned);
    let base = folder.join("base.dtb");
    let tree = folder.join("board.dtb");
    let mut qemu = Command::new(qemu);
    let place = escaped(&base);
    qemu.args(machine).arg("-machine").arg(format!("dumpdtb={place}"));
    tool::output("asking QEMU for the machine's device tree", &mut qemu)?;
    let overlay = compiled(&overlay, folder)?;
    let mut merge = Command::new("fdtoverlay");
    merge.arg("-i").arg(&base).arg("-o").arg(&tree).arg(&overlay);
    tool::output("applying the device-tree overlay", &mut merge)?;
    Ok(tree)
}

/// The overlay as a blob, compiled if it is source.
fn compiled(overlay: &Path, folder: &Path) -> Result<PathBuf> {
    let content = fs::read(overlay).on("cannot read the device-tree overlay", overlay)?;
    if content.starts_with(&COMPILED) {
        return Ok(overlay.to_owned());
    }
    let blob = folder.join("overlay.dtbo");
    let mut dtc = Command::new("dtc");
    dtc.args(["-@", "-q", "-I", "dts", "-O", "dtb", "-o"]).arg(&blob).arg(overlay);
    tool::output("compiling the device-tree overlay", &mut dtc)?;
    Ok(blob)
}
