// SPDX-License-Identifier: Apache-2.0
//! The commands, as a person or a script meets them on any Linux machine.
#![allow(clippy::unwrap_used, clippy::indexing_slicing, clippy::arithmetic_side_effects)]

use std::process::{Command, Output};

const VIRT: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../etc/virt/heaps.toml");

fn allocator(line: &str) -> Output {
    let words = line.split_whitespace().map(|word| if word == "VIRT" { VIRT } else { word });
    Command::new(env!("CARGO_BIN_EXE_allocator")).args(words).output().unwrap()
}

/// The same, of all boards.
const BOARDS: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../etc");

fn text(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes).into_owned()
}

#[test]
fn explain_names_rule_heap_node_and_layout() {
    let output = allocator(
        "explain --usage CAMERA_OUTPUT,GPU_TEXTURE --format NV12 --size 1920x1080 --policy VIRT",
    );
    let said = text(&output.stdout);
    for part in [
        "=> camera -> heap camera: matches",
        "camera@54000000",
        "stride 1920 pixels, 3112960 bytes",
        "plane 1  at 2073600, 540 rows of 1920 bytes",
        "not reached",
    ] {
        assert!(said.contains(part), "{part:?} is missing in:\n{said}");
    }
}

/// What a camera HAL's streams ask for: preview, recording, a still for the CPU, reprocessing.
#[test]
fn explain_answers_a_camera_hal_with_the_cameras_region_on_every_board() {
    let regions = [
        ("virt", "camera@54000000"),
        ("hikey", "camera@30000000"),
        ("hikey960", "camera@60000000"),
        ("rpi4", "camera@10000000"),
        ("imx8mm", "camera@98000000"),
        ("pinephone", "camera@60000000"),
    ];
    for (board, region) in regions {
        for usage in [
            "CAMERA_OUTPUT,GPU_TEXTURE,COMPOSER_OVERLAY",
            "CAMERA_OUTPUT,VIDEO_ENCODER",
            "CAMERA_OUTPUT,CPU_READ_OFTEN",
            "CAMERA_OUTPUT,CAMERA_INPUT",
        ] {
            let output = allocator(&format!(
                "explain --usage {usage} --format IMPLEMENTATION_DEFINED --size 1920x1080 \
                 --as uid=1047 --policy {BOARDS}/{board}/heaps.toml",
            ));
            let said = text(&output.stdout);
            let heap = format!("), nodes {region}");
            assert!(said.contains(&heap), "{board}: {usage}: {said}{}", text(&output.stderr));
            assert!(said.contains("(NV12)") && output.status.success(), "{board}: {said}");
        }
    }
}

#[test]
fn help_is_given_wherever_it_is_asked_for() {
    for line in ["--help", "-h", "help", "explain --help", "check -h"] {
        let output = allocator(line);
        assert!(output.status.success(), "{line}: {}", output.status);
        assert!(text(&output.stdout).contains("allocator explain --usage"), "{line}");
    }
}

#[test]
fn explain_says_why_rules_were_passed_over() {
    let output = allocator(
        "explain --usage GPU_TEXTURE|COMPOSER_OVERLAY --format RGBA_8888 --size 64x64 --policy VIRT",
    );
    let said = text(&output.stdout);
    assert!(said.contains("the usage has none of COMPOSER_CLIENT_TARGET"), "{said}");
    assert!(said.contains("=> everything else -> heap system"), "{said}");
}

/// One rule for each reason to pass a rule over, and one that takes what is left.
const PICKY: &str = "\
metadata_heap = \"system\"
[limits]
buffer = \"1 MiB\"
reserved = \"1 MiB\"
[vendor_usage]
THUMBNAIL = 28
[heaps.system]
nodes = [\"system\"]
[heaps.secure]
nodes = [\"secure\"]
protected = true
[[rules]]
name = \"secret\"
heap = \"secure\"
[[rules]]
name = \"drawn\"
all = [\"GPU_RENDER_TARGET\"]
heap = \"system\"
[[rules]]
name = \"not sampled\"
none = [\"GPU_TEXTURE\"]
heap = \"system\"
[[rules]]
name = \"pictures\"
formats = [\"YCBCR_420_888\", \"YV12\"]
heap = \"system\"
[[rules]]
name = \"large\"
min_size = \"1 MiB\"
heap = \"system\"
[[rules]]
name = \"middling\"
min_size = \"512 KiB\"
max_size = \"1 MiB\"
heap = \"system\"
[[rules]]
name = \"the rest\"
heap = \"system\"
[[implementation_defined]]
format = \"RGBA_8888\"
";

#[test]
fn explain_has_a_reason_for_each_rule() {
    let file = std::env::temp_dir().join(format!("picky-{}.toml", std::process::id()));
    std::fs::write(&file, PICKY).unwrap();
    let line = "explain --usage GPU_TEXTURE,THUMBNAIL --format RGBA_8888 --size 64x64 --policy";
    let output = allocator(&format!("{line} {}", file.display()));
    std::fs::remove_file(file).unwrap();
    let said = text(&output.stdout);
    for part in [
        "for GPU_TEXTURE|0x10000000",
        "secret -> heap secure: only one of usage and heap is protected",
        "drawn -> heap system: the usage lacks GPU_RENDER_TARGET",
        "not sampled -> heap system: the rule excludes GPU_TEXTURE",
        "pictures -> heap system: the rule is for YCBCR_420_888, YV12 only",
        "large -> heap system: the rule is for buffers from 1 MiB",
        "middling -> heap system: the rule is for buffers from 512 KiB to 1 MiB",
        "=> the rest -> heap system: matches",
    ] {
        assert!(said.contains(part), "{part:?} is missing in:\n{said}{}", text(&output.stderr));
    }
}

const CAMERA: &str = "explain --usage CAMERA_OUTPUT --format NV12 --policy VIRT";

#[test]
fn explain_answers_for_a_caller() {
    let output = allocator(&format!("{CAMERA} --size 1920x1080 --as uid=1010123"));
    let said = text(&output.stdout);
    for part in [
        "caller   uid 1010123: apps",
        "limit    one uid: 48 MiB",
        "limit    all of class apps together: 24 MiB",
        "limit    all but cameraserver together: 32 MiB",
    ] {
        assert!(said.contains(part), "{part:?} is missing in:\n{said}");
    }
    let output =
        allocator(&format!("{CAMERA} --size 1920x1080 --as uid=1047 --as domain=cameraserver"));
    let said = text(&output.stdout);
    assert!(said.contains("caller   uid 1047, domain cameraserver: cameraserver"), "{said}");
    assert!(!said.contains("apps together") && !said.contains("all but"), "{said}");

    // 36 MiB, of which apps may have 24, and others 32.
    let answer = |who: &str| {
        let output = allocator(&format!("{CAMERA} --size 8192x3072 --json {who}"));
        let answer: serde_json::Value = serde_json::from_slice(&output.stdout).unwrap();
        (output.status.code(), answer)
    };
    let (status, answer_for_app) = answer("--as uid=10123,domain=untrusted_app");
    let refused = "36 MiB of heap camera are more than the 24 MiB that all of class apps together";
    assert!(answer_for_app["refused"].as_str().unwrap().contains(refused), "{answer_for_app}");
    assert_eq!((status, &answer_for_app["caller"]["classes"][0]), (Some(1), &"apps".into()));
    assert!(answer("").1["refused"].as_str().unwrap().contains("all but cameraserver"));
    assert_eq!(answer("--as uid=1047").0, Some(0));
}

#[test]
fn explain_speaks_json() {
    let output = allocator(
        "explain --json --usage COMPOSER_CLIENT_TARGET --format RGB_565 --size 800x600 --policy VIRT",
    );
    let answer: serde_json::Value = serde_json::from_slice(&output.stdout).unwrap();
    assert_eq!(answer["heaps"][0]["heap"], "framebuffer");
    assert_eq!(answer["layout"]["fourcc"], "RG16");
    assert_eq!(answer["layout"]["planes"][0]["stride"], 1600);
    assert_eq!(answer["refused"], serde_json::Value::Null);
}

#[test]
fn explain_refuses_with_the_reason_and_a_status() {
    let output =
        allocator("explain --usage PROTECTED --format RGBA_8888 --size 64x64 --policy VIRT");
    assert_eq!(output.status.code(), Some(1));
    assert!(text(&output.stdout).contains("no rule of the policy file covers usage PROTECTED"));
}

#[test]
fn check_points_at_the_line_and_fails() {
    let file = std::env::temp_dir().join(format!("heaps-{}.toml", std::process::id()));
    let policy = std::fs::read_to_string(VIRT).unwrap();
    let broken = policy.replace("heap = \"camera\"", "heap = \"kamera\"");
    std::fs::write(&file, &broken).unwrap();
    let line = broken.lines().position(|line| line == "heap = \"kamera\"").unwrap() + 1;

    let output = allocator(&format!("check VIRT {}", file.display()));
    let said = text(&output.stdout);
    assert_eq!(output.status.code(), Some(1));
    assert!(
        said.contains(&format!("{}:{line}: error: there is no heap", file.display())),
        "{said}"
    );
    assert!(said.contains("hint: the heaps of this file are camera, fixed"), "{said}");

    let output = allocator(&format!("check --json {}", file.display()));
    let findings: serde_json::Value = serde_json::from_slice(&output.stdout).unwrap();
    assert_eq!(
        (findings[0]["line"].as_u64(), &findings[0]["severity"]),
        (Some(line as u64), &"error".into())
    );
    std::fs::remove_file(file).unwrap();
}

#[test]
fn check_accepts_what_is_shipped() {
    let output = allocator("check VIRT");
    assert!(output.status.success());
    assert!(text(&output.stdout).contains("files: 1, errors: 0, warnings: 0"));
}

#[test]
fn the_service_does_not_start_with_a_broken_policy() {
    let output = allocator("--policy /dev/null");
    assert_eq!(output.status.code(), Some(2));
    assert!(text(&output.stderr).contains("/dev/null:1: error: missing field"));
}

#[test]
fn wrong_words_are_named() {
    for (line, complaint) in [
        ("frobnicate", "there is no command \"frobnicate\""),
        (
            "explain --usage FOO --format NV12 --size 1x1 --policy VIRT",
            "no usage is called \"FOO\"",
        ),
        ("explain --usage GPU_TEXTURE --format NV99 --size 1x1 --policy VIRT", "NV99"),
        ("explain --usage GPU_TEXTURE --format NV12 --size big --policy VIRT", "1920x1080"),
        ("explain --format NV12 --size 1x1 --policy VIRT", "--usage is missing"),
        ("explain --usage GPU_TEXTURE --format NV12 --size 1x1 --policy VIRT --as me", "--as uid="),
        ("check", "which file?"),
        ("check --jsno VIRT", "--jsno"),
        ("--policy", "--policy needs a value"),
    ] {
        let output = allocator(line);
        assert_eq!(output.status.code(), Some(2), "{line}");
        let said = text(&output.stderr);
        assert!(said.contains(complaint), "{line}: {said}");
    }
}

/// A preview and a recording of ten frames each, and an app's stills between them.
#[test]
fn explain_says_how_large_regions_must_be_for_a_list_of_buffers() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("budget.toml");
    let of = |what: &str, size: &str, count: u32| {
        format!(
            "[[buffers]]\nwhat = \"{what}\"\nusage = \"CAMERA_OUTPUT\"\nformat = \"NV12\"\n\
             size = \"{size}\"\ncount = {count}\n"
        )
    };
    let budget = |stills| of("video", "1920x1080", 10) + &of("stills", "3840x2160", stills);
    let ask = |text: &str| {
        std::fs::write(&file, text).unwrap();
        allocator(&format!("explain --policy VIRT --budget {}", file.display()))
    };
    let output = ask(&budget(1));
    let said = text(&output.stdout);
    for part in ["heap     camera\n", "10 x video, 3040 KiB each", "region   64 MiB: enough"] {
        assert!(said.contains(part), "{part:?} is missing in:\n{said}");
    }
    assert!(output.status.success());
    let output = ask(&budget(3));
    let said = text(&output.stdout);
    assert!(said.contains("region   64 MiB: too small") && !output.status.success(), "{said}");
    let output = ask(&budget(1).replace("NV12", "NV99"));
    assert!(text(&output.stderr).contains("budget.toml: video: "), "{}", text(&output.stderr));
}
