// SPDX-License-Identifier: Apache-2.0
//! The guest's programs: this workspace's, cross-compiled, and rsbinder's service manager.

use std::fs::File;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use serde_json::Value;

use crate::boards::Board;
use crate::cache::Cache;
use crate::error::{OnFile, Result};
use crate::progress::Step;
use crate::{repository, results, tool};

const HINT: &str = "cargo's own words above say what to mend; is there a network for crates?";

/// Packages of this workspace that go into the guest.
const PACKAGES: [&str; 5] =
    ["board-guest", "dmaheap-allocator", "dmaheap-mapper", "dmaheap-mutants", "dmaheap-suite"];

/// rsbinder's tools: the context manager, and what `service` and `dumpsys` are on Android.
const TOOLS: (&str, &str) = ("rsbinder-tools", "0.12.0");

/// Builds this workspace's programs and libraries for others; name and place of each.
pub fn programs(board: &Board) -> Result<Vec<(String, PathBuf)>> {
    require_target(board)?;
    const WHAT: &str = "building the guest's programs";
    let step = Step::new(WHAT);
    let results = results();
    std::fs::create_dir_all(&results).on("cannot make", &results)?;
    let mut command = cargo();
    command
        .current_dir(repository())
        // What only a host needs is not in the device's programs.
        .args(["build", "--release", "--no-default-features"])
        .args(["--bins", "--lib", "--target", board.rust_target])
        .args(PACKAGES.iter().flat_map(|package| ["-p", package]));
    let built = build(WHAT, command, &results.join("cargo.log"))?;
    step.done();
    Ok(built)
}

/// Runs a command of cargo's that builds; name and place of each program, and of each library for
/// others.
pub fn build(what: &str, mut command: Command, log: &Path) -> Result<Vec<(String, PathBuf)>> {
    command
        .arg("--message-format=json-render-diagnostics")
        .stdin(Stdio::null())
        .stderr(File::create(log).on("cannot write", log)?);
    let output = command.output().on("cannot start cargo, with log", log)?;
    tool::check(what, HINT, output.status, log)?;
    Ok(String::from_utf8_lossy(&output.stdout).lines().filter_map(installable).collect())
}

/// Name and path in a line of cargo's messages, if it is about an executable or a shared library.
fn installable(line: &str) -> Option<(String, PathBuf)> {
    let message: Value = serde_json::from_str(line).ok()?;
    let files = message.get("filenames").and_then(Value::as_array).into_iter().flatten();
    let library = files.filter_map(Value::as_str).find(|file| file.ends_with(".so"));
    let path = message.get("executable").and_then(Value::as_str).or(library)?;
    let target = message.get("target")?;
    // A macro is a library of the host's compiler.
    let kinds = target.get("kind")?.as_array()?;
    if kinds.iter().any(|kind| kind == "proc-macro") {
        return None;
    }
    Some((target.get("name")?.as_str()?.to_owned(), PathBuf::from(path)))
}

/// The folder with rsbinder's tools for the board.
pub fn binder_tools(board: &Board, cache: &Cache) -> Result<PathBuf> {
    let (package, version) = TOOLS;
    let name = format!("{package}-{version}-{}", board.rust_target);
    let entry = cache.entry(&name, |folder| {
        require_target(board)?;
        let step = Step::new(format!("building {package} for the guest"));
        let mut command = cargo();
        // The workspace's file names the linker; an install does not look there by itself.
        command
            .arg("--config")
            .arg(repository().join(".cargo/config.toml"))
            .args(["install", package, "--locked", "--version", version])
            .args(["--bin", "rsb_hub", "--bin", "rsb_service"])
            .args(["--target", board.rust_target, "--no-track", "--root"])
            .arg(folder)
            .arg("--target-dir")
            .arg(folder.join("target"));
        let log = folder.join("cargo.log");
        tool::run(&format!("building {package}"), HINT, command, &log, |_| ())?;
        let objects = folder.join("target");
        std::fs::remove_dir_all(&objects).on("cannot remove", &objects)?;
        step.done();
        Ok(())
    })?;
    Ok(entry.join("bin"))
}

/// Cargo, which ends when this process does.
pub fn cargo() -> Command {
    tool::bound_to_us(&std::env::var("CARGO").unwrap_or("cargo".into()), "TERM")
}

/// rustup brings the target of `rust-toolchain.toml` by itself, unless it was told not to install
/// anything unasked.
pub fn require_target(board: &Board) -> Result<()> {
    let mut rustup = Command::new("rustup");
    rustup.current_dir(repository()).args(["target", "list", "--installed"]);
    let Ok(installed) = tool::output("asking rustup for its targets", &mut rustup) else {
        // A Rust without rustup; cargo will say if it lacks the target.
        return Ok(());
    };
    if installed.lines().any(|target| target == board.rust_target) {
        return Ok(());
    }
    let step = Step::new(format!("adding Rust's {} target", board.rust_target));
    let mut rustup = Command::new("rustup");
    rustup.current_dir(repository()).args(["target", "add", board.rust_target]);
    tool::output("rustup target add", &mut rustup)?;
    step.done();
    Ok(())
}
