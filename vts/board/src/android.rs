// SPDX-License-Identifier: Apache-2.0
//! Programs for Android's devices, by cargo and rustup alone: no NDK.
//!
//! What an NDK would bring is made here: libraries that have the names which are asked of Android's own
//! and nothing else (`android/bionic.txt`), by the linker that comes with Rust; the start of a program
//! (`android/start.rs`); and the unwinder, which is the one that comes with Rust's musl target
//! (`android/unwind.rs` has what is musl's in it).

use std::collections::BTreeMap;
use std::fs::{self, File};
use std::path::{Path, PathBuf};
use std::process::Command;

use nix::fcntl::Flock;

use crate::cache::Cache;
use crate::error::{Error, OnFile, Result};
use crate::place::{repository, results};
use crate::progress::Step;
use crate::userland::{cargo, require_target};
use crate::{tool, userland};

/// Rust's name of what Android's devices run.
pub const TARGET: &str = "aarch64-linux-android";
/// The target that has an unwinder to link.
const MUSL: &str = "aarch64-unknown-linux-musl";

/// What is asked of Android's own libraries.
const BIONIC: &str = "vts/board/android/bionic.txt";
/// Libraries that Rust names to the linker; of libm nothing is needed.
const LIBRARIES: [&str; 4] = ["libc", "libdl", "liblog", "libm"];
/// Parts of every link; what of them is not needed is left out.
const PARTS: [&str; 2] = ["start", "unwind"];

/// Of every link. Pages of 16 KiB are served, and a missing or surplus thing is an error.
const LINKER_FLAGS: [&str; 7] = [
    "-zmax-page-size=16384",
    "--no-undefined",
    "--fatal-warnings",
    "--hash-style=gnu",
    "--build-id",
    "--dynamic-linker=/system/bin/linker64",
    "--error-limit=0",
];

/// What cargo is told beside target and flags. The mapper by itself: what others ask of the crates
/// that it shares with them is not in its clients' processes. Test programs catch their cases' panics,
/// so they are none of the profile that ends with one.
const BUILDS: [&[&str]; 3] = [
    &["--profile=device", "-pdmaheap-mapper", "--lib"],
    &["--profile=device", "-pdmaheap-allocator", "--no-default-features", "--bins"],
    &[
        "--release",
        "-pdmaheap-suite",
        "--bin=VtsDmaHeap_TargetTest",
        "--bin=VtsHalGraphicsAllocatorDmaHeap_TargetTest",
        "--bin=VtsHalGraphicsMapperDmaHeap_TargetTest",
    ],
];

const WHAT: &str = "building for Android's devices";
const HINT: &str = "an undefined symbol is to be looked up in bionic's libc.map.txt and written, with \
                    its API level, into vts/board/android/bionic.txt";

/// A name of one of Android's own libraries.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Symbol {
    /// The library's name, without `.so`.
    pub library: String,
    /// The API level it came with.
    pub level: u32,
}

/// What is asked of Android's own libraries, by name.
///
/// # Errors
/// If the list cannot be read.
pub fn symbols() -> Result<BTreeMap<String, Symbol>> {
    let path = repository().join(BIONIC);
    let text = fs::read_to_string(&path).on("cannot read", &path)?;
    let lines = text.lines().filter(|line| !line.starts_with('#') && !line.is_empty());
    let symbols = lines.map(|line| match line.split(' ').collect::<Vec<_>>()[..] {
        [library, name, level] => {
            let level = level.parse().map_err(|_| line)?;
            Ok((name.to_owned(), Symbol { library: library.to_owned(), level }))
        }
        _ => Err(line),
    });
    let symbols: std::result::Result<_, &str> = symbols.collect();
    symbols
        .map_err(|line| Error::Usage(format!("{}: not LIBRARY NAME LEVEL: {line}", path.display())))
}

/// Builds service, mapper and test programs for devices; name and place of each.
///
/// # Errors
/// If rustup cannot bring a target, or cargo's build fails.
pub fn programs() -> Result<Vec<(String, PathBuf)>> {
    let ground = Ground::prepare()?;
    let step = Step::new(WHAT);
    let mut built = Vec::new();
    for packages in BUILDS {
        let mut command = ground.cargo("build");
        command.args(packages);
        built.extend(userland::build(WHAT, HINT, command, &ground.log)?);
    }
    step.done();
    Ok(built)
}

/// All that the mapper is made of, Rust's own code with it, as it is before it is linked.
///
/// # Errors
/// As [`programs`].
pub fn mapper_archive() -> Result<PathBuf> {
    let ground = Ground::prepare()?;
    let target = repository().join("target");
    let mut command = ground.cargo("rustc");
    command.args(["--profile=device", "-pdmaheap-mapper", "--lib", "--crate-type=staticlib"]);
    command.arg("--target-dir").arg(&target);
    userland::build(WHAT, HINT, command, &ground.log)?;
    Ok(target.join(TARGET).join("device/libdmaheap_mapper.a"))
}

/// What every build stands on.
struct Ground {
    flags: String,
    log: PathBuf,
    // Others would link with what is half written.
    _lock: Flock<File>,
}

impl Ground {
    fn prepare() -> Result<Ground> {
        let lock = Cache::open()?.lock("android")?;
        require_target(TARGET)?;
        require_target(MUSL)?;
        let link = repository().join("target/android");
        for folder in [&link, &results()] {
            fs::create_dir_all(folder).on("cannot make", folder)?;
        }
        make_libraries(&link)?;
        make_parts(&link)?;
        Ok(Ground { flags: flags(&link), log: results().join("android.log"), _lock: lock })
    }

    fn cargo(&self, verb: &str) -> Command {
        let mut command = cargo();
        command.current_dir(repository()).args([verb, "--target", TARGET]);
        command.env("CARGO_ENCODED_RUSTFLAGS", &self.flags);
        command
    }
}

/// rustc's flags, as cargo takes them. Of the places of this machine nothing is left in the programs.
fn flags(link: &Path) -> String {
    let home = std::env::var_os("CARGO_HOME").map(PathBuf::from);
    let home = home.or_else(|| Some(PathBuf::from(std::env::var_os("HOME")?).join(".cargo")));
    let mut flags = vec!["-Clinker=rust-lld".to_owned(), "-Clinker-flavor=ld.lld".to_owned()];
    for (from, to) in [(home.as_deref(), "/cargo"), (Some(repository()), "/dmaheap")] {
        if let Some(from) = from {
            flags.push(format!("--remap-path-prefix={}={to}", from.display()));
        }
    }
    flags.push(format!("-Lnative={}", link.display()));
    let parts = PARTS.map(|part| link.join(format!("lib{part}.rlib")).display().to_string());
    let linker_flags = LINKER_FLAGS.into_iter().map(str::to_owned).chain(parts);
    flags.extend(linker_flags.map(|flag| format!("-Clink-arg={flag}")));
    flags.join("\x1f")
}

/// Libraries with the names that are asked of Android's, in `folder`.
fn make_libraries(folder: &Path) -> Result<()> {
    let lld = library_folder(None)?.with_file_name("bin").join("rust-lld");
    let symbols = symbols()?;
    for library in LIBRARIES {
        let script = folder.join(format!("{library}.ld"));
        let of_it = symbols.iter().filter(|(_, symbol)| symbol.library == library);
        let text: String = of_it.map(|(name, _)| format!("{name} = 0;\n")).collect();
        fs::write(&script, text).on("cannot write", &script)?;
        let name = format!("{library}.so");
        let mut link = Command::new(&lld);
        link.args(["-flavor", "gnu", "-m", "aarch64linux", "-shared", "-soname", &name, "-o"]);
        link.arg(folder.join(&name)).arg(&script);
        tool::output("linking a library in place of Android's", &mut link)?;
    }
    Ok(())
}

/// What every link takes from, in `folder`.
fn make_parts(folder: &Path) -> Result<()> {
    for part in PARTS {
        let mut rustc = Command::new("rustc");
        rustc.current_dir(repository()).args(["--edition=2024", "--crate-type=rlib"]);
        rustc.args(["--target", TARGET, "-Cpanic=abort", "--crate-name", part, "-o"]);
        rustc.arg(folder.join(format!("lib{part}.rlib")));
        rustc.arg(repository().join(format!("vts/board/android/{part}.rs")));
        tool::output("compiling a part of every program for Android", &mut rustc)?;
    }
    const UNWINDER: &str = "libunwind.a";
    let unwinder = library_folder(Some(MUSL))?.join("self-contained").join(UNWINDER);
    fs::copy(&unwinder, folder.join(UNWINDER)).on("cannot copy", &unwinder)?;
    Ok(())
}

/// Where Rust has the libraries of a target, or of this machine.
fn library_folder(target: Option<&str>) -> Result<PathBuf> {
    let mut rustc = Command::new("rustc");
    rustc.current_dir(repository()).args(["--print", "target-libdir"]);
    if let Some(target) = target {
        rustc.args(["--target", target]);
    }
    let folder = tool::output("asking rustc for its libraries", &mut rustc)?;
    Ok(PathBuf::from(folder.trim_end()))
}
