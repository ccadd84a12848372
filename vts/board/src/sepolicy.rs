// SPDX-License-Identifier: Apache-2.0
//! The board's SELinux policy: the vendor's part, which boards take, joined with the stub that
//! stands for the platform's, in the platform's order; expanded by m4 and compiled by checkpolicy.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use crate::error::{OnFile, Result};
use crate::place::repository;
use crate::tool;

/// Before and after the `.te` files; checkpolicy wants each kind of statement at its place.
const BEFORE: [&str; 9] = [
    "security_classes",
    "initial_sids",
    "access_vectors",
    "global_macros",
    "mls_decl",
    "mls",
    "policy_capabilities",
    "te_macros",
    "attributes",
];
const AFTER: [&str; 5] = ["roles", "users", "initial_sid_contexts", "fs_use", "genfs_contexts"];

/// The newest binary format that Debian 12's checkpolicy writes.
const FORMAT: &str = "33";

/// A platform that the stub can stand for.
#[derive(Debug, Clone, Copy)]
pub struct Platform {
    /// Android's version: what macros there are.
    pub android: u32,
    /// The board API level, which a vendor chooses: what types and attributes there are for it.
    pub board_api: u32,
}

/// Those that a vendor's policy meets, in their order; Android 14 is the one of its last quarterly
/// release.
pub const PLATFORMS: [Platform; 5] = [
    Platform { android: 13, board_api: 33 },
    Platform { android: 14, board_api: 34 },
    Platform { android: 15, board_api: 202_404 },
    Platform { android: 16, board_api: 202_404 },
    NEWEST,
];

/// The one that the virtual board has.
const NEWEST: Platform = Platform { android: 16, board_api: 202_504 };

/// The vendor's folder of the repository.
pub fn vendor() -> PathBuf {
    repository().join("sepolicy")
}

/// The folder that stands for the platform.
pub fn platform() -> PathBuf {
    vendor().join("platform_stub")
}

/// Compiles the policy whose vendor part is in the folders `vendor`, in `folder`; returns the binary.
pub fn compile(vendor: &[PathBuf], folder: &Path) -> Result<PathBuf> {
    compile_for(NEWEST, vendor, folder)
}

/// The same for a platform of choice.
pub fn compile_for(level: Platform, vendor: &[PathBuf], folder: &Path) -> Result<PathBuf> {
    let platform = platform();
    let mut sources: Vec<PathBuf> = BEFORE.iter().map(|name| platform.join(name)).collect();
    sources.extend(rules_in(&platform)?);
    for vendor in vendor {
        sources.extend(rules_in(vendor)?);
    }
    sources.extend(AFTER.iter().map(|name| platform.join(name)));
    let labels = vendor.iter().map(|vendor| vendor.join("genfs_contexts"));
    sources.extend(labels.filter(|file| file.exists()));

    let (text, binary) = (folder.join("policy.conf"), folder.join("sepolicy"));
    // --synclines: so that an error names the file it is in.
    let expanded = tool::output(
        "expanding the SELinux policy",
        Command::new("m4")
            .arg("--synclines")
            .arg(format!("-Dandroid_version={}", level.android))
            .arg(format!("-Dtarget_board_api_level={}", level.board_api))
            .args(&sources),
    )?;
    fs::write(&text, expanded).on("cannot write", &text)?;
    let mut checkpolicy = Command::new("checkpolicy");
    checkpolicy.args(["-M", "-U", "allow", "-c", FORMAT, "-o"]).arg(&binary).arg(&text);
    tool::output("compiling the SELinux policy", &mut checkpolicy)?;
    Ok(binary)
}

/// The `.te` files of a folder, in the order of their names.
fn rules_in(folder: &Path) -> Result<Vec<PathBuf>> {
    let mut rules = Vec::new();
    for entry in fs::read_dir(folder).on("cannot read", folder)? {
        let path = entry.on("cannot read", folder)?.path();
        if path.extension().is_some_and(|extension| extension == "te") {
            rules.push(path);
        }
    }
    rules.sort();
    Ok(rules)
}
