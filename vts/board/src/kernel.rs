// SPDX-License-Identifier: Apache-2.0
//! The board's kernel: Debian's source, this project's driver, the board's configuration.
//!
//! Three places of the cache, the latter two with the key of what goes into them:
//!
//! - `linux-source-<line>`: the source tree, with the driver copied in under
//!   `drivers/dma-buf/heaps/`; it stays at the point release that it was fetched at;
//! - `build-<objects>-<key>`: kbuild's objects, so that a changed driver file costs one compilation
//!   and a link, and a changed configuration what depends on it;
//! - `kernel-<board>-<key>`: a finished image and its modules. It is all that a boot takes.
//!
//! The tree is shared, so one lock covers driver, build and image. A build that was killed leaves
//! its mark in the build folder; objects newer than the mark are not trusted.

use std::collections::BTreeMap;
use std::fs::{self, File};
use std::io::{self, Read};
use std::iter;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::SystemTime;

use crate::boards::Board;
use crate::cache::{Cache, Key};
use crate::error::{Error, OnFile, Result};
use crate::kbuild::Kbuild;
use crate::place::repository;
use crate::progress::Step;
use crate::{debian, tool};

/// Source tree and objects of one board, in MiB, rounded up.
const SPACE_NEEDED: u64 = 3 * 1024;
/// Finished kernels kept of each folder of objects; they have 10 to 40 MiB.
const KERNELS_KEPT: usize = 12;
/// The driver's folder in the kernel tree.
pub const DRIVER: &str = "drivers/dma-buf/heaps/dmaheap";
/// Its folders, as they are below `kernel/`: itself, and the test devices.
const DRIVER_FOLDERS: [&str; 2] = ["", "devices"];
/// The lines that hook both into their parent's Kconfig and Makefile.
const HOOKS: [(&str, &str); 4] = [
    ("Kconfig", "source \"drivers/dma-buf/heaps/dmaheap/Kconfig\"\n"),
    ("Kconfig", "source \"drivers/dma-buf/heaps/dmaheap/devices/Kconfig\"\n"),
    ("Makefile", "obj-y += dmaheap/\n"),
    ("Makefile", "obj-y += dmaheap/devices/\n"),
];
/// What kbuild compares objects with, a file for each option; without it, an object of another
/// configuration looks up to date.
const CONFIGURATION: &str = "include/config";
const MARK: &str = ".building";

/// The driver's files, by their paths below `kernel/`.
pub type DriverFiles = BTreeMap<String, Vec<u8>>;

/// What a board boots.
#[derive(Debug)]
pub struct Kernel {
    /// The bootable image.
    pub image: PathBuf,
    /// The modules, which init loads.
    pub modules: Vec<PathBuf>,
}

/// The kernel, built if the cache does not have it; with another driver than this repository's, if
/// there is one.
pub fn kernel(board: &Board, cache: &Cache, driver: Option<&DriverFiles>) -> Result<Kernel> {
    let driver = driver.map_or_else(driver_files, |other| Ok(other.clone()))?;
    let build = Build::new(board, cache, driver)?;
    let folder = cache.path(&format!("kernel-{}-{}", board.kernel.objects, build.key));
    let built = Kernel {
        image: folder.join(&board.kernel.image),
        modules: board.kernel.modules.iter().map(|place| folder.join(file_name(place))).collect(),
    };
    if folder.exists() {
        return Ok(built);
    }
    let _lock = cache.lock("kernel")?;
    if folder.exists() {
        return Ok(built);
    }
    build.run(&folder)?;
    // Another board's name may begin with this one's, but no key has a dash.
    let of = |kind: &str, name: &str| {
        name.strip_prefix(&format!("{kind}-")).is_some_and(|key| !key.contains('-'))
    };
    let kernel = format!("kernel-{}", board.kernel.objects);
    cache.forget(KERNELS_KEPT, |name| of(&kernel, name))?;
    let objects = format!("build-{}", board.kernel.objects);
    cache.forget(1, |name| of(&objects, name))?;
    Ok(built)
}

fn file_name(place: &str) -> &str {
    place.rsplit('/').next().unwrap_or(place)
}

struct Build<'a> {
    board: &'a Board,
    tree: PathBuf,
    fragment: String,
    driver: DriverFiles,
    folder: PathBuf,
    key: String,
}

impl<'a> Build<'a> {
    fn new(board: &'a Board, cache: &Cache, driver: DriverFiles) -> Result<Self> {
        let compiler = tool::output(
            "asking for the compiler's version",
            Command::new(format!("{}gcc", board.target.cross_compile)).arg("-dumpfullversion"),
        )?;
        let fragment = fragment(board)?;
        let tree = source_tree(board, cache)?;

        let tools = Key::default().with(version(&tree)?).with(compiler);
        let folder = cache.path(&format!("build-{}-{}", board.kernel.objects, tools.digits()));
        let settings = tools.with(&fragment).with(board.kernel.modules.join(" "));
        let key = driver
            .iter()
            .fold(settings, |key, (name, content)| key.with(name).with(content))
            .digits();
        Ok(Self { board, tree, fragment, driver, folder, key })
    }

    fn run(self, place: &Path) -> Result<()> {
        copy_driver(&self.tree, &self.driver)?;
        fs::create_dir_all(&self.folder).on("cannot make", &self.folder)?;
        require_space(&self.folder)?;
        distrust_interrupted(&self.folder)?;
        let Self { board, tree, folder, .. } = self;
        let kbuild = Kbuild { board, tree, folder };
        kbuild.configure(&self.fragment, &board.kernel.origin())?;

        let step =
            Step::of_length(format!("building the kernel for {}", board.name), board.kernel.steps);
        let mut goals = vec![board.kernel.image.as_str()];
        if !board.kernel.modules.is_empty() {
            goals.push("modules");
        }
        let made = kbuild.make(&goals, |line| {
            if line.starts_with("  ") {
                step.advance(1);
            }
        });
        // One that ended by itself, for whatever reason, has left whole objects only.
        let mark = kbuild.folder.join(MARK);
        fs::remove_file(&mark).on("cannot remove", &mark)?;
        made?;
        keep(&kbuild, place)?;
        step.done();
        Ok(())
    }
}

/// Copies what was built to `place`, which is whole if it is there.
fn keep(kbuild: &Kbuild, place: &Path) -> Result<()> {
    let board = kbuild.board;
    let making = place.with_extension("making");
    fs::create_dir_all(&making).on("cannot make", &making)?;
    let image = format!("arch/{}/boot/{}", board.target.arch, board.kernel.image);
    for built in iter::once(image.as_str()).chain(board.kernel.modules.iter().map(String::as_str)) {
        let (from, to) = (kbuild.folder.join(built), making.join(file_name(built)));
        fs::copy(&from, &to).on("cannot copy", &from)?;
    }
    fs::rename(&making, place).on("cannot rename to", place)
}

/// What the board's kernel is configured to have.
pub fn fragment(board: &Board) -> Result<String> {
    let mut fragment = String::new();
    for file in &board.kernel.config {
        fragment += &fs::read_to_string(file).on("cannot read", file)?;
    }
    Ok(fragment)
}

/// The unpacked source tree.
pub fn source_tree(board: &Board, cache: &Cache) -> Result<PathBuf> {
    let kernel = &board.kernel;
    cache.entry(&kernel.source, |folder| {
        require_space(folder)?;
        let debian = folder.join("debian.package");
        let archive = debian::kernel_source(kernel, &debian)?;
        unpack(&archive, folder)?;
        fs::remove_dir_all(&debian).on("cannot remove", &debian)
    })
}

fn unpack(archive: &Path, folder: &Path) -> Result<()> {
    let file = File::open(archive).on("cannot open", archive)?;
    let length = file.metadata().on("cannot read", archive)?.len();
    let step = Step::of_length("unpacking the kernel's source", length);
    let log = folder.join("tar.log");
    let mut command = tool::bound_to_us("tar", "TERM");
    command
        .args(["-xJ", "--strip-components=1", "-C"])
        .arg(folder)
        .stdin(Stdio::piped())
        .stderr(File::create(&log).on("cannot write", &log)?);
    let mut tar = command.spawn().on("cannot start tar for", archive)?;
    if let Some(mut stdin) = tar.stdin.take() {
        // Where tar gives up, its own words say why; the broken pipe does not.
        let _ = io::copy(&mut counted(file, &step), &mut stdin);
    }
    let status = tar.wait().on("cannot wait for tar of", archive)?;
    tool::check("unpacking the kernel's source", "is the disk full?", status, &log)?;
    step.done();
    Ok(())
}

/// The point release of a tree: the lines of its Makefile that say so.
fn version(tree: &Path) -> Result<String> {
    let makefile = tree.join("Makefile");
    let text = fs::read_to_string(&makefile).on("cannot read", &makefile)?;
    let names = ["VERSION", "PATCHLEVEL", "SUBLEVEL", "EXTRAVERSION"];
    let is_version = |line: &&str| names.iter().any(|name| line.starts_with(&format!("{name} =")));
    Ok(text.lines().filter(is_version).collect())
}

/// The driver's sources, Kconfig and Makefile, and those of the test devices.
pub fn driver_files() -> Result<DriverFiles> {
    let kernel = repository().join("kernel");
    let mut files = BTreeMap::new();
    for folder in DRIVER_FOLDERS {
        let folder = kernel.join(folder);
        for path in entries(&folder)? {
            let ending = path.extension().and_then(|ending| ending.to_str());
            let is_named = ["Kconfig", "Makefile"].iter().any(|name| path.ends_with(name));
            if is_named || matches!(ending, Some("c" | "h")) {
                let name = path.strip_prefix(&kernel).unwrap_or(&path).to_string_lossy();
                files.insert(name.into_owned(), fs::read(&path).on("cannot read", &path)?);
            }
        }
    }
    Ok(files)
}

/// What is in a folder, by its paths.
fn entries(folder: &Path) -> Result<Vec<PathBuf>> {
    let entries = fs::read_dir(folder).on("cannot read", folder)?;
    entries.map(|entry| Ok(entry.on("cannot read", folder)?.path())).collect()
}

/// Makes the driver's folder in the tree equal to `files`. Unchanged files keep their times, so
/// that kbuild leaves their objects alone.
pub fn copy_driver(tree: &Path, files: &DriverFiles) -> Result<()> {
    let root = tree.join(DRIVER);
    for folder in DRIVER_FOLDERS {
        let folder = root.join(folder);
        fs::create_dir_all(&folder).on("cannot make", &folder)?;
        for path in entries(&folder)? {
            let name = path.strip_prefix(&root).unwrap_or(&path).to_string_lossy();
            if path.is_file() && !files.contains_key(&*name) {
                fs::remove_file(&path).on("cannot remove", &path)?;
            }
        }
    }
    for (name, content) in files {
        let path = root.join(name);
        if fs::read(&path).ok().as_ref() != Some(content) {
            fs::write(&path, content).on("cannot write", &path)?;
        }
    }
    for (name, line) in HOOKS {
        let path = root.with_file_name(name);
        let text = fs::read_to_string(&path).on("cannot read", &path)?;
        if !text.contains(line) {
            fs::write(&path, text + line).on("cannot write", &path)?;
        }
    }
    Ok(())
}

/// Removes what an interrupted build wrote last: a killed compiler leaves half an object that
/// looks newer than its source. Then marks this build as begun.
fn distrust_interrupted(folder: &Path) -> Result<()> {
    let mark = folder.join(MARK);
    if let Ok(since) = fs::metadata(&mark).and_then(|m| m.modified()) {
        remove_objects_since(folder, since)?;
    }
    fs::write(&mark, "").on("cannot write", &mark)
}

fn remove_objects_since(folder: &Path, since: SystemTime) -> Result<()> {
    for path in entries(folder)? {
        let metadata = fs::symlink_metadata(&path).on("cannot read", &path)?;
        let is_output = path.extension().is_none_or(|e| e == "o" || e == "a");
        if metadata.is_dir() {
            if !path.ends_with(CONFIGURATION) {
                remove_objects_since(&path, since)?;
            }
        } else if is_output && metadata.modified().is_ok_and(|at| at >= since) {
            fs::remove_file(&path).on("cannot remove", &path)?;
        }
    }
    Ok(())
}

fn require_space(folder: &Path) -> Result<()> {
    let stat = nix::sys::statvfs::statvfs(folder).map_err(io::Error::from);
    let stat = stat.on("cannot ask for the free space of", folder)?;
    let free = stat.blocks_available() * stat.fragment_size() / (1024 * 1024);
    if free >= SPACE_NEEDED {
        return Ok(());
    }
    Err(Error::DiskFull { path: folder.to_owned(), free, needed: SPACE_NEEDED })
}

/// A reader that moves the step's bar.
fn counted<'a>(reader: impl Read + 'a, step: &'a Step) -> impl Read + 'a {
    struct Counted<'a, R>(R, &'a Step);
    impl<R: Read> Read for Counted<'_, R> {
        fn read(&mut self, buf: &mut [u8]) -> io::Result<usize> {
            let got = self.0.read(buf)?;
            self.1.advance(got as u64);
            Ok(got)
        }
    }
    Counted(reader, step)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_driver_in_the_tree_follows_the_repository() {
        let tree = tempfile::tempdir().unwrap();
        let heaps = tree.path().join("drivers/dma-buf/heaps");
        fs::create_dir_all(&heaps).unwrap();
        for name in ["Kconfig", "Makefile"] {
            fs::write(heaps.join(name), "# first line\n").unwrap();
        }
        let file = |name: &str, content: &str| (name.to_owned(), content.as_bytes().to_vec());
        copy_driver(tree.path(), &[file("devices/a.c", "1"), file("b.c", "1")].into()).unwrap();
        let b = heaps.join("dmaheap/b.c");
        let before = fs::metadata(&b).unwrap().modified().unwrap();
        copy_driver(tree.path(), &[file("b.c", "1"), file("devices/c.c", "2")].into()).unwrap();

        assert!(!heaps.join("dmaheap/devices/a.c").exists());
        assert_eq!(fs::read(heaps.join("dmaheap/devices/c.c")).unwrap(), b"2");
        assert_eq!(fs::metadata(&b).unwrap().modified().unwrap(), before);
        let makefile = fs::read_to_string(heaps.join("Makefile")).unwrap();
        assert_eq!(makefile, "# first line\nobj-y += dmaheap/\nobj-y += dmaheap/devices/\n");
    }

    #[test]
    fn an_interrupted_build_keeps_sources_and_old_objects_only() {
        let folder = tempfile::tempdir().unwrap();
        let at = |name: &str| folder.path().join(name);
        fs::write(at("old.o"), "").unwrap();
        let old = File::open(at("old.o")).unwrap();
        old.set_modified(SystemTime::UNIX_EPOCH).unwrap();
        distrust_interrupted(folder.path()).unwrap();
        fs::write(at("half.o"), "").unwrap();
        fs::write(at("half.c"), "").unwrap();
        fs::create_dir_all(at("include/config")).unwrap();
        fs::write(at("include/config/PCI"), "").unwrap();
        distrust_interrupted(folder.path()).unwrap();
        assert!(at("old.o").exists() && at("half.c").exists() && !at("half.o").exists());
        assert!(at("include/config/PCI").exists());
    }
}
