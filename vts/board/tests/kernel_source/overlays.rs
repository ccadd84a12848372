// SPDX-License-Identifier: Apache-2.0
//! The overlays of boards on the kernel's own device trees, and the boards' other files beside them.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use board::{devicetree, sepolicy};
use dmaheap_allocator::Policy;
use dmaheap_allocator::policy::chain::{self, Board};

use crate::{Failure, Outcome, printed};

#[test]
fn the_chain_of_hikey_is_whole_over_the_kernels_device_tree() -> Outcome {
    check("hikey", "camera@30000000")
}

#[test]
fn the_chain_of_hikey_960_is_whole_over_the_kernels_device_tree() -> Outcome {
    check("hikey960", "camera@60000000")
}

#[test]
fn the_chain_of_raspberry_pi_4_is_whole_over_the_kernels_device_tree() -> Outcome {
    check("rpi4", "camera@10000000")
}

#[test]
fn the_chain_of_imx8mm_is_whole_over_the_kernels_device_tree() -> Outcome {
    check("imx8mm", "camera@98000000")
}

#[test]
fn the_chain_of_pinephone_is_whole_over_the_kernels_device_tree() -> Outcome {
    check("pinephone", "camera@60000000")
}

/// The board's files have nothing wrong, neither beside the tree that fdtoverlay makes, of a base with
/// symbols or without, nor beside the two trees that it is made of; beside the base alone they have.
fn check(board: &str, camera: &str) -> Outcome {
    let board = board::Board::find(board)?;
    let here = tempfile::tempdir()?;
    for symbols in [&["-@"][..], &[]] {
        let base = here.path().join("base.dtb");
        devicetree::kernels(&board, &base, symbols, board::may_install())?;
        let merged = merged(&base, &board.overlay, here.path())?;
        let property = |node: &str, name: &str| {
            let node = format!("/reserved-memory/{node}");
            printed(Command::new("fdtget").arg(&merged).args([&node, name]))
        };
        assert_eq!(property(camera, "dmaheap,held")?, b"best-fit\n");
        property("linux,cma", "linux,cma-default")?;
        for trees in [vec![merged.clone()], vec![base.clone(), board.overlay.clone()]] {
            assert_eq!(findings(&board, trees)?, "");
        }
        let found = findings(&board, vec![base])?;
        assert!(found.contains("heap camera has no node"), "{found}");
    }
    Ok(())
}

/// All that `allocator check` finds.
fn findings(board: &board::Board, device_tree: Vec<PathBuf>) -> Result<String, Failure> {
    let (text, name) = (fs::read_to_string(&board.policy)?, board.policy.display().to_string());
    let files = Board {
        sepolicy: [vec![sepolicy::platform()], board.sepolicy.clone()].concat(),
        ueventd: board.ueventd.clone(),
        device_tree,
    };
    let (policy, own) = Policy::parse(&name, &text)?;
    let found = chain::check(&policy, &name, &text, &files)?;
    Ok(std::iter::once(own).chain(found).map(|findings| findings.to_string()).collect())
}

/// The overlay over its base, of which the compiler has nothing to say.
fn merged(base: &Path, overlay: &Path, folder: &Path) -> Result<PathBuf, String> {
    let blob = folder.join("overlay.dtbo");
    let mut dtc = Command::new("dtc");
    dtc.args(["-@", "-Wno-avoid_unnecessary_addr_size", "-I", "dts", "-O", "dtb", "-o"]).arg(&blob);
    let (fine, words) = crate::said(dtc.arg(overlay).stdin(Stdio::null()))?;
    if !fine || !words.is_empty() {
        return Err(format!("dtc says of {}:\n{words}", overlay.display()));
    }
    let tree = folder.join("merged.dtb");
    printed(Command::new("fdtoverlay").arg("-i").arg(base).arg("-o").arg(&tree).arg(&blob))?;
    Ok(tree)
}
