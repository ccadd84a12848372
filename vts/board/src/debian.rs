// SPDX-License-Identifier: Apache-2.0
//! Debian's packages that are unpacked into the cache and not installed: the guest's C library,
//! loader and shell, which are of another architecture, and QEMU, whose package would make a host
//! that has another QEMU remove it.
//!
//! They are downloaded with package lists of their own, so that the host's package database never
//! hears of them.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use crate::boards::Board;
use crate::cache::{Cache, Key};
use crate::error::{OnFile, Result};
use crate::packages;
use crate::progress::Step;
use crate::tool;

const GUEST: [&str; 4] = ["busybox-static", "libc6", "libgcc-s1", "libstdc++6"];
const QEMU: [&str; 2] = ["qemu-system-arm", "qemu-system-data"];
const HINT: &str = "is the disk full? If not, remove the folder that holds the log";

/// The folder with the guest's C library and shell, which fit the compiler that is installed here.
pub fn guest_root(board: &Board, cache: &Cache) -> Result<PathBuf> {
    let compiler = packages::installed(board.compiler_packages.iter().copied());
    let key = Key::default().with(GUEST.join(" ")).with(compiler).digits();
    let name = format!("debian-{}-{key}", board.debian_arch);
    let what = format!("fetching Debian's C library for {}", board.debian_arch);
    unpacked(cache, &name, board.debian_arch, &GUEST, &what)
}

/// The board's QEMU program.
pub fn qemu(board: &Board, cache: &Cache) -> Result<PathBuf> {
    let mut dpkg = Command::new("dpkg");
    let host =
        tool::output("asking dpkg for this machine's name", dpkg.arg("--print-architecture"))?;
    let key = Key::default().with(QEMU.join(" ")).digits();
    let name = format!("qemu-{}-{key}", host.trim());
    let root = unpacked(cache, &name, host.trim(), &QEMU, "fetching QEMU")?;
    Ok(root.join("usr/bin").join(board.qemu))
}

/// The folder that the packages are unpacked in.
fn unpacked(
    cache: &Cache,
    name: &str,
    arch: &str,
    packages: &[&str],
    what: &str,
) -> Result<PathBuf> {
    let entry = cache.entry(name, |folder| {
        let step = Step::new(what);
        for part in ["apt/lists/partial", "apt/archives/partial", "root"] {
            let part = folder.join(part);
            fs::create_dir_all(&part).on("cannot make", &part)?;
        }
        apt_get(arch, folder, &["update"])?;
        apt_get(arch, folder, &[&["download"], packages].concat())?;
        unpack(folder)?;
        step.done();
        Ok(())
    })?;
    Ok(entry.join("root"))
}

/// Runs apt-get in `folder`'s `apt`, with all its state there.
fn apt_get(arch: &str, folder: &Path, arguments: &[&str]) -> Result<()> {
    let apt = folder.join("apt");
    let mut command = Command::new("apt-get");
    command
        .current_dir(&apt)
        .args(arguments)
        .arg(format!("-oAPT::Architecture={arch}"))
        .arg(format!("-oAPT::Architectures={arch}"))
        .arg("-oAPT::Sandbox::User=root")
        .arg("-oAcquire::Languages=none")
        .arg(format!("-oDir::State::Lists={}", apt.join("lists").display()))
        .arg(format!("-oDir::Cache={}", apt.display()));
    let what = format!("apt-get {} for {arch}", arguments.join(" "));
    let log = folder.join("apt.log");
    tool::run(&what, "", command, &log, |_| ()).map_err(|error| packages::advise(error, &log))
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
