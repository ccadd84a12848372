// SPDX-License-Identifier: Apache-2.0
//! What the host needs from Debian's packages.

use std::collections::BTreeSet;
use std::path::Path;
use std::process::{Command, Stdio};

use nix::unistd::geteuid;

use crate::boards::Board;
use crate::cache::Cache;
use crate::error::{Error, Result};
use crate::progress::Step;
use crate::tool;

/// The kernel's source; the LTS that current Android kernels derive from.
pub const KERNEL_SOURCE: &str = "linux-source-6.12";

/// What building and booting needs whatever the board.
const COMMON: [&str; 17] = [
    KERNEL_SOURCE,
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
    "qemu-system-arm",
    "setools",
    "util-linux",
    "xz-utils",
];

/// What checking the driver's source needs besides. Coccinelle loads Python's library by itself
/// and does not depend on it; without it, it has nothing to say.
pub const CHECKERS: [&str; 4] = ["coccinelle", "libpython3.11", "perl", "sparse"];

/// Makes sure that all this and `more` is installed; installs what is not, if `install` allows.
pub fn provide(board: &Board, more: &[&str], cache: &Cache, install: bool) -> Result<()> {
    let wanted = COMMON.iter().chain(board.compiler_packages).chain(more);
    let wanted: BTreeSet<&str> = wanted.copied().collect();
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
    let command = format!("apt-get update && apt-get install {}", missing.join(" "));
    if !install {
        return Err(Error::Missing {
            names: missing.join(" "),
            hint: format!("install them: {command}"),
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
    // It fails where one is unknown, and prints the others all the same.
    let known = Command::new("dpkg-query")
        .args(["-W", "-f=${db:Status-Status} ${Package}\n"])
        .args(wanted)
        .stderr(Stdio::null())
        .output()
        .map(|output| String::from_utf8_lossy(&output.stdout).into_owned())
        .unwrap_or_default();
    let installed: BTreeSet<&str> =
        known.lines().filter_map(|line| line.strip_prefix("installed ")).collect();
    wanted.iter().filter(|package| !installed.contains(*package)).copied().collect()
}

fn install_all(missing: &[&str], cache: &Cache) -> Result<()> {
    const HINT: &str = "is there a network, and is Debian 12 with its security updates in \
                        /etc/apt? Then try again, or install the packages by hand";
    eprintln!("installing from Debian: {}", missing.join(" "));
    let step = Step::new("installing Debian packages");
    let log = cache.path("apt.log");
    let update = vec!["update"];
    let install = [&["install", "-y", "--no-install-recommends"], missing].concat();
    for arguments in [update, install] {
        let mut command = apt_get();
        command.args(&arguments);
        let what = format!("apt-get {}", arguments.join(" "));
        tool::run(&what, HINT, command, &log, |_| ())?;
    }
    step.done();
    Ok(())
}

/// `apt-get` with the rights to install, asking nothing.
fn apt_get() -> Command {
    // sudo does not hand on the environment, so env sets it behind it.
    let mut command = Command::new(if geteuid().is_root() { "env" } else { "sudo" });
    if !geteuid().is_root() {
        command.arg("env");
    }
    command.args(["DEBIAN_FRONTEND=noninteractive", "apt-get"]);
    command
}
