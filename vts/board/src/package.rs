// SPDX-License-Identifier: Apache-2.0
//! What a device gets, as a tar or a folder: below `vendor/` what lies on its partition of that name,
//! and beside it what its other parts are made of. The same commit gives the same bytes.

use std::collections::BTreeMap;
use std::fs::{self, File, Permissions};
use std::io::Write;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::Command;

use sha2::{Digest, Sha256};

use crate::boards::Board;
use crate::error::{Error, OnFile, Result};
use crate::image::{ALLOCATORS, RC};
use crate::place::repository;
use crate::{android, tool};

/// Where each program that is built goes.
const PROGRAMS: [(&str, &str); 5] = [
    ("allocator", "vendor/bin/hw/android.hardware.graphics.allocator-service.dmaheap"),
    ("dmaheap_mapper", "vendor/lib64/hw/mapper.dmaheap.so"),
    ("VtsDmaHeap_TargetTest", "tests/VtsDmaHeap_TargetTest"),
    (
        "VtsHalGraphicsAllocatorDmaHeap_TargetTest",
        "tests/VtsHalGraphicsAllocatorDmaHeap_TargetTest",
    ),
    ("VtsHalGraphicsMapperDmaHeap_TargetTest", "tests/VtsHalGraphicsMapperDmaHeap_TargetTest"),
];

/// Every other file, or every file that lies in a folder; where it goes, and its mode. What goes to one
/// place from several is there one behind the other: a board's own lines follow those of all boards.
fn files(board: &Board) -> Vec<(PathBuf, String, u32)> {
    let overlay = board.overlay.file_name().unwrap_or_default().to_string_lossy();
    let etc = repository().join("service/etc");
    let mut files = vec![
        (board.policy.clone(), "vendor/etc/dmaheap/heaps.toml".to_owned(), 0o644),
        (board.overlay.clone(), format!("kernel/board/{overlay}"), 0o644),
        (etc.join(RC), format!("vendor/etc/init/{RC}"), 0o644),
        (etc.join(ALLOCATORS), format!("vendor/etc/vintf/manifest/{ALLOCATORS}"), 0o644),
    ];
    let mut add = |from: PathBuf, to: &str, mode| files.push((from, to.to_owned(), mode));
    for part in &board.ueventd {
        add(part.clone(), "vendor/etc/ueventd.rc", 0o644);
    }
    for part in &board.sepolicy {
        add(part.join("file_contexts"), "vendor/etc/selinux/vendor_file_contexts", 0o644);
        add(part.clone(), "sepolicy", 0o644);
    }
    for (from, mode) in [("kernel", 0o644), ("LICENSE-APACHE", 0o644), ("LICENSE-GPL", 0o644)] {
        add(repository().join(from), from, mode);
    }
    add(repository().join("vts/board/android/install.sh"), "install.sh", 0o755);
    files
}

/// What the parts are that do not lie on `/vendor`; at the head of the manifest.
const WHERE_IT_GOES: &str = "\
# vendor/    lies on the device's /vendor; install.sh puts it there, on a device that lets it
# sepolicy/  belongs into BOARD_VENDOR_SEPOLICY_DIRS of the device's tree; Android 13 is the oldest
# kernel/    belongs into drivers/dma-buf/heaps/dmaheap of the device's kernel, its README says how;
#            kernel/board has the overlay for the device's tree
# tests/     run on the device, as root; install.sh puts them into /data/local/tmp
";

/// A package: what it holds by its path there, with mode and bytes.
#[derive(Debug)]
pub struct Package {
    files: BTreeMap<String, (u32, Vec<u8>)>,
    /// When the commit was made, in seconds since 1970.
    time: u64,
}

impl Package {
    /// Builds what goes into it, and takes the rest from the repository.
    ///
    /// # Errors
    /// If it cannot be built or read.
    pub fn build(board: &Board) -> Result<Package> {
        let built = android::programs()?;
        let commit = Commit::read();
        let mut package = Package { files: BTreeMap::new(), time: commit.time };
        for (program, to) in PROGRAMS {
            let found = built.iter().find(|(name, _)| name == program);
            let (_, path) = found.ok_or_else(|| {
                Error::Usage(format!("cargo built no {program}: see target/board/android.log"))
            })?;
            let mode = if to.ends_with(".so") { 0o644 } else { 0o755 };
            package.add(path, to, mode)?;
        }
        for (from, to, mode) in files(board) {
            if from.is_dir() {
                for file in files_in(&from)? {
                    let name = file.file_name().unwrap_or_default().to_string_lossy();
                    package.add(&file, &format!("{to}/{name}"), mode)?;
                }
            } else {
                package.add(&from, &to, mode)?;
            }
        }
        let manifest = package.manifest(board, &commit.name);
        package.files.insert("MANIFEST".to_owned(), (0o644, manifest.into_bytes()));
        Ok(package)
    }

    fn add(&mut self, from: &Path, to: &str, mode: u32) -> Result<()> {
        let bytes = fs::read(from).on("cannot read", from)?;
        self.files.entry(to.to_owned()).or_insert((mode, Vec::new())).1.extend(bytes);
        Ok(())
    }

    /// Version, commit, device, and every file with its hash, as `sha256sum --check` takes them.
    fn manifest(&self, board: &Board, commit: &str) -> String {
        let version = env!("CARGO_PKG_VERSION");
        let name = &board.name;
        let mut text =
            format!("# dmaheap-gralloc {version}, commit {commit}, for {name}\n{WHERE_IT_GOES}");
        for (path, (_, bytes)) in &self.files {
            text.push_str(&format!("{:x}  {path}\n", Sha256::digest(bytes)));
        }
        text
    }

    /// Writes it as a tar if the name ends so, else as a folder, which must be empty or not there.
    ///
    /// # Errors
    /// If it cannot be written.
    pub fn write(&self, out: &Path) -> Result<()> {
        if out.extension().is_some_and(|extension| extension == "tar") {
            return self.write_tar(out);
        }
        if fs::read_dir(out).is_ok_and(|mut entries| entries.next().is_some()) {
            return Err(Error::Usage(format!("{} is not empty", out.display())));
        }
        for (path, (mode, bytes)) in &self.files {
            let path = out.join(path);
            let above = path.parent().unwrap_or(out);
            fs::create_dir_all(above).on("cannot make", above)?;
            fs::write(&path, bytes).on("cannot write", &path)?;
            fs::set_permissions(&path, Permissions::from_mode(*mode)).on("cannot change", &path)?;
        }
        Ok(())
    }

    fn write_tar(&self, out: &Path) -> Result<()> {
        let file = File::create(out).on("cannot write", out)?;
        let mut tar = tar::Builder::new(file);
        for (path, (mode, bytes)) in &self.files {
            let mut header = tar::Header::new_ustar();
            header.set_mode(*mode);
            header.set_uid(0);
            header.set_gid(0);
            header.set_mtime(self.time);
            header.set_size(bytes.len() as u64);
            tar.append_data(&mut header, path, bytes.as_slice()).on("cannot write", out)?;
        }
        let mut file = tar.into_inner().on("cannot write", out)?;
        file.flush().on("cannot write", out)
    }
}

/// The files in a folder of the repository, not those in folders below.
fn files_in(folder: &Path) -> Result<Vec<PathBuf>> {
    let mut files = Vec::new();
    for entry in fs::read_dir(folder).on("cannot read", folder)? {
        let path = entry.on("cannot read", folder)?.path();
        if path.is_file() {
            files.push(path);
        }
    }
    files.sort();
    Ok(files)
}

/// What the repository's files are of.
struct Commit {
    name: String,
    time: u64,
}

impl Commit {
    /// Files that were changed since are said to be; without git, nothing is known.
    fn read() -> Commit {
        let git = |arguments: &[&str]| {
            let mut git = Command::new("git");
            git.arg("-C").arg(repository()).args(arguments);
            tool::output("asking git", &mut git).ok()
        };
        let known = git(&["log", "-1", "--format=%H %ct"]);
        let known = known.as_deref().and_then(|text| text.trim().split_once(' '));
        let Some((name, time)) = known else {
            return Commit { name: "unknown".to_owned(), time: 0 };
        };
        let changed = git(&["status", "--porcelain"]).is_none_or(|changes| !changes.is_empty());
        let name = if changed { format!("{name} with changes") } else { name.to_owned() };
        Commit { name, time: time.parse().unwrap_or(0) }
    }
}
