// SPDX-License-Identifier: Apache-2.0
//! A device's package: what is in it, that it is the same everywhere, and that its script puts it onto a
//! device and takes it away again. The device is a folder, and `adb` a script that stands for it.

use std::collections::BTreeMap;
use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};
use std::sync::OnceLock;

use board::Board;
use board::package::Package;

/// HiKey's, unpacked once.
fn unpacked() -> &'static Path {
    static FOLDER: OnceLock<tempfile::TempDir> = OnceLock::new();
    let folder = FOLDER.get_or_init(|| {
        let folder = tempfile::tempdir_in(env!("CARGO_TARGET_TMPDIR")).unwrap();
        built().write(folder.path()).unwrap_or_else(|error| panic!("{error}"));
        folder
    });
    folder.path()
}

fn built() -> Package {
    Package::build(&Board::find("hikey").unwrap()).unwrap_or_else(|error| panic!("{error}"))
}

/// Files below a folder, with their bytes.
fn tree(folder: &Path) -> BTreeMap<PathBuf, Vec<u8>> {
    fn walk(root: &Path, folder: &Path, files: &mut BTreeMap<PathBuf, Vec<u8>>) {
        for entry in fs::read_dir(folder).unwrap() {
            let path = entry.unwrap().path();
            if path.is_dir() {
                walk(root, &path, files);
            } else {
                files.insert(path.strip_prefix(root).unwrap().to_owned(), fs::read(&path).unwrap());
            }
        }
    }
    let mut files = BTreeMap::new();
    walk(folder, folder, &mut files);
    files
}

#[test]
fn manifest_has_the_commit_and_the_hash_of_every_file() {
    let manifest = fs::read_to_string(unpacked().join("MANIFEST")).unwrap();
    assert!(manifest.starts_with("# dmaheap-gralloc 0.1.0, commit "), "{manifest}");
    let hashes: String = manifest
        .lines()
        .filter(|line| !line.starts_with('#'))
        .map(|line| line.to_owned() + "\n")
        .collect();
    assert_eq!(hashes.lines().count(), tree(unpacked()).len() - 1);
    let list = unpacked().join("../hashes");
    fs::write(&list, hashes).unwrap();
    let mut check = Command::new("sha256sum");
    check.current_dir(unpacked()).arg("--quiet").arg("--check").arg(&list);
    assert!(check.status().unwrap().success());
}

#[test]
fn tar_has_nothing_of_the_machine_and_is_the_same_each_time() {
    let here = tempfile::tempdir().unwrap();
    let [one, other] = ["one.tar", "other.tar"].map(|name| {
        let path = here.path().join(name);
        built().write(&path).unwrap();
        fs::read(path).unwrap()
    });
    assert!(one == other);
    let mut entries = tar::Archive::new(one.as_slice());
    let mut last = PathBuf::new();
    for entry in entries.entries().unwrap() {
        let header = entry.unwrap().header().clone();
        let path = header.path().unwrap().into_owned();
        assert_eq!((header.uid().unwrap(), header.gid().unwrap()), (0, 0), "{path:?}");
        assert!(last.as_os_str() < path.as_os_str(), "{last:?} before {path:?}");
        last = path;
    }
}

/// Behind those of all boards.
#[test]
fn a_boards_own_lines_and_rules_are_in_its_package() {
    let folder = tempfile::tempdir().unwrap();
    let package = Package::build(&Board::find("imx8mm").unwrap()).unwrap();
    package.write(folder.path()).unwrap();
    let read = |path: &str| fs::read_to_string(folder.path().join(path)).unwrap();
    for (path, ours, own) in [
        ("vendor/etc/ueventd.rc", "/dev/dma_heap/camera*", "/dev/dma_heap/vpu*"),
        ("vendor/etc/selinux/vendor_file_contexts", "dmabuf_camera_heap", "dmabuf_vpu_heap"),
        ("sepolicy/file_contexts", "dmabuf_camera_heap", "dmabuf_vpu_heap"),
    ] {
        let text = read(path);
        assert!(text.find(ours).unwrap() < text.find(own).unwrap(), "{path}: {text}");
    }
    assert!(read("sepolicy/heaps.te").contains("dmabuf_vpu_heap_device"));
    assert!(read("kernel/board/imx8mm-evk.dtso").contains("vpu@90000000"));
    assert!(read("vendor/etc/dmaheap/heaps.toml").contains("[heaps.vpu]"));
}

/// Stands for adb and a device behind it, whose root is `$DEVICE`.
const ADB: &str = r#"#!/bin/sh
here() { printf '%s' "$1" | sed "s,/vendor/,$DEVICE/vendor/,g; s,/data/local,$DEVICE/data/local,g"; }
case "$1" in
get-state | root | wait-for-device | reboot) ;;
remount) [ -z "${VERITY-}" ] ;;
push) mkdir -p "$(dirname "$(here "$3")x")" && cp -r "$2" "$(here "$3")" ;;
shell)
    getprop() { case "$1" in *locked) echo "${LOCKED-0}" ;; *) echo running ;; esac; }
    restorecon() { [ -e "$1" ]; }
    setprop() { echo "$*" >>"$DEVICE/properties"; }
    touch() { [ -z "${VERITY-}" ] && command touch "$@"; }
    id() { echo "${WHO-0}"; }
    eval "$(here "$2")"
    ;;
*) exit 1 ;;
esac
"#;

struct Device(tempfile::TempDir);

impl Device {
    fn new() -> Device {
        let device = Device(tempfile::tempdir().unwrap());
        let put = |path: &str, text: &str| {
            let path = device.root().join(path);
            fs::create_dir_all(path.parent().unwrap()).unwrap();
            fs::write(path, text).unwrap();
        };
        put("vendor/etc/ueventd.rc", "/dev/own 0600 root root\n");
        put("vendor/etc/selinux/vendor_file_contexts", "/dev/own u:object_r:own:s0\n");
        put("vendor/etc/vintf/manifest.xml", "<manifest/>\n");
        put("data/local/tmp/own", "");
        fs::write(device.adb(), ADB).unwrap();
        fs::set_permissions(device.adb(), fs::Permissions::from_mode(0o755)).unwrap();
        device
    }

    fn root(&self) -> PathBuf {
        self.0.path().join("device")
    }

    fn adb(&self) -> PathBuf {
        fs::create_dir_all(self.0.path().join("bin")).unwrap();
        self.0.path().join("bin/adb")
    }

    fn run(&self, argument: Option<&str>, variable: (&str, &str)) -> Output {
        let path = format!("{}:{}", self.adb().parent().unwrap().display(), env!("PATH"));
        let mut script = Command::new("sh");
        script.arg(unpacked().join("install.sh")).args(argument).env("PATH", path);
        script.env("DEVICE", self.root()).env(variable.0, variable.1).output().unwrap()
    }

    fn succeeds(&self, argument: Option<&str>) {
        let output = self.run(argument, ("LOCKED", "0"));
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    }

    fn refuses(&self, variable: (&str, &str), why: &str) {
        let before = tree(&self.root());
        let output = self.run(None, variable);
        let said = String::from_utf8_lossy(&output.stderr);
        assert!(!output.status.success() && said.contains(why), "{said}");
        assert!(tree(&self.root()) == before, "it changed the device: {said}");
    }
}

#[test]
fn script_installs_twice_and_undoes_it() {
    let device = Device::new();
    let before = tree(&device.root());
    for _ in 0..2 {
        device.succeeds(None);
        let now = tree(&device.root());
        for (path, bytes) in tree(&unpacked().join("vendor")) {
            let there = &now[&Path::new("vendor").join(&path)];
            // Our lines behind the device's own, once.
            let own = before.get(&Path::new("vendor").join(&path));
            let wanted = [own.map_or(&[][..], Vec::as_slice), &bytes].concat();
            assert!(*there == wanted, "{path:?}");
        }
    }
    device.succeeds(Some("--undo"));
    let mut after = tree(&device.root());
    let properties = after.remove(Path::new("properties")).unwrap();
    assert!(String::from_utf8(properties).unwrap().contains("ctl.restart"));
    assert!(after == before, "{:?}", after.keys());
}

#[test]
fn script_says_what_it_cannot_do_and_then_does_nothing() {
    let device = Device::new();
    device.refuses(("LOCKED", "1"), "locked");
    device.refuses(("WHO", "2000"), "user build");
    device.refuses(("VERITY", "1"), "verity");
    let other = device.root().join("vendor/etc/vintf/manifest/other.xml");
    fs::create_dir_all(other.parent().unwrap()).unwrap();
    fs::write(other, "<name>android.hardware.graphics.allocator</name>").unwrap();
    device.refuses(("LOCKED", "0"), "other.xml");
}
