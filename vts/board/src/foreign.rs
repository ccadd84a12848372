// SPDX-License-Identifier: Apache-2.0
//! Debian's packages for the board's architecture: the guest's C library, loader and shell.
//!
//! They are downloaded and unpacked into the cache with package lists of their own; the host's
//! package database never hears of another architecture.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use crate::boards::Board;
use crate::cache::{Cache, Key};
use crate::error::{OnFile, Result};
use crate::progress::Step;
use crate::tool;

const PACKAGES: [&str; 4] = ["busybox-static", "libc6", "libgcc-s1", "libstdc++6"];
const HINT: &str = "is there a network? apt-get update must work on this machine";

/// The folder that the packages are unpacked in.
pub fn root(board: &Board, cache: &Cache) -> Result<PathBuf> {
    let key = Key::default().with(PACKAGES.join(" ")).digits();
    let name = format!("debian-{}-{key}", board.debian_arch);
    let entry = cache.entry(&name, |folder| {
        let step = Step::new(format!("fetching Debian's C library for {}", board.debian_arch));
        for part in ["apt/lists/partial", "apt/archives/partial", "root"] {
            let part = folder.join(part);
            fs::create_dir_all(&part).on("cannot make", &part)?;
        }
        apt_get(board, folder, &["update"])?;
        apt_get(board, folder, &[&["download"], &PACKAGES[..]].concat())?;
        unpack(folder)?;
        step.done();
        Ok(())
    })?;
    Ok(entry.join("root"))
}

/// Runs apt-get in `folder`'s `apt`, with all its state there.
fn apt_get(board: &Board, folder: &Path, arguments: &[&str]) -> Result<()> {
    let apt = folder.join("apt");
    let mut command = Command::new("apt-get");
    command
        .current_dir(&apt)
        .args(arguments)
        .arg(format!("-oAPT::Architecture={}", board.debian_arch))
        .arg(format!("-oAPT::Architectures={}", board.debian_arch))
        .arg("-oAPT::Sandbox::User=root")
        .arg(format!("-oDir::State::Lists={}", apt.join("lists").display()))
        .arg(format!("-oDir::Cache={}", apt.display()));
    let what = format!("apt-get {} for {}", arguments.join(" "), board.debian_arch);
    tool::run(&what, HINT, command, &folder.join("apt.log"), |_| ())
}

fn unpack(folder: &Path) -> Result<()> {
    let apt = folder.join("apt");
    for file in fs::read_dir(&apt).on("cannot read", &apt)? {
        let file = file.on("cannot read", &apt)?.path();
        if file.extension().is_some_and(|e| e == "deb") {
            let mut command = Command::new("dpkg");
            command.arg("-x").arg(&file).arg(folder.join("root"));
            tool::run("unpacking a package", HINT, command, &folder.join("dpkg.log"), |_| ())?;
        }
    }
    // Only what was unpacked is of use from here on.
    fs::remove_dir_all(&apt).on("cannot remove", &apt)
}
