// SPDX-License-Identifier: Apache-2.0
//! What the demonstration claims, checked.

use std::fs::File;
use std::io::BufReader;
use std::path::PathBuf;
use std::sync::Mutex;

use board::boards::{ALLOCATOR, POLICY};
use board::{Boot, Guest};
use libtest_mimic::Failed;
use serde_json::Value;

use crate::Outcome;
use crate::fixture::{boot, expect_contains, expect_eq, fail, lock, scratch, succeed, with_guest};

const PICTURE: &str = "/tmp/camera.png";

fn demonstrate(guest: &mut Guest) -> Result<Value, Failed> {
    let json = succeed(guest, &format!("demo --json --picture {PICTURE}"))?;
    serde_json::from_str(&json).map_err(Failed::from)
}

/// What the demonstration said, what the guest's console said to it, and its picture.
#[derive(Clone)]
struct Findings {
    said: Value,
    console: String,
    picture: PathBuf,
}

/// The demonstration's findings in a shared guest; run once.
fn findings() -> Result<Findings, Failed> {
    static FOUND: Mutex<Option<Findings>> = Mutex::new(None);
    let mut found = lock(&FOUND);
    if found.is_none() {
        let picture = scratch("picture")?.join("camera.png");
        *found = Some(with_guest(|guest| {
            let said = demonstrate(guest)?;
            guest.pull(PICTURE, &picture)?;
            Ok(Findings { said, console: guest.console(), picture })
        })?);
    }
    found.clone().ok_or(Failed::without_message())
}

/// The entry of `list` that is about `buffer`.
fn entry<'a>(findings: &'a Value, list: &str, buffer: &str) -> Result<&'a Value, Failed> {
    let entries = findings[list].as_array().into_iter().flatten();
    entries
        .into_iter()
        .find(|entry| entry["buffer"] == buffer)
        .map_or_else(|| fail(format!("no '{buffer}' in {findings}")), Ok)
}

fn expect_origin(buffer: &str, node: &str, segments: Option<u64>) -> Outcome {
    let findings = findings()?.said;
    let row = entry(&findings, "buffers", buffer)?;
    expect_eq("node", row["node"].as_str(), Some(node))?;
    if segments.is_some() {
        expect_eq("physical segments", row["segments"].as_u64(), segments)?;
    }
    Ok(())
}

pub fn framebuffer_is_one_segment_of_the_default_region() -> Outcome {
    expect_origin("framebuffer", "default_cma_region", Some(1))
}

pub fn camera_output_is_one_segment_of_the_camera_region() -> Outcome {
    expect_origin("camera output", "camera@54000000", Some(1))
}

pub fn app_window_and_cpu_buffer_come_from_system() -> Outcome {
    expect_origin("app window", "system", None)?;
    expect_origin("CPU buffer", "system", None)
}

pub fn camera_captures_into_its_own_buffers() -> Outcome {
    let findings = findings()?.said;
    let capture = entry(&findings, "captures", "camera output")?;
    expect_eq("refusal", &capture["refused"], &Value::Null)?;
    expect_eq("frames", capture["frames"].as_u64(), Some(6))
}

pub fn camera_refuses_a_scattered_app_window() -> Outcome {
    let Findings { said, console, .. } = findings()?;
    let capture = entry(&said, "captures", "app window")?;
    if capture["segments"].as_u64() <= Some(1) {
        return fail(format!("the window's buffer is contiguous, which proves nothing: {capture}"));
    }
    expect_contains(capture["refused"].as_str().unwrap_or("captured"), "VIDIOC_QBUF: Bad address")?;
    // It is the driver that says why.
    expect_contains(&console, "contiguous chunk is too small")
}

/// What became of `buffer` in the hands of a device.
fn consumer<'a>(said: &'a Value, device: &str, buffer: &str) -> Result<&'a Value, Failed> {
    let consumers = said["consumers"].as_array().into_iter().flatten();
    consumers
        .into_iter()
        .find(|entry| entry["device"] == device && entry["buffer"] == buffer)
        .map_or_else(|| fail(format!("no {device} with '{buffer}' in {said}")), Ok)
}

pub fn display_shows_contiguous_memory_only() -> Outcome {
    let said = findings()?.said;
    let outcome = |buffer| consumer(&said, "display", buffer);
    expect_eq("framebuffer", outcome("framebuffer")?["outcome"].as_str(), Some("shown"))?;
    let frame = outcome("camera frames")?;
    expect_eq("the camera's heap", frame["heap"].as_str(), Some("camera"))?;
    expect_contains(
        frame["outcome"].as_str().unwrap_or("refused"),
        "shown where they were captured",
    )?;
    let window = outcome("app window")?;
    if window["segments"].as_u64() <= Some(1) {
        return fail(format!("the window's buffer is contiguous, which proves nothing: {window}"));
    }
    let refusal = window["refused"].as_str().unwrap_or("shown");
    expect_contains(refusal, "refused at PRIME import")?;
    // It is the driver that says why.
    expect_contains(refusal, "scanout needs 8294400 contiguous bytes")
}

pub fn iommu_maps_either_in_one_range() -> Outcome {
    let said = findings()?.said;
    for buffer in ["framebuffer", "app window"] {
        let outcome = &consumer(&said, "GPU", buffer)?["outcome"];
        expect_eq(buffer, outcome.as_str(), Some("IOMMU ranges: 1"))?;
    }
    Ok(())
}

/// Eight vertical bars, three quarters down, below all of the text that vivid writes.
pub fn picture_shows_the_test_pattern() -> Outcome {
    let picture = File::open(findings()?.picture)?;
    let mut reader = png::Decoder::new(BufReader::new(picture)).read_info()?;
    let mut pixels = vec![0; reader.output_buffer_size().ok_or("a picture without a size")?];
    let info = reader.next_frame(&mut pixels)?;
    expect_eq("size", (info.width, info.height), (1920, 1080))?;
    let row = 810 * 1920;
    let bars: Vec<[bool; 3]> = (0..8)
        .map(|bar| {
            let at = 3 * (row + 120 + 240 * bar);
            [0, 1, 2].map(|channel| pixels[at + channel] > 128)
        })
        .collect();
    // White, yellow, cyan, green, magenta, red, blue, black.
    let (on, off) = (true, false);
    let expected = vec![
        [on, on, on],
        [on, on, off],
        [off, on, on],
        [off, on, off],
        [on, off, on],
        [on, off, off],
        [off, off, on],
        [off, off, off],
    ];
    expect_eq("bars as red, green, blue", bars, expected)
}

pub fn changed_rule_changes_the_heap() -> Outcome {
    let mut guest = boot(&Boot::default())?;
    let policy = succeed(&mut guest, &format!("cat {POLICY}"))?;
    let before = demonstrate(&mut guest)?;
    let row = entry(&before, "buffers", "framebuffer")?;
    expect_eq("node", row["node"].as_str(), Some("default_cma_region"))?;

    let rule = row["rule"].as_str().unwrap_or_default();
    let changed = rule_with_heap(&policy, rule, "camera")?;
    let file = scratch("policy")?.join("heaps.toml");
    std::fs::write(&file, changed)?;
    guest.push(&file, POLICY)?;
    succeed(&mut guest, &format!("kill $(pidof {ALLOCATOR})"))?;
    let after = demonstrate(&mut guest)?;
    let row = entry(&after, "buffers", "framebuffer")?;
    expect_eq("node", row["node"].as_str(), Some("camera@54000000"))
}

/// The policy with another heap in the rule of this name.
fn rule_with_heap(policy: &str, rule: &str, heap: &str) -> Result<String, Failed> {
    let (before, from_name) = match policy.split_once(&format!("name = \"{rule}\"")) {
        Some(parts) => parts,
        None => return fail(format!("no rule '{rule}' in:\n{policy}")),
    };
    let Some((between, from_heap)) = from_name.split_once("heap = \"") else {
        return fail(format!("rule '{rule}' names no heap"));
    };
    let Some((_, after)) = from_heap.split_once('"') else { return fail("an open quote") };
    Ok(format!("{before}name = \"{rule}\"{between}heap = \"{heap}\"{after}"))
}
