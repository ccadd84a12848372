// SPDX-License-Identifier: Apache-2.0
//! The guest's image: an initramfs laid out as Android's partitions are.

use std::collections::BTreeMap;
use std::fs::{self, File};
use std::io::{self, BufWriter, Seek, Write};
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};

use cpio::newc::{Builder, ModeFileType, trailer};

use crate::boards::{self, Board};
use crate::cache::Cache;
use crate::error::{Error, OnFile, Result};
use crate::place::repository;
use crate::{bionic, debian, sepolicy, userland, vintf};

/// Folders of Debian's packages that the guest needs.
const LIBRARY_FOLDERS: [&str; 4] = ["lib", "lib64", "usr/lib", "bin"];

/// Where this workspace's programs and libraries go; those that are not named go to /system/bin.
const PROGRAMS: [(&str, &str); 4] = [
    ("init", "/init"),
    ("allocator", "/vendor/bin/hw/android.hardware.graphics.allocator-service.dmaheap"),
    ("dmaheap_mapper", "/vendor/lib64/hw/mapper.dmaheap.so"),
    ("dmaheap_mutants", "/vendor/lib64/hw/mapper.mutant.so"),
];

/// Where init finds the SELinux policy.
const POLICY: &str = "/vendor/etc/selinux/precompiled_sepolicy";

/// Where init finds the kernel's modules.
const MODULES: &str = "/vendor/lib/modules";

/// What errors call the image.
const UNNAMED: &str = "(the image)";

/// The VINTF manifest of the allocator and its mapper, by its name on a device.
pub const ALLOCATORS: &str = "android.hardware.graphics.allocator-service.dmaheap.xml";

/// The allocator's `.rc` file, likewise.
pub const RC: &str = "android.hardware.graphics.allocator-service.dmaheap.rc";

/// Every manifest of the image and where it is in the repository. The second is a test program's.
const MANIFESTS: [(&str, &str); 2] =
    [("service/etc", ALLOCATORS), ("vts/mutants/etc", "mutant.xml")];

/// What the service manager reads; it trusts no file below a folder that others may write to.
const DECLARED: &str = "/system/etc/hub.d/declared.toml";

/// Folders with modes of their own, and empty ones for mounts and for people.
const FOLDERS: [(&str, u32); 7] = [
    ("/", 0o755),
    ("/dev", 0o755),
    ("/proc", 0o755),
    ("/sys", 0o755),
    ("/tmp", 0o1777),
    ("/root", 0o700),
    ("/data", 0o755),
];

/// QEMU loads the image 128 MiB above the start of memory, and the first region with an address of
/// its own, the camera's, starts 320 MiB above it. The kernel would see a shorter image.
const LARGEST: u64 = 192 << 20;

enum Entry {
    Folder { mode: u32 },
    File { source: PathBuf, mode: u32 },
    Link { target: PathBuf },
    Console,
}

/// What is in the image, by absolute guest path.
struct Image(BTreeMap<PathBuf, Entry>);

/// Builds what belongs into the image and packs it into an unnamed file, with the programs and
/// manifests in `replace` in place of those of the same names; or with a device's package as all that
/// the vendor brings.
pub fn pack(
    board: &Board,
    cache: &Cache,
    replace: &[(String, PathBuf)],
    package: Option<&Path>,
) -> Result<File> {
    let mut image = Image(BTreeMap::new());
    for (folder, mode) in FOLDERS {
        image.0.insert(folder.into(), Entry::Folder { mode });
    }
    // The kernel opens it for init before anything is mounted.
    image.put("/dev/console", Entry::Console);
    image.add_libraries(&debian::guest_root(board, cache)?)?;
    // Read when the image is written.
    let folder =
        tempfile::tempdir().on("cannot make a temporary folder for", Path::new("programs"))?;
    let chosen = |name: &str, source: PathBuf| {
        let other = replace.iter().find(|(other, _)| other == name);
        other.map_or(source, |(_, path)| path.clone())
    };
    for (name, source) in userland::programs(board)? {
        let source = chosen(&name, source);
        let place = PROGRAMS.iter().find(|(program, _)| *program == name);
        let place = place.map_or(format!("/system/bin/{name}"), |(_, path)| (*path).to_owned());
        if package.is_none() || !place.starts_with("/vendor/") {
            image.add_file(&source, &place)?;
        }
    }
    // Its commands for people.
    image.put("/system/bin/allocator", Entry::Link { target: PROGRAMS[1].1.into() });
    image.add_platform()?;
    let declared = folder.path().join("declared.toml");
    let policy = match package {
        Some(package) => {
            image.add_tree(&package.join("vendor"), "/vendor")?;
            image.add_tree(&package.join("tests"), "/data/local/tmp")?;
            image.add_bionic(board, folder.path())?;
            let manifest = package.join("vendor/etc/vintf/manifest").join(ALLOCATORS);
            image.add_declarations([manifest], &declared)?;
            vec![package.join("sepolicy")]
        }
        None => {
            image.add_vendor(board, folder.path())?;
            let manifests = MANIFESTS
                .map(|(from, name)| (name, chosen(name, repository().join(from).join(name))));
            for (name, source) in &manifests {
                image.add_file(source, &format!("/vendor/etc/vintf/manifest/{name}"))?;
            }
            image.add_declarations(manifests.map(|(_, source)| source), &declared)?;
            board.sepolicy.clone()
        }
    };
    image.add_file(&sepolicy::compile(&policy, folder.path())?, POLICY)?;
    let unnamed = Path::new(UNNAMED);
    let mut file = tempfile::tempfile().on("cannot make a temporary file for", unnamed)?;
    image.write(BufWriter::new(&mut file)).on("cannot write", unnamed)?;
    Ok(file)
}

/// The image with the kernel's modules behind it: the kernel unpacks both archives.
pub fn with_modules(mut file: File, modules: &[PathBuf]) -> Result<File> {
    let mut image = Image(BTreeMap::new());
    for module in modules {
        let name = module.file_name().unwrap_or_default().to_string_lossy();
        image.add_file(module, &format!("{MODULES}/{name}"))?;
    }
    let unnamed = Path::new(UNNAMED);
    image.write(BufWriter::new(&mut file)).on("cannot write", unnamed)?;
    let size = file.stream_position().on("cannot measure", unnamed)?;
    if size > LARGEST {
        return Err(Error::Usage(format!(
            "the image of {size} bytes would overlap the camera's region"
        )));
    }
    file.rewind().on("cannot rewind", unnamed)?;
    Ok(file)
}

/// One file behind the other.
fn join(parts: &[PathBuf], written: &Path) -> Result<()> {
    let mut all = String::new();
    for part in parts.iter().filter(|part| part.exists()) {
        all += &fs::read_to_string(part).on("cannot read", part)?;
    }
    fs::write(written, all).on("cannot write", written)
}

impl Image {
    /// Adds an entry, and the folders above it.
    fn put(&mut self, path: impl Into<PathBuf>, entry: Entry) {
        let path = path.into();
        for above in path.ancestors().skip(1).filter(|a| a.parent().is_some()) {
            self.0.entry(above.to_owned()).or_insert(Entry::Folder { mode: 0o755 });
        }
        self.0.insert(path, entry);
    }

    fn add_file(&mut self, source: &Path, place: &str) -> Result<()> {
        let mode = fs::metadata(source).on("cannot read", source)?.permissions().mode();
        let mode = if mode & 0o111 == 0 { 0o644 } else { 0o755 };
        self.put(place, Entry::File { source: source.to_owned(), mode });
        Ok(())
    }

    /// Adds all that is in the host's `folder` as `place`.
    fn add_tree(&mut self, folder: &Path, place: &str) -> Result<()> {
        for entry in fs::read_dir(folder).on("cannot read", folder)? {
            let path = entry.on("cannot read", folder)?.path();
            let name = path.file_name().unwrap_or_default().to_string_lossy();
            let place = format!("{place}/{name}");
            if path.is_symlink() {
                let target = fs::read_link(&path).on("cannot read", &path)?;
                self.put(place, Entry::Link { target });
            } else if path.is_dir() {
                self.add_tree(&path, &place)?;
            } else {
                self.add_file(&path, &place)?;
            }
        }
        Ok(())
    }

    fn add_libraries(&mut self, root: &Path) -> Result<()> {
        for folder in LIBRARY_FOLDERS {
            let source = root.join(folder);
            if source.is_dir() {
                self.add_tree(&source, &format!("/{folder}"))?;
            }
        }
        // Character set converters: 10 MiB that nobody asks for.
        self.0.retain(|path, _| !path.components().any(|part| part.as_os_str() == "gconv"));
        Ok(())
    }

    /// The platform's part, which this board stands in for.
    fn add_platform(&mut self) -> Result<()> {
        let guest = repository().join("vts/board/guest/etc");
        for name in ["passwd", "group"] {
            self.add_file(&guest.join(name), &format!("/etc/{name}"))?;
        }
        self.add_file(&guest.join("ueventd.rc"), "/system/etc/ueventd.rc")?;
        self.add_tree(&guest.join("init"), "/system/etc/init")?;
        let contexts = sepolicy::platform().join("file_contexts");
        self.add_file(&contexts, "/system/etc/selinux/plat_file_contexts")
    }

    /// The files a board ships.
    fn add_vendor(&mut self, board: &Board, folder: &Path) -> Result<()> {
        let vendor = repository().join("service/etc");
        let labels: Vec<_> = board.sepolicy.iter().map(|part| part.join("file_contexts")).collect();
        for (parts, name, place) in [
            (&labels, "labels", "/vendor/etc/selinux/vendor_file_contexts"),
            (&board.ueventd, "ueventd", "/vendor/etc/ueventd.rc"),
        ] {
            let whole = folder.join(name);
            join(parts, &whole)?;
            self.add_file(&whole, place)?;
        }
        self.add_file(&board.policy, boards::POLICY)?;
        self.add_file(&vendor.join(RC), &format!("/vendor/etc/init/{RC}"))
    }

    /// What programs for Android find in place of its linker and libraries.
    fn add_bionic(&mut self, board: &Board, folder: &Path) -> Result<()> {
        for library in bionic::libraries(board, folder)? {
            let name = library.file_name().unwrap_or_default().to_string_lossy();
            self.add_file(&library, &format!("/lib/{name}"))?;
        }
        self.put(bionic::LINKER, Entry::Link { target: bionic::GLIBCS_LINKER.into() });
        Ok(())
    }

    /// What the service manager makes of the manifests, in `written`.
    fn add_declarations<const N: usize>(
        &mut self,
        manifests: [PathBuf; N],
        written: &Path,
    ) -> Result<()> {
        fs::write(written, vintf::configuration(&manifests)?).on("cannot write", written)?;
        self.add_file(written, DECLARED)
    }

    /// Writes the cpio archive; folders come before what is in them, as the kernel wants it.
    fn write(&self, mut out: impl Write) -> io::Result<()> {
        for (number, (path, entry)) in self.0.iter().enumerate() {
            let name = path.to_string_lossy();
            let name = if name == "/" { "." } else { name.trim_start_matches('/') };
            // Equal inode numbers would be taken for hard links.
            let header = Builder::new(name).ino(number as u32 + 1);
            let (header, content) = match entry {
                Entry::Folder { mode } => {
                    (header.mode(*mode).set_mode_file_type(ModeFileType::Directory), Vec::new())
                }
                Entry::File { source, mode } => {
                    let header = header.mode(*mode).set_mode_file_type(ModeFileType::Regular);
                    (header, fs::read(source)?)
                }
                Entry::Link { target } => {
                    let header = header.mode(0o777).set_mode_file_type(ModeFileType::Symlink);
                    (header, target.as_os_str().as_encoded_bytes().to_vec())
                }
                Entry::Console => {
                    let header = header.mode(0o600).set_mode_file_type(ModeFileType::Char);
                    (header.rdev_major(5).rdev_minor(1), Vec::new())
                }
            };
            let length = u32::try_from(content.len()).map_err(io::Error::other)?;
            let mut entry = header.write(&mut out, length);
            entry.write_all(&content)?;
            entry.finish()?;
        }
        trailer(&mut out)?.flush()
    }
}
