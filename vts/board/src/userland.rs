// SPDX-License-Identifier: Apache-2.0
//! The guest's programs, cross-compiled: this workspace's, and rsbinder's service manager.

use std::fs::File;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use serde_json::Value;

use crate::boards::Board;
use crate::error::{OnFile, Result};
use crate::place::{repository, results};
use crate::progress::Step;
use crate::tool;

/// For a build of this workspace.
pub const HINT: &str = "cargo's own words above say what to mend; is there a network for crates?";

/// What is built together: packages of this workspace that go into the guest; and rsbinder's tools,
/// which ask for more of rsbinder than the others may get.
const BUILDS: [&[&str]; 2] = [
    &[
        // What only a host needs is not in the device's programs.
        "--no-default-features",
        "--bins",
        "--lib",
        "-pboard-guest",
        "-pdmaheap-allocator",
        "-pdmaheap-mapper",
        "-pdmaheap-mutants",
        "-pdmaheap-suite",
    ],
    &["--bin=rsb_hub", "--bin=rsb_service", "-pboard-hub", "-prsbinder-tools"],
];

/// Builds the guest's programs and its libraries for others; name and place of each.
pub fn programs(board: &Board) -> Result<Vec<(String, PathBuf)>> {
    require_target(&board.target.rust)?;
    const WHAT: &str = "building the guest's programs";
    let step = Step::new(WHAT);
    let results = results();
    std::fs::create_dir_all(&results).on("cannot make", &results)?;
    let mut built = Vec::new();
    for packages in BUILDS {
        let mut command = cargo();
        command
            .current_dir(repository())
            .args(["build", "--release", "--target", &board.target.rust])
            .args(packages);
        built.extend(build(WHAT, HINT, command, &results.join("cargo.log"))?);
    }
    step.done();
    Ok(built)
}

/// Runs a command of cargo's that builds; name and place of each program, and of each library for
/// others.
pub fn build(
    what: &str,
    hint: &'static str,
    mut command: Command,
    log: &Path,
) -> Result<Vec<(String, PathBuf)>> {
    command
        .arg("--message-format=json-render-diagnostics")
        .stdin(Stdio::null())
        .stderr(File::create(log).on("cannot write", log)?);
    let output = command.output().on("cannot start cargo, with log", log)?;
    tool::check(what, hint, output.status, log)?;
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

/// Cargo, which ends when this process does.
pub fn cargo() -> Command {
    tool::bound_to_us(std::env::var_os("CARGO").unwrap_or("cargo".into()), "TERM")
}

/// rustup brings the targets of `rust-toolchain.toml` by itself, unless it was told not to install
/// anything unasked.
///
/// # Errors
/// If rustup cannot bring it.
pub fn require_target(target: &str) -> Result<()> {
    let mut rustup = Command::new("rustup");
    rustup.current_dir(repository()).args(["target", "list", "--installed"]);
    let Ok(installed) = tool::output("asking rustup for its targets", &mut rustup) else {
        // A Rust without rustup; cargo will say if it lacks the target.
        return Ok(());
    };
    if installed.lines().any(|installed| installed == target) {
        return Ok(());
    }
    let step = Step::new(format!("adding Rust's {target} target"));
    let mut rustup = Command::new("rustup");
    rustup.current_dir(repository()).args(["target", "add", target]);
    tool::output("rustup target add", &mut rustup)?;
    step.done();
    Ok(())
}
