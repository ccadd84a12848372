// SPDX-License-Identifier: Apache-2.0
//! Policy files: who is asked for what, and what is wrong with limits.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::arithmetic_side_effects)]

use dmaheap_aidl::allocator::{AllocationError, BufferDescriptorInfo};
use dmaheap_aidl::binder::Caller;
use dmaheap_aidl::common::{BufferUsage, PixelFormat};
use dmaheap_allocator::finding::Severity;
use dmaheap_allocator::policy::Machine;
use dmaheap_allocator::{Error, Policy, Request};
use dmaheap_buffer::{Bytes, Usage};

/// An app may have no more than 4 MiB of the camera's memory, and no secrets.
const POLICY: &str = r#"
metadata_heap = "system"
[limits]
buffer = "256 MiB"
reserved = "8 MiB"
[classes.hals]
uids = ["2900-2999"]
domains = ["hal_camera_default"]
[heaps.system]
nodes = ["system"]
per_uid = "10 %"
[heaps.camera]
nodes = ["camera"]
contiguous = true
size = "64 MiB"
per_class = { apps = "4 MiB" }
keep = { size = "16 MiB", callers = ["cameraserver", "hals"] }
[[rules]]
name = "raw"
all = ["CAMERA_INPUT"]
callers = ["cameraserver", "hals"]
heap = "camera"
[[rules]]
name = "camera"
all = ["CAMERA_OUTPUT"]
heap = "camera"
[[rules]]
name = "cpu"
any = ["CPU_READ_RARELY", "GPU_TEXTURE"]
heap = "system"
[[rules]]
name = "the system's own"
callers = ["system"]
heap = "system"
[[implementation_defined]]
format = "RGBA_8888"
"#;

const APP: Caller = Caller { uid: 10_123, context: None };
const CAMERASERVER: Caller = Caller { uid: 1047, context: None };

fn policy() -> Policy {
    Policy::parse("heaps.toml", POLICY).unwrap().0
}

/// So many MiB for this use.
fn request(usage: BufferUsage, mebibytes: i32, reserved: i64) -> Request {
    let info = BufferDescriptorInfo {
        name: [0; 128],
        width: mebibytes << 20,
        height: 1,
        layerCount: 1,
        format: PixelFormat::BLOB,
        usage,
        reservedSize: reserved,
        ..Default::default()
    };
    Request::new(&info, Usage::NONE).unwrap()
}

/// The rule for a caller's request, or the code of the refusal with its words.
fn decide(
    policy: &Policy,
    caller: &Caller,
    request: &Request,
) -> Result<String, (AllocationError, String)> {
    let plan = policy.plan(request, policy.who(caller));
    plan.map(|plan| plan.rule.name.clone()).map_err(|error| (error.code(), error.to_string()))
}

#[test]
fn a_rule_for_some_callers_is_for_nobody_else() {
    let (policy, raw) = (policy(), request(BufferUsage::CAMERA_INPUT, 1, 0));
    assert_eq!(decide(&policy, &CAMERASERVER, &raw).unwrap(), "raw");
    let hal = Caller { uid: 0, context: Some("u:r:hal_camera_default:s0".into()) };
    assert_eq!(decide(&policy, &hal, &raw).unwrap(), "raw");
    assert_eq!(decide(&policy, &Caller { uid: 2950, context: None }, &raw).unwrap(), "raw");
    let (code, why) = decide(&policy, &APP, &raw).unwrap_err();
    assert_eq!(code, AllocationError::UNSUPPORTED, "{why}");
    // A later rule may take what an earlier one does not.
    let both = request(BufferUsage::CAMERA_INPUT | BufferUsage::GPU_TEXTURE, 1, 0);
    assert_eq!(decide(&policy, &APP, &both).unwrap(), "cpu");
}

#[test]
fn more_than_a_caller_may_ever_hold_is_unsupported_for_that_caller() {
    let (policy, usage) = (policy(), BufferUsage::CAMERA_OUTPUT);
    let (code, why) = decide(&policy, &APP, &request(usage, 5, 0)).unwrap_err();
    assert_eq!(code, AllocationError::UNSUPPORTED);
    assert!(why.contains("the 4 MiB that all of class apps together may hold"), "{why}");
    decide(&policy, &APP, &request(usage, 4, 0)).unwrap();
    let media = Caller { uid: 1013, context: None };
    decide(&policy, &media, &request(usage, 48, 0)).unwrap();
    let (code, why) = decide(&policy, &media, &request(usage, 49, 0)).unwrap_err();
    assert_eq!(code, AllocationError::UNSUPPORTED);
    assert!(why.contains("the 48 MiB that all but cameraserver, hals together"), "{why}");
    decide(&policy, &CAMERASERVER, &request(usage, 64, 0)).unwrap();
}

/// What is given with the pixels counts, and shares are of the machine's memory.
#[test]
fn a_share_of_memory_is_for_pixels_and_metadata() {
    let usage = BufferUsage::CPU_READ_OFTEN;
    let small = Machine { memory: Some(Bytes(100 << 20)), ..Machine::ANY };
    let policy = policy().on(small);
    let (code, why) = decide(&policy, &APP, &request(usage, 10, 0)).unwrap_err();
    assert_eq!(code, AllocationError::UNSUPPORTED);
    assert!(why.contains("that one uid may hold"), "{why}");
    decide(&policy, &APP, &request(usage, 9, 0)).unwrap();
    decide(&policy, &APP, &request(usage, 9, 1 << 20)).unwrap_err();
    // Metadata is from another heap than the camera's pictures.
    let picture = request(BufferUsage::CAMERA_OUTPUT, 4, 8 << 20);
    decide(&policy, &APP, &picture).unwrap();
    // Of a machine that nobody knows, no share is known.
    decide(&self::policy(), &APP, &request(usage, 200, 0)).unwrap();
}

/// What is found if `from` is replaced by `to`: severity, the text of the line
/// that it points at, and the message.
fn finding(from: &str, to: &str) -> (Severity, String, String) {
    assert!(POLICY.contains(from), "the policy has no {from:?}");
    let text = POLICY.replacen(from, to, 1);
    let findings = match Policy::parse("heaps.toml", &text) {
        Ok((_, findings)) | Err(Error::Policy(findings)) => findings,
        Err(other) => panic!("{other}"),
    };
    // That no rule takes what the others leave, each of these has in common.
    let is_news = |message: &str| !message.contains("what the others leave");
    let finding = findings.iter().find(|f| is_news(&f.message)).expect("something is wrong");
    assert!(!finding.hint.is_empty());
    let line = text.lines().nth(finding.line - 1).unwrap_or_default().to_owned();
    (finding.severity, line, finding.message.clone())
}

#[test]
fn callers_that_are_none_are_errors_at_their_line() {
    let keep = "keep = { size = \"16 MiB\", callers = [\"cameraserver\", \"hals\"] }";
    for (from, to, why) in [
        ("uids = [\"2900-2999\"]", "uids = [\"2999-2900\"]", "are no uids"),
        ("uids = [\"2900-2999\"]", "uids = [\"100001\"]", "are no uids"),
        ("uids = [\"2900-2999\"]", "uids = [\"camera\"]", "are no uids"),
        ("callers = [\"system\"]", "callers = [\"surfaceflinger\"]", "no class of callers"),
        ("callers = [\"system\"]", "callers = []", "no callers are named"),
        ("per_uid = \"10 %\"", "per_uid = \"0 %\"", "no share of memory"),
        ("per_uid = \"10 %\"", "per_uid = \"101 %\"", "no share of memory"),
        (
            "per_class = { apps = \"4 MiB\" }",
            "per_class = { appz = \"4 MiB\" }",
            "no class of callers \"appz\"",
        ),
        (keep, "keep = { size = \"65 MiB\", callers = [\"hals\"] }", "has 64 MiB in all"),
        (keep, "keep = { size = \"16\", callers = [\"hals\"] }", "is no size"),
    ] {
        let (severity, line, message) = finding(from, to);
        assert_eq!((severity, line.as_str()), (Severity::Error, to), "{message}");
        assert!(message.contains(why), "{message}");
    }
    let (severity, line, message) = finding("[classes.hals]", "[classes.apps]");
    assert_eq!((severity, line.as_str()), (Severity::Error, "[classes.apps]"));
    assert_eq!(message, "class apps is built in");
}

#[test]
fn what_is_kept_of_an_unknown_size_is_an_error() {
    let (severity, line, message) = finding("size = \"64 MiB\"\n", "");
    assert_eq!(severity, Severity::Error);
    assert!(line.starts_with("keep = ") && message.contains("nobody knows of how much"));
}

#[test]
fn limits_without_effect_are_warnings() {
    let (severity, line, message) =
        finding("per_class = { apps = \"4 MiB\" }", "per_class = { apps = \"65 MiB\" }");
    assert_eq!(severity, Severity::Warning);
    assert!(line.starts_with("per_class") && message.contains("is never reached"), "{message}");

    let (severity, _, message) = finding("apps = \"4 MiB\"", "apps = \"4 %\"");
    assert_eq!(severity, Severity::Warning);
    assert!(message.contains("a share of all memory"), "{message}");

    let keep = "keep = { size = \"16 MiB\", callers = [\"cameraserver\", \"hals\"] }\n";
    let (severity, line, message) = finding(keep, "");
    assert_eq!((severity, line.as_str()), (Severity::Warning, "contiguous = true"));
    assert_eq!(message, "whoever asks first may take all of heap camera");
}

#[test]
fn a_class_without_members_or_uses_is_a_warning() {
    let (severity, line, message) =
        finding("uids = [\"2900-2999\"]\ndomains = [\"hal_camera_default\"]\n", "");
    assert_eq!((severity, line.as_str()), (Severity::Warning, "[classes.hals]"));
    assert_eq!(message, "nobody is in class hals");

    let (severity, line, message) =
        finding("[classes.hals]", "[classes.spare]\nuids = [\"5\"]\n[classes.hals]");
    assert_eq!((severity, line.as_str()), (Severity::Warning, "[classes.spare]"));
    assert!(message.contains("names class spare"), "{message}");
}

/// What is held ready is for those for whom memory is kept, out of what is kept.
#[test]
fn more_held_ready_than_kept_is_an_error() {
    let ready = |what: &str| format!("contiguous = true\nreserve = [\"{what}\"]");
    let (severity, line, message) = finding("contiguous = true", &ready("3 x 8 MiB"));
    assert_eq!((severity, line.as_str()), (Severity::Error, "reserve = [\"3 x 8 MiB\"]"));
    assert!(message.contains("holds 24 MiB ready, and has room for 16 MiB"), "{message}");
    let (severity, _, message) =
        finding("contiguous = true", &format!("per_uid = \"4 MiB\"\n{}", ready("2 x 8 MiB")));
    assert_eq!(severity, Severity::Error);
    assert!(message.contains("nobody may have 8 MiB"), "{message}");
}

/// A rule hides a later one only from those whom it is for.
#[test]
fn a_rule_for_some_does_not_hide_that_for_all() {
    let with = |callers: &str| {
        let rules = format!(
            "name = \"camera\"\nall = [\"CAMERA_OUTPUT\"]\nheap = \"camera\"\n[[rules]]\n\
             name = \"again\"\nall = [\"CAMERA_OUTPUT\"]\n{callers}heap = \"camera\""
        );
        let text = POLICY.replacen(
            "name = \"camera\"\nall = [\"CAMERA_OUTPUT\"]\nheap = \"camera\"",
            &rules,
            1,
        );
        assert_ne!(text, POLICY);
        Policy::parse("heaps.toml", &text).map(drop).map_err(|error| error.to_string())
    };
    assert!(with("").unwrap_err().contains("\"again\" can never match"));
    assert!(with("callers = [\"apps\"]\n").unwrap_err().contains("\"again\" can never match"));
    let text = POLICY.replacen("name = \"camera\"", "name = \"camera\"\ncallers = [\"apps\"]", 1);
    let more = text.replacen(
        "[[rules]]\nname = \"cpu\"",
        "[[rules]]\nname = \"others\"\n\
        all = [\"CAMERA_OUTPUT\"]\nheap = \"camera\"\n[[rules]]\nname = \"cpu\"",
        1,
    );
    Policy::parse("heaps.toml", &more).unwrap();
}
