// SPDX-License-Identifier: Apache-2.0
//! A board is a folder: its `board.toml` names all that differs between two of them.
//!
//! `service/etc` has those of devices and the virtual one, `vts/board/boards` what the laboratory
//! varies of the latter; anybody may have one elsewhere. A board that no emulator has runs its policy
//! on the virtual one ([`crate::stand_in`]).

use std::fs;
use std::path::{Path, PathBuf};
use std::sync::LazyLock;

use serde::Deserialize;
use serde_json::{Map, Value};

use crate::error::{Error, OnFile, Result};
use crate::place::repository;
use crate::sepolicy;

/// Where the image has the heap policy: where the service looks for it.
pub const POLICY: &str = "/vendor/etc/dmaheap/heaps.toml";

/// The allocator's program in the image, without its folder.
pub const ALLOCATOR: &str = "android.hardware.graphics.allocator-service.dmaheap";

/// The folders with this repository's boards.
const FOLDERS: [&str; 2] = ["service/etc", "vts/board/boards"];

const FILE: &str = "board.toml";

/// Keys whose values are paths, relative to the file's folder.
const PATHS: [&str; 6] = ["policy", "overlay", "ueventd", "sepolicy", "like", "config"];

/// A board. Its keys are those of `board.toml`; paths are absolute here.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Board {
    /// Its folder's name, in messages and in the cache.
    pub name: String,
    /// The heap policy.
    pub policy: PathBuf,
    /// The device-tree overlay with its regions.
    pub overlay: PathBuf,
    /// The vendor's ueventd lines: this project's, and the board's own.
    #[serde(default)]
    pub ueventd: Vec<PathBuf>,
    /// The folders of the vendor's SELinux policy, likewise.
    #[serde(default)]
    pub sepolicy: Vec<PathBuf>,
    /// The tree that the overlay is laid over: the kernel's source of it, below `arch/<arch>/boot/dts`;
    /// QEMU's own for its machine where none is named.
    pub device_tree: Option<String>,
    /// What compiles for it.
    pub target: Target,
    /// What QEMU emulates.
    pub machine: Machine,
    /// What runs on that.
    pub kernel: Kernel,
}

/// An architecture, by each tool's name of it.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Target {
    /// The kernel's.
    pub arch: String,
    /// Prefix of the C compiler and binary tools, with the dash.
    pub cross_compile: String,
    /// Rust's, with the C library.
    pub rust: String,
    /// Debian's.
    pub debian: String,
    /// Debian packages that bring the compilers and the C library's headers.
    pub compilers: Vec<String>,
}

/// QEMU's machine.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Machine {
    /// QEMU's program.
    pub qemu: String,
    /// The machine with its properties.
    pub kind: String,
    /// Devices beside those that every board has.
    pub devices: Vec<String>,
    /// CPU model under emulation.
    pub cpu: String,
    /// Cores.
    pub cores: u8,
    /// Memory in MiB unless the command line says otherwise.
    pub memory: u32,
}

/// A kernel and how it is made.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Kernel {
    /// Debian's package: a version of the kernel, of which Debian replaces the point releases.
    pub source: String,
    /// Debian's suites that have it, where they are not those of this machine's own sources.
    #[serde(default)]
    pub suites: Vec<String>,
    /// The make target, below `arch/<arch>/boot/`.
    pub image: String,
    /// All that its configuration has; later fragments add to earlier ones.
    pub config: Vec<PathBuf>,
    /// What of it is a module, by its place among the objects. Init loads them in the order of their
    /// names.
    #[serde(default)]
    pub modules: Vec<String>,
    /// Boards with the same name here share one folder of objects, because their configurations
    /// differ little.
    pub objects: String,
    /// Commands that a full build prints; only the progress bar uses it.
    pub steps: u64,
    /// Arguments, before those of the command line.
    pub arguments: String,
}

/// The 64-bit board: QEMU's generic machine with three memory regions.
pub static VIRT: LazyLock<Board> = LazyLock::new(|| own("virt"));

/// The same with the kernel's own heap for the default region, to measure ours beside it.
pub static VIRT_BENCH: LazyLock<Board> = LazyLock::new(|| own("virt-bench"));

/// The other kernel.
pub static VIRT_NEXT: LazyLock<Board> = LazyLock::new(|| own("virt-next"));

/// The same with the kernel's own heap.
pub static VIRT_NEXT_IN_TREE: LazyLock<Board> = LazyLock::new(|| own("virt-next-in-tree"));

/// A board that this crate is written for.
fn own(name: &str) -> Board {
    Board::find(name).unwrap_or_else(|error| panic!("{error}"))
}

impl Kernel {
    /// The names of what its configuration is from, for messages.
    pub fn origin(&self) -> String {
        self.config.iter().map(|file| file.display().to_string()).collect::<Vec<_>>().join(" and ")
    }
}

impl Board {
    /// The board of this name, or in this folder.
    ///
    /// # Errors
    /// If there is none, or its file is wrong.
    pub fn find(name: &str) -> Result<Board> {
        let known = FOLDERS.map(|folder| repository().join(folder).join(name));
        let folder = known.into_iter().find(|folder| folder.join(FILE).exists());
        let folder = match folder {
            Some(folder) if !name.contains('/') => folder,
            _ if Path::new(name).join(FILE).exists() => PathBuf::from(name),
            _ => {
                return Err(Error::Usage(format!(
                    "{name} is neither a folder with a {FILE} nor one of the boards {}",
                    names()?.join(", ")
                )));
            }
        };
        let path = folder.join(FILE);
        let folder = fs::canonicalize(&folder).on("cannot read", &folder)?;
        let wrong = |why: String| Error::Usage(format!("{}: {why}", path.display()));
        let mut board = read(&folder, "virt")?;
        let name = folder.file_name().unwrap_or_default().to_string_lossy();
        board.insert("name".to_owned(), Value::String(name.into_owned()));
        let mut board: Board = serde_json::from_value(Value::Object(board))
            .map_err(|error| wrong(error.to_string()))?;
        board.ueventd.insert(0, repository().join("service/etc/ueventd.rc"));
        board.sepolicy.insert(0, sepolicy::vendor());
        Ok(board)
    }

    /// Whether QEMU's machine is this board, and does not merely stand in for it.
    pub fn is_emulated(&self) -> bool {
        self.device_tree.is_none()
    }
}

/// The file's keys over those of the board that it is like, with absolute paths.
fn read(folder: &Path, default: &str) -> Result<Map<String, Value>> {
    let path = folder.join(FILE);
    let text = fs::read_to_string(&path).on("cannot read", &path)?;
    let wrong = |why: String| Error::Usage(format!("{}: {why}", path.display()));
    let mut own: Map<String, Value> =
        basic_toml::from_str(&text).map_err(|error| wrong(error.to_string()))?;
    resolve(&mut own, folder);
    let like = own.remove("like");
    let virt = repository().join(FOLDERS[0]).join(default);
    let base = match like.as_ref().and_then(Value::as_str) {
        Some(like) => read(Path::new(like), default)?,
        // What it does not say of the machine that stands in for it.
        None if folder != virt => {
            let mut base = read(&virt, default)?;
            base.retain(|_, value| value.is_object());
            base
        }
        None => Map::new(),
    };
    Ok(merged(base, own))
}

fn merged(mut base: Map<String, Value>, own: Map<String, Value>) -> Map<String, Value> {
    for (key, value) in own {
        let value = match (base.remove(&key), value) {
            (Some(Value::Object(below)), Value::Object(above)) => {
                Value::Object(merged(below, above))
            }
            (_, value) => value,
        };
        base.insert(key, value);
    }
    base
}

fn resolve(values: &mut Map<String, Value>, folder: &Path) {
    fn absolute(value: &mut Value, folder: &Path) {
        match value {
            Value::String(path) => {
                let joined = folder.join(&*path);
                // What is not there is an error where it is read.
                let whole = fs::canonicalize(&joined).unwrap_or(joined);
                *path = whole.to_string_lossy().into_owned();
            }
            Value::Array(paths) => paths.iter_mut().for_each(|path| absolute(path, folder)),
            _ => {}
        }
    }
    for (key, value) in values {
        match value {
            Value::Object(section) => resolve(section, folder),
            value if PATHS.contains(&key.as_str()) => absolute(value, folder),
            _ => {}
        }
    }
}

/// The names of this repository's boards.
///
/// # Errors
/// If their folders cannot be read.
pub fn names() -> Result<Vec<String>> {
    let mut names = Vec::new();
    for folder in FOLDERS.map(|folder| repository().join(folder)) {
        for entry in fs::read_dir(&folder).on("cannot read", &folder)? {
            let entry = entry.on("cannot read", &folder)?;
            if entry.path().join(FILE).exists() {
                names.push(entry.file_name().to_string_lossy().into_owned());
            }
        }
    }
    names.sort();
    Ok(names)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_board_of_the_repository_is_whole() {
        let names = names().unwrap();
        assert!(names.contains(&"virt-next".to_owned()) && names.contains(&"rpi4".to_owned()));
        for name in names {
            let board = Board::find(&name).unwrap();
            let one = [&board.policy, &board.overlay].into_iter();
            let several = board.ueventd.iter().chain(&board.sepolicy).chain(&board.kernel.config);
            for path in one.chain(several) {
                assert!(path.is_absolute() && path.exists(), "{name}: {}", path.display());
            }
            assert_eq!(board.is_emulated(), name.starts_with("virt"), "{name}");
        }
    }

    #[test]
    fn a_board_has_what_the_one_that_it_is_like_has() {
        let (virt, next) = (Board::find("virt").unwrap(), Board::find("virt-next").unwrap());
        assert_eq!(next.machine.cpu, virt.machine.cpu);
        assert_ne!(next.machine.memory, virt.machine.memory);
        assert_eq!((next.name.as_str(), next.policy), ("virt-next", virt.policy));
    }

    #[test]
    fn a_folder_anywhere_is_a_board_and_what_is_wrong_in_it_is_said() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().to_str().unwrap();
        let say = |text: &str| {
            fs::write(folder.path().join(FILE), text).unwrap();
            Board::find(path).map_err(|error| error.to_string())
        };
        let whole = "policy = 'heaps.toml'\noverlay = 'a.dtso'\ndevice_tree = 'b.dts'\n";
        let board = say(whole).unwrap();
        assert!(!board.is_emulated());
        assert_eq!(board.overlay, folder.path().join("a.dtso"));
        for (text, words) in [
            ("policy = 'heaps.toml'", "missing field `overlay`"),
            (&format!("{whole}polise = 'x'"), "unknown field `polise`"),
            ("policy = ", "line 1 column 10"),
        ] {
            let error = say(text).unwrap_err();
            assert!(error.contains(words) && error.starts_with(path), "{error}");
        }
        let error = Board::find("nosuch").unwrap_err().to_string();
        assert!(error.contains("rpi4"), "{error}");
    }
}
