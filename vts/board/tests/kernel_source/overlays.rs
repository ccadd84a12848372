// SPDX-License-Identifier: Apache-2.0
//! The overlays of boards on the kernel's own device trees.

use std::fs;
use std::ops::Range;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use board::{boards, repository, source};

use crate::{Failure, Outcome, printed};

/// An overlay, the kernel's source of the tree it belongs to, and the regions there afterwards.
struct Case {
    overlay: &'static str,
    base: &'static str,
    held: (&'static str, Range<u64>),
}

const HIKEY: Case = Case {
    overlay: "hi6220-hikey.dtso",
    base: "hi6220-hikey.dts",
    held: ("camera@30000000", 0x3000_0000..0x3400_0000),
};
const HIKEY_960: Case = Case {
    overlay: "hi3660-hikey960.dtso",
    base: "hi3660-hikey960.dts",
    held: ("camera@60000000", 0x6000_0000..0x6800_0000),
};

#[test]
fn hikey_gets_a_held_camera_region_beside_its_default_area() -> Outcome {
    check(&HIKEY)
}

#[test]
fn hikey_960_gets_a_default_area_and_a_held_camera_region() -> Outcome {
    check(&HIKEY_960)
}

fn check(case: &Case) -> Outcome {
    let here = tempfile::tempdir()?;
    for symbols in [false, true] {
        let base = base(case.base, symbols, here.path())?;
        let tree = merged(&base, case.overlay, here.path())?;
        let (name, place) = &case.held;
        let camera = format!("/reserved-memory/{name}");
        assert_eq!(property(&tree, &camera, "compatible", "s")?, "shared-dma-pool");
        assert_eq!(property(&tree, &camera, "reusable", "s")?, "");
        assert_eq!(property(&tree, &camera, "dmaheap,held", "s")?, "best-fit");
        assert_eq!(ranges(&tree, &camera)?, vec![place.clone()]);

        let default = "/reserved-memory/linux,cma";
        assert_eq!(property(&tree, default, "compatible", "s")?, "shared-dma-pool");
        assert_eq!(property(&tree, default, "reusable", "s")?, "");
        assert_eq!(property(&tree, default, "linux,cma-default", "s")?, "");
        assert_eq!(property(&tree, default, "size", "x")?, "0 8000000");

        lies_in_memory_of_its_own(&tree, place)?;
    }
    Ok(())
}

/// The region is memory, unless the boot loader says what is, and nobody else's.
fn lies_in_memory_of_its_own(tree: &Path, place: &Range<u64>) -> Outcome {
    for memory in children(tree, "/")?.iter().filter(|name| name.starts_with("memory@")) {
        let memory = ranges(tree, &format!("/{memory}"))?;
        let known = memory.iter().any(|range| !range.is_empty());
        let within = |range: &Range<u64>| range.start <= place.start && place.end <= range.end;
        assert!(!known || memory.iter().any(within), "{place:x?} is not in {memory:x?}");
    }
    let mut meeting = Vec::new();
    for other in children(tree, "/reserved-memory")? {
        let other = ranges(tree, &format!("/reserved-memory/{other}")).unwrap_or_default();
        meeting.extend(
            other.into_iter().filter(|range| range.start < place.end && place.start < range.end),
        );
    }
    assert_eq!(meeting, std::slice::from_ref(place), "reserved for more than one");
    Ok(())
}

/// The kernel's device tree from its source, as its own build makes it.
fn base(name: &str, symbols: bool, folder: &Path) -> Result<PathBuf, Failure> {
    let kernel = source::tree(&boards::VIRT)?;
    let sources = kernel.join("arch/arm64/boot/dts/hisilicon");
    let mut cpp = Command::new("cpp");
    cpp.args(["-nostdinc", "-undef", "-D__DTS__", "-x", "assembler-with-cpp", "-I"])
        .arg(kernel.join("include"))
        .arg("-I")
        .arg(&sources)
        .arg(sources.join(name));
    let expanded = folder.join("base.dts");
    fs::write(&expanded, printed(&mut cpp)?)?;
    let tree = folder.join("base.dtb");
    compile(&expanded, &tree, if symbols { &["-@", "-q", "-q"] } else { &["-q", "-q"] })?;
    Ok(tree)
}

fn merged(base: &Path, overlay: &str, folder: &Path) -> Result<PathBuf, String> {
    let blob = folder.join("overlay.dtbo");
    let overlay = repository().join("kernel/board").join(overlay);
    let words = compile(&overlay, &blob, &["-@", "-Wno-avoid_unnecessary_addr_size"])?;
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

/// A property as fdtget prints it: type `s` for strings, `x` for hexadecimal cells.
fn property(tree: &Path, node: &str, name: &str, kind: &str) -> Result<String, String> {
    fdtget(tree, &["-t", kind], &[node, name])
}

fn children(tree: &Path, node: &str) -> Result<Vec<String>, String> {
    Ok(fdtget(tree, &["-l"], &[node])?.lines().map(str::to_owned).collect())
}

fn fdtget(tree: &Path, flags: &[&str], what: &[&str]) -> Result<String, String> {
    let value = printed(Command::new("fdtget").args(flags).arg(tree).args(what))?;
    Ok(String::from_utf8_lossy(&value).trim().to_owned())
}

/// The ranges of `reg`, of two cells for address and size each.
fn ranges(tree: &Path, node: &str) -> Result<Vec<Range<u64>>, String> {
    let cells = property(tree, node, "reg", "x")?;
    let cells: Result<Vec<u64>, _> =
        cells.split_whitespace().map(|cell| u64::from_str_radix(cell, 16)).collect();
    let cells = cells.map_err(|error| format!("{node}/reg: {error}"))?;
    let wide = |high: u64, low: u64| high << 32 | low;
    let range = |cells: &[u64]| match cells {
        &[a, b, c, d] => Ok(wide(a, b)..wide(a, b) + wide(c, d)),
        odd => Err(format!("{node}/reg ends with {odd:x?}")),
    };
    cells.chunks(4).map(range).collect()
}
