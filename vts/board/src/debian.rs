// SPDX-License-Identifier: Apache-2.0
//! Debian's packages that are unpacked into the cache and not installed: the guest's C library,
//! loader and shell, which are of another architecture; QEMU, whose package would make a host that
//! has another QEMU remove it; the kernels' sources, one of which is newer than the host; and AOSP's
//! AIDL compiler, which knows Rust in unstable only.
//!
//! They are downloaded with package lists of their own, so that the host's package database never
//! hears of them.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use crate::boards::{Board, Kernel};
use crate::cache::{Cache, Key};
use crate::error::{Error, OnFile, Result};
use crate::packages;
use crate::progress::Step;
use crate::tool;

const GUEST: [&str; 4] = ["busybox-static", "libc6", "libgcc-s1", "libstdc++6"];
const QEMU: [&str; 2] = ["qemu-system-arm", "qemu-system-data"];
/// What Debian signs all of its suites with; Debian 12 knows its successors' keys.
const KEYS: &str = "/usr/share/keyrings/debian-archive-keyring.gpg";
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
    let compiler = packages::installed(board.target.compilers.iter().map(String::as_str));
    let key = Key::default().with(GUEST.join(" ")).with(compiler).digits();
    let name = format!("debian-{}-{key}", board.target.debian);
    let what = format!("fetching Debian's C library for {}", board.target.debian);
    unpacked(cache, &name, board.target.debian.clone(), &[], &GUEST, &what)
}

/// The board's QEMU program.
pub fn qemu(board: &Board, cache: &Cache) -> Result<PathBuf> {
    let host = host_arch()?;
    let key = Key::default().with(QEMU.join(" ")).digits();
    let name = format!("qemu-{host}-{key}");
    let root = unpacked(cache, &name, host, &[], &QEMU, "fetching QEMU")?;
    Ok(root.join("usr/bin").join(&board.machine.qemu))
}

/// The archive with a kernel's source, unpacked below `folder`.
pub fn kernel_source(kernel: &Kernel, folder: &Path) -> Result<PathBuf> {
    let step = Step::new(format!("fetching {}", kernel.source));
    let suites: Vec<&str> = kernel.suites.iter().map(String::as_str).collect();
    let apt = Apt { folder, arch: host_arch()?, suites: &suites };
    apt.unpack(&[&kernel.source])?;
    step.done();
    Ok(folder.join(format!("root/usr/src/{}.tar.xz", kernel.source)))
}

fn host_arch() -> Result<String> {
    let mut dpkg = Command::new("dpkg");
    let said =
        tool::output("asking dpkg for this machine's name", dpkg.arg("--print-architecture"))?;
    Ok(said.trim().to_owned())
}

/// The command that runs AOSP's AIDL compiler.
///
/// # Errors
/// If it cannot be fetched.
pub fn aidl() -> Result<Command> {
    let (cache, host) = (Cache::open()?, host_arch()?);
    let key = Key::default().with(AIDL.join(" ")).digits();
    let (name, what) = (format!("aidl-{host}-{key}"), "fetching AOSP's AIDL compiler");
    let root = unpacked(&cache, &name, host, &["sid"], &AIDL, what)?;
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

/// The folder that the packages are unpacked in; of these suites of Debian, if not the host's.
fn unpacked(
    cache: &Cache,
    name: &str,
    arch: String,
    suites: &[&str],
    packages: &[&str],
    what: &str,
) -> Result<PathBuf> {
    let entry = cache.entry(name, |folder| {
        let step = Step::new(what);
        Apt { folder, arch, suites }.unpack(packages)?;
        step.done();
        Ok(())
    })?;
    Ok(entry.join("root"))
}

/// apt-get with all its state in `folder`'s `apt`.
struct Apt<'a> {
    folder: &'a Path,
    arch: String,
    /// Those of Debian to take packages from, if not the ones that this machine takes its own from.
    suites: &'a [&'a str],
}

impl Apt<'_> {
    /// Downloads the packages and unpacks them in `folder`'s `root`.
    fn unpack(&self, packages: &[&str]) -> Result<()> {
        for part in ["apt/lists/partial", "apt/archives/partial", "root"] {
            let part = self.folder.join(part);
            fs::create_dir_all(&part).on("cannot make", &part)?;
        }
        self.run(&["update"])?;
        if !self.suites.is_empty() {
            self.write_sources(&self.mirror()?)?;
            self.run(&["update"])?;
        }
        self.run(&[&["download"], packages].concat())?;
        unpack(self.folder)
    }

    fn run(&self, arguments: &[&str]) -> Result<()> {
        let mut command = self.command();
        command.args(arguments);
        let what = format!("apt-get {} for {}", arguments.join(" "), self.arch);
        let log = self.folder.join("apt.log");
        tool::run(&what, "", command, &log, |_| ()).map_err(|error| packages::advise(error, &log))
    }

    fn command(&self) -> Command {
        let apt = self.folder.join("apt");
        let mut command = Command::new("apt-get");
        command
            .current_dir(&apt)
            .arg(format!("-oAPT::Architecture={}", self.arch))
            .arg(format!("-oAPT::Architectures={}", self.arch))
            .arg("-oAPT::Sandbox::User=root")
            .arg("-oAcquire::Languages=none")
            .arg(format!("-oDir::State::Lists={}", apt.join("lists").display()))
            .arg(format!("-oDir::Cache={}", apt.display()));
        let sources = self.sources();
        if sources.exists() {
            command.arg(format!("-oDir::Etc::SourceList={}", sources.display()));
            command.arg("-oDir::Etc::SourceParts=-");
            // What the host has installed is not of these suites.
            command.arg("-oDir::State::Status=/dev/null");
        }
        command
    }

    fn sources(&self) -> PathBuf {
        self.folder.join("apt/sources.list")
    }

    /// Where this machine gets Debian from.
    fn mirror(&self) -> Result<String> {
        let mut command = self.command();
        command.args(["indextargets", "--format", "$(REPO_URI)"]);
        command.args(["Created-By: Packages", "Origin: Debian", "Label: Debian"]);
        let known = tool::output("asking apt-get for Debian's address", &mut command)?;
        let first = known.lines().next().map(str::to_owned);
        first.ok_or_else(|| Error::Usage("no source in /etc/apt is Debian itself".into()))
    }

    fn write_sources(&self, mirror: &str) -> Result<()> {
        let line = |suite| format!("deb [signed-by={KEYS}] {mirror} {suite} main\n");
        let sources = self.sources();
        fs::write(&sources, self.suites.iter().map(line).collect::<String>())
            .on("cannot write", &sources)
    }
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
