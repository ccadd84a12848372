// SPDX-License-Identifier: Apache-2.0
//! What the host needs installed from Debian's packages. Nothing that is installed goes for it.

use std::collections::BTreeSet;
use std::fs;
use std::path::Path;
use std::process::{Command, Stdio};

use nix::unistd::geteuid;

use crate::boards::Board;
use crate::cache::Cache;
use crate::error::{Error, Result};
use crate::progress::Step;
use crate::tool;

/// Set to anything, it forbids to install, as `--no-install` does: for `cargo test`, which takes
/// no flags for it.
pub const NO_INSTALL: &str = "DMAHEAP_NO_INSTALL";

/// What building and booting needs whatever the board.
const COMMON: [&str; 15] = [
    "bc",
    "bison",
    "checkpolicy",
    "device-tree-compiler",
    "dpkg",
    "flex",
    "gcc",
    "libc6-dev",
    "libelf-dev",
    "libssl-dev",
    "m4",
    "make",
    "setools",
    "util-linux",
    "xz-utils",
];

/// What QEMU, which is unpacked and not installed, is linked with.
const QEMU_LIBRARIES: [&str; 25] = [
    "libaio1",
    "libbpf1",
    "libcapstone4",
    "libfdt1",
    "libfuse3-3",
    "libglib2.0-0",
    "libgmp10",
    "libgnutls30",
    "libhogweed6",
    "libibverbs1",
    "libjpeg62-turbo",
    "libnettle8",
    "libnuma1",
    "libpixman-1-0",
    "libpmem1",
    "libpng16-16",
    "librdmacm1",
    "libsasl2-2",
    "libseccomp2",
    "libslirp0",
    "libudev1",
    "liburing2",
    "libvdeplug2",
    "libzstd1",
    "zlib1g",
];

/// What checking the driver's source needs besides. Coccinelle loads Python's library and calls
/// OCaml's compiler, and depends on neither.
pub const CHECKERS: [&str; 5] = ["coccinelle", "libpython3.11", "ocaml", "perl", "sparse"];

/// What looks at pages: 64 MB to fetch, a third of what the browser with a window takes.
pub const BROWSER: [&str; 1] = ["chromium-headless-shell"];

/// Whether installing is allowed where no flag says otherwise.
pub fn may_install() -> bool {
    std::env::var_os(NO_INSTALL).is_none()
}

/// Makes sure that all this and `more` is installed; installs what is not, if `install` allows.
pub fn provide(board: &Board, more: &[&str], cache: &Cache, install: bool) -> Result<()> {
    let wanted = COMMON.iter().chain(&QEMU_LIBRARIES).chain(more).copied();
    let compilers = board.target.compilers.iter().map(String::as_str);
    let wanted: BTreeSet<&str> = wanted.chain(compilers).collect();
    if !Path::new("/usr/bin/apt-get").exists() {
        return Err(Error::Missing {
            names: wanted.into_iter().collect::<Vec<_>>().join(" "),
            hint: "these are Debian 12's names; this system has no apt-get, and the board is \
                   built from Debian's packages (the kernel's source among them): use Debian 12 \
                   or a container of it"
                .into(),
        });
    }
    let missing = missing_of(&wanted);
    if missing.is_empty() {
        return Ok(());
    }
    if !install {
        let install = install_arguments(&missing).join(" ");
        return Err(Error::Missing {
            names: missing.join(" "),
            hint: format!("install them: apt-get update && apt-get {install}"),
        });
    }
    let _lock = cache.lock("packages")?;
    let missing = missing_of(&wanted);
    if missing.is_empty() {
        return Ok(());
    }
    install_all(&missing, cache)
}

/// Those of `wanted` that dpkg does not have installed.
fn missing_of<'a>(wanted: &BTreeSet<&'a str>) -> Vec<&'a str> {
    let known = installed(wanted.iter().copied());
    let has = |package: &str| known.lines().any(|line| line.split(' ').next() == Some(package));
    wanted.iter().filter(|package| !has(package)).copied().collect()
}

/// Those of the packages that are installed, one a line with its version.
pub fn installed<'a>(packages: impl IntoIterator<Item = &'a str>) -> String {
    // It fails where one is unknown, and prints the others all the same.
    let known = Command::new("dpkg-query")
        .args(["-W", "-f=${db:Status-Status} ${Package} ${Version}\n"])
        .args(packages)
        .stderr(Stdio::null())
        .output()
        .map(|output| String::from_utf8_lossy(&output.stdout).into_owned())
        .unwrap_or_default();
    let lines = known.lines().filter_map(|line| line.strip_prefix("installed "));
    lines.map(|line| format!("{line}\n")).collect()
}

fn install_arguments<'a>(packages: &[&'a str]) -> Vec<&'a str> {
    [&["install", "-y", "--no-remove", "--no-install-recommends"], packages].concat()
}

fn install_all(missing: &[&str], cache: &Cache) -> Result<()> {
    eprintln!("installing from Debian: {}", missing.join(" "));
    let step = Step::new("installing Debian packages");
    for arguments in [vec!["update"], install_arguments(missing)] {
        let verb = arguments.first().copied().unwrap_or_default();
        let log = cache.path(&format!("apt-{verb}.log"));
        let mut command = apt_get();
        command.args(&arguments);
        let what = format!("apt-get {}", arguments.join(" "));
        tool::run(&what, "", command, &log, |_| ()).map_err(|error| advise(error, &log))?;
    }
    step.done();
    Ok(())
}

/// What to do about a failure of apt's depends on what it says.
pub fn advise(error: Error, log: &Path) -> Error {
    let text = fs::read_to_string(log).unwrap_or_default();
    match error {
        Error::Tool { what, why, tail, log, .. } => {
            Error::Tool { what, why, tail, log, hint: advice(&text) }
        }
        other => other,
    }
}

fn advice(log: &str) -> &'static str {
    let says = |signs: &[&str]| signs.iter().any(|sign| log.contains(sign));
    if says(&["remove is disabled"]) {
        "apt would have to remove packages that are installed here, and must not: the whole log \
         names them; remove them by hand if you can do without, or use a container of Debian 12"
    } else if says(&["dpkg: error", "dpkg was interrupted", "Sub-process /usr/bin/dpkg"]) {
        "dpkg could not do its part, for the reason above: mend that (dpkg --configure -a, apt-get \
         -f install), then try again"
    } else if says(&["Could not get lock", "Unable to acquire"]) {
        "another program is installing packages: wait for it, then try again"
    } else if says(&["Unable to locate package linux-source"]) {
        "Debian has replaced this version of the kernel: name the next one in vts/board/src/boards.rs"
    } else if says(&["Unable to locate", "no installation candidate", "unmet dependencies"]) {
        "are Debian 12 and its security updates in /etc/apt? These are its package names"
    } else {
        "is there a network? If so, the whole log says what else is wrong"
    }
}

/// `apt-get` with the rights to install, asking nothing, in the language that is understood here.
fn apt_get() -> Command {
    // sudo does not hand on the environment, so env sets it behind it.
    let mut command = Command::new(if geteuid().is_root() { "env" } else { "sudo" });
    if !geteuid().is_root() {
        command.arg("env");
    }
    command.args(["LC_ALL=C", "DEBIAN_FRONTEND=noninteractive", "apt-get"]);
    command
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nothing_is_removed_to_install_something() {
        assert!(install_arguments(&["make"]).contains(&"--no-remove"));
    }

    #[test]
    fn the_network_is_blamed_for_what_nobody_else_explains() {
        for (log, part) in [
            ("E: Packages need to be removed but remove is disabled.", "by hand"),
            ("dpkg: error processing package x (--configure):", "dpkg --configure -a"),
            ("E: Unable to locate package x", "/etc/apt"),
            ("E: Unable to locate package linux-source-7.3", "boards.rs"),
            ("Err:1 x Could not resolve 'x'\nE: Failed to fetch x", "network"),
        ] {
            assert!(advice(log).contains(part), "{log}: {}", advice(log));
        }
    }
}
