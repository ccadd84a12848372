// SPDX-License-Identifier: Apache-2.0
//! The overlays of boards on the kernel's own device trees, and the boards' other files beside them.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use board::{boards, repository, sepolicy, source};
use dmaheap_allocator::Policy;
use dmaheap_allocator::policy::chain::{self, Board};

use crate::{Failure, Outcome, printed};

#[test]
fn the_chain_of_hikey_is_whole_over_the_kernels_device_tree() -> Outcome {
    check("hikey", "hisilicon/hi6220-hikey", "camera@30000000")
}

#[test]
fn the_chain_of_hikey_960_is_whole_over_the_kernels_device_tree() -> Outcome {
    check("hikey960", "hisilicon/hi3660-hikey960", "camera@60000000")
}

#[test]
fn the_chain_of_raspberry_pi_4_is_whole_over_the_kernels_device_tree() -> Outcome {
    check("rpi4", "broadcom/bcm2711-rpi-4-b", "camera@10000000")
}

/// The board's files have nothing wrong, neither beside the tree that fdtoverlay makes, of a base with
/// symbols or without, nor beside the two trees that it is made of; beside the base alone they have.
fn check(board: &str, tree: &str, camera: &str) -> Outcome {
    let here = tempfile::tempdir()?;
    let name = Path::new(tree).file_name().unwrap_or_default().display();
    let overlay = repository().join(format!("kernel/board/{name}.dtso"));
    for symbols in [false, true] {
        let base = base(&format!("{tree}.dts"), symbols, here.path())?;
        let merged = merged(&base, &overlay, here.path())?;
        let property = |node: &str, name: &str| {
            let node = format!("/reserved-memory/{node}");
            printed(Command::new("fdtget").arg(&merged).args([&node, name]))
        };
        assert_eq!(property(camera, "dmaheap,held")?, b"best-fit\n");
        property("linux,cma", "linux,cma-default")?;
        for trees in [vec![merged.clone()], vec![base.clone(), overlay.clone()]] {
            assert_eq!(findings(board, trees)?, "");
        }
        let found = findings(board, vec![base])?;
        assert!(found.contains("heap camera has no node"), "{found}");
    }
    Ok(())
}

/// All that `allocator check` finds.
fn findings(board: &str, device_tree: Vec<PathBuf>) -> Result<String, Failure> {
    let etc = repository().join("service/etc");
    let file = etc.join(board).join("heaps.toml");
    let (text, name) = (fs::read_to_string(&file)?, file.display().to_string());
    let board = Board {
        sepolicy: vec![sepolicy::platform(), sepolicy::vendor()],
        ueventd: vec![etc.join("ueventd.rc")],
        device_tree,
    };
    let (policy, own) = Policy::parse(&name, &text)?;
    let found = chain::check(&policy, &name, &text, &board)?;
    Ok(std::iter::once(own).chain(found).map(|findings| findings.to_string()).collect())
}

/// The kernel's device tree from its source, as its own build makes it.
fn base(name: &str, symbols: bool, folder: &Path) -> Result<PathBuf, Failure> {
    let kernel = source::tree(&boards::VIRT)?;
    let source = kernel.join("arch/arm64/boot/dts").join(name);
    let mut cpp = Command::new("cpp");
    cpp.args(["-nostdinc", "-undef", "-D__DTS__", "-x", "assembler-with-cpp", "-I"])
        .arg(kernel.join("include"))
        .arg("-I")
        .arg(kernel.join("scripts/dtc/include-prefixes"))
        .arg(&source);
    let expanded = folder.join("base.dts");
    fs::write(&expanded, printed(&mut cpp)?)?;
    let tree = folder.join("base.dtb");
    compile(&expanded, &tree, if symbols { &["-@", "-q", "-q"] } else { &["-q", "-q"] })?;
    Ok(tree)
}

fn merged(base: &Path, overlay: &Path, folder: &Path) -> Result<PathBuf, String> {
    let blob = folder.join("overlay.dtbo");
    let words = compile(overlay, &blob, &["-@", "-Wno-avoid_unnecessary_addr_size"])?;
    if !words.is_empty() {
        return Err(format!("dtc says of {}:\n{words}", overlay.display()));
    }
    let tree = folder.join("merged.dtb");
    printed(Command::new("fdtoverlay").arg("-i").arg(base).arg("-o").arg(&tree).arg(&blob))?;
    Ok(tree)
}

/// Compiles device-tree source; the compiler's warnings.
fn compile(source: &Path, blob: &Path, flags: &[&str]) -> Result<String, String> {
    let mut dtc = Command::new("dtc");
    dtc.args(flags).args(["-I", "dts", "-O", "dtb", "-o"]).arg(blob).arg(source);
    let (fine, words) = crate::said(dtc.stdin(Stdio::null()))?;
    if fine { Ok(words) } else { Err(format!("{dtc:?}: {words}")) }
}
