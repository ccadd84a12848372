// SPDX-License-Identifier: Apache-2.0
//! Policy files: what the shipped ones decide, and what is wrong with broken
//! ones.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::arithmetic_side_effects)]

use dmaheap_aidl::allocator::{AllocationError, BufferDescriptorInfo};
use dmaheap_aidl::binder::Caller;
use dmaheap_aidl::common::{BufferUsage, PixelFormat};
use dmaheap_allocator::finding::Severity;
use dmaheap_allocator::policy::{ClassSet, Who};
use dmaheap_allocator::{Error, Policy, Request};
use dmaheap_buffer::{Bytes, Extent, Usage};

const VIRT: &str = include_str!("../../etc/virt/heaps.toml");

const HIKEY: &str = include_str!("../../etc/hikey/heaps.toml");
const HIKEY960: &str = include_str!("../../etc/hikey960/heaps.toml");
const RPI4: &str = include_str!("../../etc/rpi4/heaps.toml");
const IMX8MM: &str = include_str!("../../etc/imx8mm/heaps.toml");
const PINEPHONE: &str = include_str!("../../etc/pinephone/heaps.toml");
const BOARDS: [(&str, &str); 6] = [
    ("virt", VIRT),
    ("hikey", HIKEY),
    ("hikey960", HIKEY960),
    ("rpi4", RPI4),
    ("imx8mm", IMX8MM),
    ("pinephone", PINEPHONE),
];

fn virt() -> Policy {
    Policy::parse("heaps.toml", VIRT).unwrap().0
}

/// Somebody of no class.
fn nobody() -> Who<'static> {
    static NOBODY: Caller = Caller { uid: 0, context: None };
    Who { caller: &NOBODY, classes: ClassSet::default() }
}

fn request(usage: BufferUsage, format: PixelFormat, width: i32, height: i32) -> Request {
    let info = BufferDescriptorInfo {
        name: [0; 128],
        width,
        height,
        layerCount: 1,
        format,
        usage,
        ..Default::default()
    };
    Request::new(&info, Usage::NONE).unwrap()
}

/// The heap that the virtual board's policy takes for this usage.
fn heap(usage: BufferUsage, format: PixelFormat) -> String {
    let policy = virt();
    let plan = policy.plan(&request(usage, format, 1920, 1080), nobody()).unwrap();
    policy.heaps.of(plan.rule.heap).name.clone()
}

#[test]
fn virt_sends_each_use_to_its_heap() {
    let client_target = BufferUsage::COMPOSER_CLIENT_TARGET
        | BufferUsage::COMPOSER_OVERLAY
        | BufferUsage::GPU_RENDER_TARGET;
    let window =
        BufferUsage::GPU_TEXTURE | BufferUsage::GPU_RENDER_TARGET | BufferUsage::COMPOSER_OVERLAY;
    let preview = BufferUsage::CAMERA_OUTPUT | BufferUsage::GPU_TEXTURE;
    let reader = BufferUsage::CAMERA_OUTPUT | BufferUsage::CPU_READ_OFTEN;
    let cpu = BufferUsage::CPU_READ_OFTEN | BufferUsage::CPU_WRITE_OFTEN;
    assert_eq!(heap(client_target, PixelFormat::RGBA_8888), "framebuffer");
    assert_eq!(heap(window, PixelFormat::RGBA_8888), "system");
    assert_eq!(heap(preview, PixelFormat::YCBCR_420_888), "camera");
    assert_eq!(heap(reader, PixelFormat::YCBCR_420_888), "camera");
    assert_eq!(heap(cpu, PixelFormat::RGBA_8888), "system");
}

#[test]
fn virt_lays_the_planes_of_a_camera_picture_one_after_the_other() {
    let policy = virt();
    let usage = BufferUsage::CAMERA_OUTPUT | BufferUsage::GPU_TEXTURE;
    let layout = policy
        .plan(&request(usage, PixelFormat::YCBCR_420_888, 1920, 1080), nobody())
        .unwrap()
        .layout;
    assert_eq!(layout.stride().0, 1920);
    assert_eq!(layout.planes()[1].offset, Bytes(1920 * 1080));
    assert_eq!(layout.size(), Bytes((1920 * 1080 * 3 / 2u64).next_multiple_of(4096)));
}

#[test]
fn a_cube_has_six_square_faces() {
    let code = |width, height, layers| {
        let mut request = request(BufferUsage::GPU_CUBE_MAP, PixelFormat::RGBA_8888, 64, 64);
        request.extent = Extent::new(width, height, layers).unwrap();
        virt().plan(&request, nobody()).err().map(|error| error.code())
    };
    assert_eq!(code(64, 64, 6), None);
    assert_eq!(code(64, 64, 5), Some(AllocationError::BAD_DESCRIPTOR));
    assert_eq!(code(64, 32, 6), Some(AllocationError::BAD_DESCRIPTOR));
}

#[test]
fn virt_refuses_protected_buffers_because_it_has_no_such_heap() {
    let error = virt()
        .plan(&request(BufferUsage::PROTECTED, PixelFormat::RGBA_8888, 64, 64), nobody())
        .unwrap_err();
    assert!(matches!(error, Error::NoRule(_)));
    assert_eq!(error.code(), AllocationError::UNSUPPORTED);
}

#[test]
fn a_buffer_beyond_the_limit_is_unsupported() {
    let usage = BufferUsage::CPU_READ_OFTEN;
    let error =
        virt().plan(&request(usage, PixelFormat::RGBA_8888, 16384, 16384), nobody()).unwrap_err();
    assert_eq!(error.code(), AllocationError::UNSUPPORTED);
    let error = virt()
        .plan(&request(usage, PixelFormat::RGBA_8888, i32::MAX, i32::MAX), nobody())
        .unwrap_err();
    assert_eq!(error.code(), AllocationError::BAD_DESCRIPTOR);
}

/// What can never be given is not promised, whatever the file's own limit.
#[test]
fn more_than_a_region_or_a_uid_may_have_is_unsupported() {
    // A framebuffer of 160 MiB in a region of 128, a picture of 63 MiB where a
    // uid may hold 48: both below the file's limit of 256.
    for (usage, format, width, height) in [
        (BufferUsage::COMPOSER_CLIENT_TARGET, PixelFormat::RGBA_8888, 8192, 5120),
        (BufferUsage::CAMERA_OUTPUT, PixelFormat::YCBCR_420_888, 8192, 5376),
    ] {
        let error = virt().plan(&request(usage, format, width, height), nobody()).unwrap_err();
        assert_eq!(error.code(), AllocationError::UNSUPPORTED, "{error}");
        virt().plan(&request(usage, format, width, height / 2), nobody()).unwrap();
    }
}

/// A rule with a small heap may still have a large one behind it.
#[test]
fn more_than_a_region_has_may_come_from_where_its_rule_degrades_to() {
    let cursor = |text: &str| {
        let policy = Policy::parse("heaps.toml", text).unwrap().0;
        let request = request(BufferUsage::COMPOSER_CURSOR, PixelFormat::RGBA_8888, 200, 200);
        policy.plan(&request, nobody()).map(|plan| plan.rule.name.clone())
    };
    let tiny = VIRT.replacen("size = \"4 MiB\"", "size = \"64 KiB\"", 1);
    let tiny = tiny.replacen("keep = { size = \"1 MiB\"", "keep = { size = \"4 KiB\"", 1);
    assert_eq!(cursor(&tiny).unwrap(), "small and contiguous");
    let refusing = tiny.replace("\"degrade to framebuffer\"", "\"refuse\"");
    let error = cursor(&refusing).unwrap_err();
    assert!(matches!(error, Error::LargerThanHeap { all: Bytes(0x1_0000), .. }), "{error}");
    let limited = VIRT.replacen("per_uid = \"2 MiB\"", "per_uid = \"64 KiB\"", 1);
    let error = cursor(&limited).unwrap_err();
    assert!(matches!(error, Error::AboveLimit { limit: Bytes(0x1_0000), .. }), "{error}");
}

/// No policy lets a front buffer land where the display cannot scan it out.
#[test]
fn a_front_buffer_for_the_display_is_contiguous_on_every_board() {
    let usage =
        BufferUsage::FRONT_BUFFER | BufferUsage::COMPOSER_OVERLAY | BufferUsage::CPU_WRITE_OFTEN;
    for (board, text) in BOARDS {
        let (policy, _) = Policy::parse(board, text).unwrap();
        let request = request(usage, PixelFormat::RGBA_8888, 1920, 1080);
        let plan = policy.plan(&request, nobody()).unwrap();
        assert!(policy.heaps.of(plan.rule.heap).contiguous, "{board}");
    }
}

#[test]
fn the_shipped_policies_have_nothing_wrong() {
    for (board, text) in BOARDS {
        let (policy, findings) = Policy::parse(board, text).unwrap();
        assert_eq!(findings.to_string(), "", "{board}");
        let target = BufferUsage::COMPOSER_CLIENT_TARGET | BufferUsage::GPU_RENDER_TARGET;
        let request = request(target, PixelFormat::RGBA_8888, 1920, 1080);
        let plan = policy.plan(&request, nobody()).unwrap();
        assert!(
            policy.heaps.of(plan.rule.heap).contiguous,
            "{board} scans out of scattered memory"
        );
    }
}

/// What is found if `from` is replaced by `to` in the virtual board's policy:
/// severity, the text of the line it points at, and the message.
fn finding(from: &str, to: &str) -> (Severity, String, String) {
    assert!(VIRT.contains(from), "the policy has no {from:?}");
    let text = VIRT.replacen(from, to, 1);
    let findings = match Policy::parse("heaps.toml", &text) {
        Ok((_, findings)) | Err(Error::Policy(findings)) => findings,
        Err(other) => panic!("{other}"),
    };
    let finding = findings.iter().next().expect("something is wrong").clone();
    assert!(!finding.hint.is_empty());
    let line = text.lines().nth(finding.line - 1).unwrap_or_default().to_owned();
    (finding.severity, line, finding.message)
}

#[test]
fn syntax_errors_and_unknown_keys_are_errors_with_their_line() {
    let (severity, line, message) = finding("contiguous = true", "contigous = true");
    assert_eq!((severity, line.as_str()), (Severity::Error, "contigous = true"));
    assert!(message.contains("unknown field `contigous`"), "{message}");

    let (severity, line, _) = finding("reserved = \"8 MiB\"", "reserved = \"8 pages\"");
    assert_eq!((severity, line.as_str()), (Severity::Error, "reserved = \"8 pages\""));

    let (severity, line, _) = finding("[limits]", "[limits");
    assert_eq!((severity, line.as_str()), (Severity::Error, "[limits"));
}

#[test]
fn a_version_that_is_not_frozen_is_an_error() {
    let (severity, line, _) = finding("interface = 3", "interface = 4");
    assert_eq!((severity, line.as_str()), (Severity::Error, "interface = 4"));
}

#[test]
fn more_classes_than_anybody_can_be_in_are_an_error() {
    let class = |n: usize| format!("[classes.c{n}]\nuids = [\"{n}\"]\n");
    let many: String = (0..100).map(class).collect();
    let (severity, _, message) = finding("[classes.root]", &format!("{many}\n[classes.root]"));
    assert_eq!(severity, Severity::Error);
    assert!(message.contains("classes of callers are too many"), "{message}");
}

#[test]
fn names_that_nobody_defined_are_errors_at_their_line() {
    for (from, to) in [
        ("heap = \"camera\"", "heap = \"kamera\""),
        ("missing = \"degrade to framebuffer\"", "missing = \"degrade to nothing\""),
        ("any = [\"COMPOSER_CLIENT_TARGET\"]", "any = [\"COMPOSER_TARGET\"]"),
        ("format = \"RGBA_8888\"", "format = \"RGBA_888\""),
        ("per_uid = \"48 MiB\"", "per_uid = \"48 megabytes\""),
        ("per_uid = \"48 MiB\"", "reserve = [\"3 8100 KiB\"]"),
        ("metadata_heap = \"system\"", "metadata_heap = \"kmalloc\""),
    ] {
        let (severity, line, message) = finding(from, to);
        assert_eq!((severity, line.as_str()), (Severity::Error, to), "{message}");
    }
}

#[test]
fn a_contiguous_rule_never_gets_scattered_memory() {
    let (severity, line, message) =
        finding("exhausted = \"degrade to framebuffer\"", "exhausted = \"degrade to system\"");
    assert_eq!(severity, Severity::Error);
    assert_eq!(line, "exhausted = \"degrade to system\"");
    assert!(message.contains("scattered"), "{message}");

    let (severity, line, _) = finding(
        "heap = \"framebuffer\"\ncontiguous = true",
        "heap = \"system\"\ncontiguous = true",
    );
    assert_eq!((severity, line.as_str()), (Severity::Error, "contiguous = true"));
}

#[test]
fn a_heap_that_cannot_do_its_work_is_an_error() {
    let node = "nodes = [\"camera@54000000\"]";
    for to in ["nodes = []", "nodes = [\"/dev/dma_heap/camera\"]", "nodes = [\"\"]"] {
        let (severity, line, message) = finding(node, to);
        assert_eq!((severity, line.as_str()), (Severity::Error, to));
        assert!(message.contains("heap camera needs the names of device nodes"), "{message}");
    }

    for (key, at) in [("below", "below = \"1 GiB\""), ("align", "align = \"32 KiB\"")] {
        let (severity, line, message) = finding("[heaps.system]", &format!("[heaps.system]\n{at}"));
        assert_eq!((severity, line.as_str()), (Severity::Error, at), "{key}");
        assert!(message.contains("nobody knows where its memory lies"), "{message}");
    }
    let odd = "align = \"24 KiB\"";
    let (severity, line, _) = finding("[heaps.fixed]", &format!("[heaps.fixed]\n{odd}"));
    assert_eq!((severity, line.as_str()), (Severity::Error, odd));

    let (severity, line, message) = finding("[heaps.system]", "[heaps.system]\nprotected = true");
    assert_eq!((severity, line.as_str()), (Severity::Error, "metadata_heap = \"system\""));
    assert!(message.contains("which is protected"), "{message}");
}

#[test]
fn a_rule_never_degrades_to_what_does_not_help() {
    let from = "exhausted = \"degrade to framebuffer\"";
    for (to, why) in [
        ("exhausted = \"degrade to fixed\"", "degrades to its own heap"),
        ("exhausted = \"framebuffer\"", "is no fallback"),
    ] {
        let (severity, line, message) = finding(from, to);
        assert_eq!((severity, line.as_str()), (Severity::Error, to), "{message}");
        assert!(message.contains(why), "{message}");
    }

    let (severity, line, message) =
        finding("[heaps.framebuffer]", "[heaps.framebuffer]\nprotected = true");
    assert_eq!(severity, Severity::Error);
    assert_eq!(line, "missing = \"degrade to framebuffer\"");
    assert!(message.contains("between protected and unprotected memory"), "{message}");
}

#[test]
fn two_rules_of_one_name_are_an_error() {
    let (severity, line, message) = finding("name = \"framebuffer\"", "name = \"camera\"");
    assert_eq!((severity, line.as_str()), (Severity::Error, "name = \"camera\""));
    assert_eq!(message, "there are two rules \"camera\"");
}

#[test]
fn a_usage_bit_that_is_not_the_vendors_is_an_error() {
    let usage = |bit| format!("[vendor_usage]\nTHUMBNAIL = {bit}\n\n[heaps.system]");
    let (severity, line, message) = finding("[heaps.system]", &usage(3));
    assert_eq!((severity, line.as_str()), (Severity::Error, "THUMBNAIL = 3"));
    assert_eq!(message, "usage bit 3 is not the vendor's to define");
    let text = VIRT.replacen("[heaps.system]", &usage(28), 1);
    assert_eq!(Policy::parse("heaps.toml", &text).unwrap().1.to_string(), "");
}

#[test]
fn a_rule_behind_one_that_takes_everything_is_an_error() {
    let (severity, line, message) = finding(
        "name = \"everything else\"\nheap = \"system\"",
        "name = \"everything else\"\nheap = \"system\"\n\n[[rules]]\nname = \"late\"\nall = [\"GPU_TEXTURE\"]\nheap = \"system\"",
    );
    assert_eq!((severity, line.as_str()), (Severity::Error, "name = \"late\""));
    assert!(message.contains("\"everything else\""), "{message}");
}

#[test]
fn a_rule_that_excludes_what_it_wants_is_an_error() {
    let wanted = "any = [\"COMPOSER_CLIENT_TARGET\"]";
    let (severity, line, _) =
        finding(wanted, &format!("{wanted}\nnone = [\"COMPOSER_CLIENT_TARGET\"]"));
    assert_eq!((severity, line.as_str()), (Severity::Error, "name = \"framebuffer\""));
}

#[test]
fn what_probably_was_not_meant_is_a_warning() {
    let unused = "[heaps.spare]\nnodes = [\"spare\"]\n\n[heaps.system]";
    let (severity, line, message) = finding("[heaps.system]", unused);
    assert_eq!((severity, line.as_str()), (Severity::Warning, "[heaps.spare]"));
    assert!(message.contains("nobody uses"), "{message}");

    let (severity, _, message) =
        finding("name = \"everything else\"", "name = \"windows\"\nany = [\"GPU_TEXTURE\"]");
    assert_eq!(severity, Severity::Warning);
    assert!(message.contains("UNSUPPORTED"), "{message}");
}

#[test]
fn a_rule_for_the_cpu_on_uncached_memory_is_a_warning() {
    let (severity, line, message) = finding(
        "[[rules]]\nname = \"camera\"",
        "[heaps.slow]\nnodes = [\"slow\"]\ncached = false\n\n[[rules]]\nname = \"software\"\nany = [\"CPU_READ_OFTEN\"]\nheap = \"slow\"\n\n[[rules]]\nname = \"camera\"",
    );
    assert_eq!((severity, line.as_str()), (Severity::Warning, "heap = \"slow\""));
    assert!(message.contains("heap slow is not cached"), "{message}");
}

#[test]
fn every_usage_has_one_meaning_of_implementation_defined() {
    let last = "[[implementation_defined]]\nformat = \"RGBA_8888\"";
    let (severity, _, message) = finding(
        last,
        "[[implementation_defined]]\nany = [\"GPU_TEXTURE\"]\nformat = \"RGBA_8888\"",
    );
    assert_eq!(severity, Severity::Warning);
    assert!(message.contains("has no meaning for some usages"), "{message}");

    let late = "[[implementation_defined]]\nformat = \"RGB_565\"";
    let (severity, line, message) = finding(last, &format!("{last}\n\n{late}"));
    assert_eq!((severity, line.as_str()), (Severity::Error, "format = \"RGB_565\""));
    assert!(message.contains("is never used"), "{message}");
}

#[test]
fn alignments_that_no_buffer_can_have_together_are_an_error() {
    let (severity, line, message) = finding(
        "[alignment.gpu]\nstride = 64",
        "[alignment.gpu]\nstride = 64\nheight = 4294967291",
    );
    assert_eq!((severity, line.as_str()), (Severity::Error, "[alignment.cpu]"));
    assert!(message.contains("could not be aligned for all of them"), "{message}");
}

#[test]
fn a_broken_file_gives_no_policy() {
    assert!(Policy::parse("heaps.toml", "").is_err());
    assert!(Policy::parse("heaps.toml", "rules = []").is_err());
    assert!(Policy::load("/nonexistent/heaps.toml".as_ref()).is_err());
}
