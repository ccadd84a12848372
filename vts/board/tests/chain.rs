// SPDX-License-Identifier: Apache-2.0
//! The chain node, owner, label, rule, policy file: whole for every board, and each way to break it
//! caught, by the compiler, by a neverallow rule or by `allocator check`, whichever it must be.

#[path = "chain/regions.rs"]
mod regions;

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use board::{repository, sepolicy};
use dmaheap_allocator::Policy;
use dmaheap_allocator::policy::chain::{self, Board};

/// What must catch a violation.
enum By {
    /// checkpolicy itself, with these words.
    Compiler(&'static str),
    /// A neverallow rule.
    Neverallow,
    /// `allocator check`, with these words in this file.
    Check(&'static str, &'static str),
}
use By::{Check, Compiler, Neverallow};

const TE: &str = "sepolicy/hal_graphics_allocator_default.te";
const CAMERA: &str = "sepolicy/hal_camera_default.te";
const DEVICE: &str = "sepolicy/device.te";
const CONTEXTS: &str = "sepolicy/file_contexts";
const UEVENTD: &str = "service/etc/ueventd.rc";
const HEAPS: &str = "service/etc/virt/heaps.toml";
const TREE: &str = "kernel/board/virt.dtso";

/// Name, file, text in it (empty for its end), what it becomes, and who must notice.
const VIOLATIONS: [(&str, &str, &str, &str, By); 28] = [
    (
        "a new heap for developers' builds, open to apps, on a line with its rule",
        DEVICE,
        "",
        "userdebug_or_eng(`type dmabuf_new_heap_device, dmabuf_heap_device_type, dev_type; allow \
         hal_power_default dmabuf_new_heap_device:chr_file { open read ioctl };')",
        Check(DEVICE, "no neverallow rule guards dmabuf_new_heap_device"),
    ),
    (
        "an app on the camera's heap in developers' builds",
        CAMERA,
        "",
        "userdebug_or_eng(`allow untrusted_app dmabuf_camera_heap_device:chr_file open;')",
        Neverallow,
    ),
    (
        "a rule with a slip of the pen",
        CAMERA,
        "allow hal_camera_default dmabuf",
        "alow hal_camera_default dmabuf",
        Compiler("alow"),
    ),
    (
        "an app on the default CMA heap",
        TE,
        "",
        "allow untrusted_app dmabuf_cma_heap_device:chr_file { open read ioctl };",
        Neverallow,
    ),
    (
        "an isolated app on the fixed heap",
        TE,
        "",
        "allow isolated_app dmabuf_fixed_heap_device:chr_file open;",
        Neverallow,
    ),
    (
        "every app on the camera's heap",
        CAMERA,
        "",
        "allow appdomain dmabuf_camera_heap_device:chr_file ioctl;",
        Neverallow,
    ),
    (
        "a coredomain on the camera's heap",
        CAMERA,
        "",
        "allow cameraserver dmabuf_camera_heap_device:chr_file { open read ioctl };",
        Neverallow,
    ),
    (
        "SurfaceFlinger on the default CMA heap",
        TE,
        "",
        "allow surfaceflinger dmabuf_cma_heap_device:chr_file { open read ioctl };",
        Neverallow,
    ),
    (
        "shell on the default CMA heap",
        TE,
        "",
        "allow shell dmabuf_cma_heap_device:chr_file read;",
        Neverallow,
    ),
    (
        "init on the camera's heap, which it makes and labels",
        CAMERA,
        "",
        "allow init dmabuf_camera_heap_device:chr_file { open read ioctl };",
        Neverallow,
    ),
    (
        "another HAL on the camera's heap",
        CAMERA,
        "",
        "allow hal_power_default dmabuf_camera_heap_device:chr_file { open read ioctl };",
        Neverallow,
    ),
    (
        "the camera on the default CMA heap",
        CAMERA,
        "",
        "allow hal_camera_default dmabuf_cma_heap_device:chr_file { open read ioctl };",
        Neverallow,
    ),
    (
        "the allocator writes to a heap's node",
        TE,
        "",
        "allow hal_graphics_allocator_default dmabuf_cma_heap_device:chr_file write;",
        Neverallow,
    ),
    (
        "every domain on every heap",
        TE,
        "",
        "allow domain dmabuf_heap_device_type:chr_file { open read ioctl };",
        Neverallow,
    ),
    (
        "a rule for a type that nobody declares",
        TE,
        "",
        "allow hal_graphics_allocator_default dmabuf_video_heap_device:chr_file open;",
        Compiler("dmabuf_video_heap_device"),
    ),
    (
        "a permission that is none",
        TE,
        "dmabuf_cma_heap_device:chr_file { open read ioctl getattr };",
        "dmabuf_cma_heap_device:chr_file { open read allocate };",
        Compiler("allocate"),
    ),
    (
        "a type without the heaps' attribute",
        DEVICE,
        "type dmabuf_camera_heap_device, dmabuf_heap_device_type, dev_type;",
        "type dmabuf_camera_heap_device, dev_type;",
        Check(CONTEXTS, "lacks dmabuf_heap_device_type"),
    ),
    (
        "a heap without a label of its own",
        CONTEXTS,
        "/dev/dma_heap/camera(@[0-9a-f]+)?       u:object_r:dmabuf_camera_heap_device:s0",
        "",
        Check(HEAPS, "the platform's default label"),
    ),
    (
        "a label with a slip of the pen",
        CONTEXTS,
        "u:object_r:dmabuf_fixed_heap_device:s0",
        "u:object_r:dmabuf_fixed_device:s0",
        Check(CONTEXTS, "there is no type dmabuf_fixed_device"),
    ),
    (
        "the camera's node with the system heap's label",
        CONTEXTS,
        "u:object_r:dmabuf_camera_heap_device:s0",
        "u:object_r:dmabuf_system_heap_device:s0",
        Check(CONTEXTS, "dmabuf_system_heap_device is the platform's"),
    ),
    (
        "no rule for the allocator",
        TE,
        "allow hal_graphics_allocator_default dmabuf_fixed_heap_device:chr_file { open read ioctl getattr };",
        "",
        Check(CONTEXTS, "no rule lets hal_graphics_allocator_default use dmabuf_fixed_heap_device"),
    ),
    (
        "a domain on the camera's heap that the policy file does not name",
        HEAPS,
        "domains = [\"hal_camera_default\"]",
        "",
        Check(CAMERA, "hal_camera_default may use dmabuf_camera_heap_device"),
    ),
    (
        "nodes for everybody",
        UEVENTD,
        "/dev/dma_heap/camera*             0440",
        "/dev/dma_heap/camera*             0666",
        Check(UEVENTD, "every process gets past it"),
    ),
    (
        "the system heap taken from the platform",
        UEVENTD,
        "",
        "/dev/dma_heap/system 0440 system graphics",
        Check(UEVENTD, "/dev/dma_heap/system is locked to others"),
    ),
    (
        "a node for root alone",
        UEVENTD,
        "/dev/dma_heap/camera*             0440 system graphics",
        "/dev/dma_heap/camera*             0440 root root",
        Check(UEVENTD, "the allocator, system and graphics, may not read"),
    ),
    (
        "a node that may be written to",
        UEVENTD,
        "/dev/dma_heap/camera*             0440",
        "/dev/dma_heap/camera*             0640",
        Check(UEVENTD, "has mode 0640: nothing is ever written to it"),
    ),
    (
        "a node that ueventd does not know",
        UEVENTD,
        "/dev/dma_heap/fixed*              0440 system graphics",
        "",
        Check(HEAPS, "only root can open it"),
    ),
    (
        "a heap that is in no device tree",
        TREE,
        "camera@54000000 {",
        "camera@56000000 {",
        Check(HEAPS, "heap camera has no node"),
    ),
];

/// The files that a violation may be in, copied.
struct Copy(tempfile::TempDir);

impl Copy {
    fn new() -> Self {
        let copy = Self(tempfile::tempdir().unwrap());
        for folder in ["sepolicy", "service/etc/virt", "service/etc", "kernel/board"] {
            fs::create_dir_all(copy.path(folder)).unwrap();
            for entry in fs::read_dir(repository().join(folder)).unwrap().flatten() {
                if entry.path().is_file() {
                    fs::copy(entry.path(), copy.path(folder).join(entry.file_name())).unwrap();
                }
            }
        }
        copy
    }

    fn path(&self, name: &str) -> PathBuf {
        self.0.path().join(name)
    }

    /// All that `allocator check` finds.
    fn check(&self) -> String {
        let board = Board {
            sepolicy: vec![sepolicy::platform(), self.path("sepolicy")],
            ueventd: vec![self.path(UEVENTD)],
            device_tree: vec![self.path(TREE)],
        };
        findings(&self.path(HEAPS), &board)
    }

    fn compile(&self) -> Result<(), String> {
        let folder = tempfile::tempdir().unwrap();
        let compiled = sepolicy::compile(&[self.path("sepolicy")], folder.path());
        compiled.map(drop).map_err(|error| error.to_string())
    }
}

/// Attributes' members come from the platform's macros; of one that has none here, `check` says so.
#[test]
fn rules_for_attributes_that_macros_give_are_findings() {
    for (attribute, member) in [("appdomain", "untrusted_app"), ("netdomain", "netdomain")] {
        let copy = Copy::new();
        let rule = format!("allow {attribute} dmabuf_camera_heap_device:chr_file ioctl;");
        inject(&copy.path(CAMERA), "", &rule);
        let found = copy.check();
        let words = format!("{member} may use dmabuf_camera_heap_device");
        assert!(found.contains(&words), "{attribute}:\n{found}");
    }
}

#[test]
fn the_vendors_policy_compiles_with_every_platform() {
    for platform in sepolicy::PLATFORMS {
        let folder = tempfile::tempdir().unwrap();
        let policy = sepolicy::compile_for(platform, &[sepolicy::vendor()], folder.path());
        let policy = policy.unwrap_or_else(|error| panic!("{platform:?}: {error}"));
        let types = setools("seinfo", &["-t", "--flat"], &policy);
        let types: Vec<&str> = types.lines().map(str::trim).collect();
        let readable = |label| {
            let question =
                ["-A", "-s", "hal_graphics_allocator_default", "-t", label, "-p", "read"];
            types.contains(&label) && setools("sesearch", &question, &policy).contains("allow ")
        };
        assert_eq!(readable("sysfs_cma"), platform.board_api >= 202_504, "{platform:?}");
        for label in ["proc_meminfo", "sysfs_dmaheap", "dmabuf_camera_heap_device"] {
            assert!(readable(label), "{platform:?}: {label}");
        }
        let unknown: Vec<String> =
            labels().into_iter().filter(|label| !types.contains(&label.as_str())).collect();
        let missing: &[&str] =
            if platform.android < 14 { &["hal_graphics_mapper_service"] } else { &[] };
        assert_eq!(unknown, missing, "{platform:?}");
    }
}

/// All types that the vendor's files give to nodes, files and services.
fn labels() -> Vec<String> {
    let files = ["file_contexts", "service_contexts"].map(|name| sepolicy::vendor().join(name));
    let text: String = files.iter().map(|file| fs::read_to_string(file).unwrap()).collect();
    let labels = text.split("u:object_r:").skip(1).filter_map(|rest| rest.split(':').next());
    labels.map(str::to_owned).collect()
}

/// What this project's rules, and its cases, take for granted of the platform.
#[test]
fn clients_of_the_allocator_are_the_platforms() {
    let folder = tempfile::tempdir().unwrap();
    let policy = sepolicy::compile(&[sepolicy::vendor()], folder.path()).unwrap();
    let clients = setools("seinfo", &["-x", "-a", "hal_graphics_allocator_client"], &policy);
    let is_client = |domain: &str| clients.split_whitespace().any(|word| word == domain);
    for domain in ["shell", "untrusted_app", "cameraserver", "mediacodec"] {
        assert!(is_client(domain), "{domain}: {clients}");
    }
    for domain in ["isolated_app", "hal_camera_default"] {
        assert!(!is_client(domain), "{domain}: {clients}");
    }
}

fn setools(tool: &str, arguments: &[&str], policy: &Path) -> String {
    let output = Command::new(tool).args(arguments).arg(policy).output().unwrap();
    assert!(output.status.success(), "{tool}: {}", String::from_utf8_lossy(&output.stderr));
    String::from_utf8(output.stdout).unwrap()
}

/// What is wrong along the chains of this policy file's heaps.
fn findings(file: &Path, board: &Board) -> String {
    let (text, name) = (fs::read_to_string(file).unwrap(), file.to_string_lossy());
    let (policy, own) = match Policy::parse(&name, &text) {
        Ok((policy, own)) => (policy, own),
        Err(error) => return error.to_string(),
    };
    let found = chain::check(&policy, &name, &text, board).unwrap();
    std::iter::once(own).chain(found).map(|findings| findings.to_string()).collect()
}

#[test]
fn the_chain_of_every_board_is_whole() {
    for (board, tree) in [
        ("virt", "virt.dtso"),
        ("hikey", "hi6220-hikey.dtso"),
        ("hikey960", "hi3660-hikey960.dtso"),
        ("rpi4", "bcm2711-rpi-4-b.dtso"),
    ] {
        let file = repository().join("service/etc").join(board).join("heaps.toml");
        let files = Board {
            sepolicy: vec![sepolicy::platform(), sepolicy::vendor()],
            ueventd: vec![
                repository().join("vts/board/guest/etc/ueventd.rc"),
                repository().join(UEVENTD),
            ],
            device_tree: vec![repository().join("kernel/board").join(tree)],
        };
        assert_eq!(findings(&file, &files), "", "{board}");
    }
}

#[test]
fn unbroken_copies_compile_and_have_no_findings() {
    let copy = Copy::new();
    assert_eq!(copy.compile(), Ok(()));
    assert_eq!(copy.check(), "");
}

#[test]
fn each_violation_is_caught_by_what_must_catch_it() {
    for (name, file, from, to, by) in VIOLATIONS {
        let copy = Copy::new();
        inject(&copy.path(file), from, to);
        let compiled = copy.compile();
        match by {
            Compiler(words) => {
                let error = compiled.expect_err(name);
                assert!(error.contains(words) && !error.contains("neverallow"), "{name}: {error}");
            }
            Neverallow => {
                let error = compiled.expect_err(name);
                assert!(error.contains("neverallow"), "{name}: {error}");
            }
            // Whether it compiles depends on the platform's rules, not on ours.
            Check(place, words) => {
                let found = copy.check();
                let place = copy.path(place).display().to_string();
                let caught = |line: &str| line.starts_with(&place) && line.contains(words);
                assert!(found.lines().any(caught), "{name}: {place}: {words}:\n{found}");
            }
        }
    }
}

fn inject(file: &Path, from: &str, to: &str) {
    let text = fs::read_to_string(file).unwrap();
    let broken = if from.is_empty() {
        format!("{text}{to}\n")
    } else {
        assert!(text.contains(from), "'{from}' is not in {}", file.display());
        text.replacen(from, to, 1)
    };
    fs::write(file, broken).unwrap();
}
