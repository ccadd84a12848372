// SPDX-License-Identifier: Apache-2.0
//! Debian's packages that are unpacked into the cache and not installed: the guest's C library,
//! loader and shell, which are of another architecture; QEMU, whose package would make a host
//! that has another QEMU remove it; and AOSP's AIDL compiler, which knows Rust in unstable only.
//!
//! They are downloaded with package lists of their own, so that the host's package database never
//! hears of them.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use crate::boards::Board;
use crate::cache::{Cache, Key};
use crate::error::{Error, OnFile, Result};
use crate::packages;
use crate::progress::Step;
use crate::tool;

const GUEST: [&str; 4] = ["busybox-static", "libc6", "libgcc-s1", "libstdc++6"];
const QEMU: [&str; 2] = ["qemu-system-arm", "qemu-system-data"];
/// With its own C library: that of the host may be too old for it.
const AIDL: [&str; 8] = [
    "aidl",
    "android-libbase",
    "android-libcutils",
    "android-liblog",
    "libatomic1",
    "libc6",
    "libgcc-s1",
    "libstdc++6",
];
const HINT: &str = "is the disk full? If not, remove the folder that holds the log";

/// The folder with the guest's C library and shell, which fit the compiler that is installed here.
pub fn guest_root(board: &Board, cache: &Cache) -> Result<PathBuf> {
    let compiler = packages::installed(board.compiler_packages.iter().copied());
    let key = Key::default().with(GUEST.join(" ")).with(compiler).digits();
    let name = format!("debian-{}-{key}", board.debian_arch);
    let what = format!("fetching Debian's C library for {}", board.debian_arch);
    unpacked(cache, &name, board.debian_arch, None, &GUEST, &what)
}

/// The board's QEMU program.
pub fn qemu(board: &Board, cache: &Cache) -> Result<PathBuf> {
    let host = host()?;
    let key = Key::default().with(QEMU.join(" ")).digits();
    let root = unpacked(cache, &format!("qemu-{host}-{key}"), &host, None, &QEMU, "fetching QEMU")?;
    Ok(root.join("usr/bin").join(board.qemu))
}

/// The command that runs AOSP's AIDL compiler.
///
/// # Errors
/// If it cannot be fetched.
pub fn aidl() -> Result<Command> {
    let (cache, host) = (Cache::open()?, host()?);
    let key = Key::default().with(AIDL.join(" ")).digits();
    let (name, what) = (format!("aidl-{host}-{key}"), "fetching AOSP's AIDL compiler");
    let root = unpacked(&cache, &name, &host, Some("sid"), &AIDL, what)?;
    let loaders = root.join("usr/lib64");
    let loader = fs::read_dir(&loaders).on("cannot read", &loaders)?.flatten().next();
    let loader = loader.map(|entry| entry.path()).unwrap_or(loaders);
    let lib = root.join("usr/lib");
    let folders = fs::read_dir(&lib).on("cannot read", &lib)?.flatten().map(|entry| entry.path());
    let paths = folders.flat_map(|folder| [folder.join("android"), folder]);
    let paths: Vec<String> = paths.map(|path| path.display().to_string()).collect();
    let mut command = Command::new(loader);
    command.arg("--library-path").arg(paths.join(":")).arg(root.join("usr/bin/aidl"));
    Ok(command)
}

/// Debian's name for this machine.
fn host() -> Result<String> {
    let mut dpkg = Command::new("dpkg");
    let host =
        tool::output("asking dpkg for this machine's name", dpkg.arg("--print-architecture"));
    Ok(host?.trim().to_owned())
}

/// The folder that the packages are unpacked in; of this suite of Debian, if not the host's.
fn unpacked(
    cache: &Cache,
    name: &str,
    arch: &str,
    suite: Option<&str>,
    packages: &[&str],
    what: &str,
) -> Result<PathBuf> {
    let entry = cache.entry(name, |folder| {
        let step = Step::new(what);
        for part in ["apt/lists/partial", "apt/archives/partial", "root"] {
            let part = folder.join(part);
            fs::create_dir_all(&part).on("cannot make", &part)?;
        }
        let options = suite.map_or(Ok(Vec::new()), |suite| sources(suite, folder))?;
        apt_get(arch, folder, &options, &["update"])?;
        apt_get(arch, folder, &options, &[&["download"], packages].concat())?;
        unpack(folder)?;
        step.done();
        Ok(())
    })?;
    Ok(entry.join("root"))
}

/// What has apt-get look at another suite than the host's, where the host gets Debian from.
fn sources(suite: &str, folder: &Path) -> Result<Vec<String>> {
    let mut indexes = Command::new("apt-get");
    indexes.args(["indextargets", "--format", "$(REPO_URI) $(COMPONENT) $(RELEASE)"]);
    let known = tool::output("asking apt for its sources", indexes.arg("Created-By: Packages"))?;
    // Not that of security updates.
    let of_debian = |line: &&str| line.contains("/debian/ main ");
    let uri = known.lines().find(of_debian).and_then(|line| line.split(' ').next());
    let uri = uri.ok_or(Error::Usage("apt has no source of Debian's own packages".into()))?;
    let list = folder.join("sources.list");
    const KEYS: &str = "/usr/share/keyrings/debian-archive-keyring.gpg";
    let line = format!("deb [signed-by={KEYS}] {uri} {suite} main\n");
    fs::write(&list, line).on("cannot write", &list)?;
    Ok(vec![
        format!("-oDir::Etc::SourceList={}", list.display()),
        "-oDir::Etc::SourceParts=/dev/null".to_owned(),
        // What the host has installed is not of that suite.
        "-oDir::State::Status=/dev/null".to_owned(),
    ])
}

/// Runs apt-get in `folder`'s `apt`, with all its state there.
fn apt_get(arch: &str, folder: &Path, options: &[String], arguments: &[&str]) -> Result<()> {
    let apt = folder.join("apt");
    let mut command = Command::new("apt-get");
    command
        .current_dir(&apt)
        .args(arguments)
        .args(options)
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
