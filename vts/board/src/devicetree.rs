// SPDX-License-Identifier: Apache-2.0
//! Device trees: QEMU's own for its machine, and the kernel's for devices, each with the board's
//! overlay applied.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use crate::boards::Board;
use crate::cache::Cache;
use crate::error::{OnFile, Result};
use crate::machine::escaped;
use crate::{kernel, packages, stand_in, tool};

/// First bytes of a compiled tree or overlay.
const COMPILED: [u8; 4] = [0xd0, 0x0d, 0xfe, 0xed];

/// Makes the tree that QEMU boots with in `folder`. `machine` are QEMU's machine, CPU and memory
/// arguments, which shape its tree; `overlay` replaces the board's own.
pub fn make(
    board: &Board,
    qemu: &Path,
    machine: &[String],
    overlay: Option<&Path>,
    folder: &Path,
) -> Result<PathBuf> {
    let overlay = match overlay {
        Some(overlay) => overlay.to_owned(),
        None if board.is_emulated() => board.overlay.clone(),
        None => {
            let device = folder.join("device.dtb");
            kernels(board, &device, &["-@"], false)?;
            let device = laid_over(&device, &board.overlay, &folder.join("device-whole.dtb"))?;
            stand_in::overlay(board, &device, folder)?
        }
    };
    let base = folder.join("base.dtb");
    let mut qemu = Command::new(qemu);
    let place = escaped(&base);
    qemu.args(machine).arg("-machine").arg(format!("dumpdtb={place}"));
    tool::output("asking QEMU for the machine's device tree", &mut qemu)?;
    laid_over(&base, &overlay, &folder.join("board.dtb"))
}

/// The kernel's tree of the device as `blob`, made as the kernel's own build makes it; installs what that
/// takes if `install` allows.
///
/// # Errors
/// If there is none for this board, or it cannot be compiled.
pub fn kernels(board: &Board, blob: &Path, flags: &[&str], install: bool) -> Result<()> {
    let cache = Cache::open()?;
    packages::provide(board, &[], &cache, install)?;
    let kernel = kernel::source_tree(board, &cache)?;
    let source = board.device_tree.as_deref().unwrap_or_default();
    let source = kernel.join("arch").join(&board.target.arch).join("boot/dts").join(source);
    let mut cpp = Command::new("cpp");
    cpp.args(["-nostdinc", "-undef", "-D__DTS__", "-x", "assembler-with-cpp", "-I"])
        .arg(kernel.join("include"))
        .arg("-I")
        .arg(kernel.join("scripts/dtc/include-prefixes"))
        .arg(&source);
    let expanded = blob.with_extension("dts");
    let text = tool::output("expanding the kernel's device tree", &mut cpp)?;
    fs::write(&expanded, text).on("cannot write", &expanded)?;
    compile("the kernel's device tree", &expanded, blob, flags)
}

/// The tree with the overlay, which is compiled if it is source.
fn laid_over(base: &Path, overlay: &Path, tree: &Path) -> Result<PathBuf> {
    let content = fs::read(overlay).on("cannot read the device-tree overlay", overlay)?;
    let blob = tree.with_extension("dtbo");
    let blob = match content.starts_with(&COMPILED) {
        true => overlay,
        false => {
            compile("the device-tree overlay", overlay, &blob, &["-@"])?;
            &blob
        }
    };
    let mut merge = Command::new("fdtoverlay");
    merge.arg("-i").arg(base).arg("-o").arg(tree).arg(blob);
    tool::output("applying the device-tree overlay", &mut merge)?;
    Ok(tree.to_owned())
}

fn compile(what: &str, source: &Path, blob: &Path, flags: &[&str]) -> Result<()> {
    let mut dtc = Command::new("dtc");
    dtc.args(flags).args(["-q", "-q", "-I", "dts", "-O", "dtb", "-o"]).arg(blob).arg(source);
    tool::output(&format!("compiling {what}"), &mut dtc).map(drop)
}
