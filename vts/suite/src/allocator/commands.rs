// SPDX-License-Identifier: Apache-2.0
//! The allocator's commands for people, where they have heaps and a service to speak of.

use std::error::Error;
use std::iter;
use std::process::{Command, Output};

use libtest_mimic::Trial;
use serde_json::Value;

use crate::harness::Outcome;
use crate::heap::Heap;
use crate::service::{pid, trial};

const POLICY: &str = "/vendor/etc/dmaheap/heaps.toml";

pub fn trials() -> Vec<Trial> {
    vec![
        trial("commands::explain_tells_which_node_gives_the_memory", explain_gives),
        trial("commands::explain_tells_why_a_heap_cannot_give_it", explain_refuses),
        trial("commands::dump_shows_the_running_service", dump),
        trial("commands::check_accepts_the_installed_policy", check),
    ]
}

/// Runs the service's own program with these words.
fn allocator(line: &str) -> Result<Output, Box<dyn Error>> {
    let program = format!("/proc/{}/exe", pid()?);
    Ok(Command::new(program).args(line.split_whitespace()).output()?)
}

/// What a command prints that must end with `status`.
fn said(line: &str, status: i32) -> Result<String, Box<dyn Error>> {
    let Output { status: ended, stdout, stderr } = allocator(line)?;
    let text = String::from_utf8(stdout)?;
    match ended.code() == Some(status) {
        true => Ok(text),
        false => Err(format!("{line}: {ended}\n{text}{}", String::from_utf8_lossy(&stderr)).into()),
    }
}

fn explain_gives() -> Outcome {
    let line = "explain --usage CAMERA_OUTPUT,GPU_TEXTURE --format NV12 --size 640x480";
    let text = said(line, 0)?;
    assert!(text.contains("camera@54000000 gives it"), "{text}");
    let answer: Value = serde_json::from_str(&said(&format!("{line} --json"), 0)?)?;
    assert_eq!(answer["heaps"][0]["works_here"], true, "{answer}");
    Ok(())
}

/// A heap in which somebody holds everything, more than a uid may have of it, and more than it will
/// ever have.
fn explain_refuses() -> Outcome {
    let camera = Heap::open("camera@54000000")?;
    let held: Vec<_> = iter::from_fn(|| camera.allocate(1 << 20).ok()).collect();
    let text = said("explain --usage CAMERA_OUTPUT --format NV12 --size 2048x1024", 1)?;
    drop(held);
    let why = "heap camera (camera@54000000) could not give 3 MiB: ENOMEM";
    assert!(text.contains(why), "{text}");

    let text = said("explain --usage CAMERA_OUTPUT --format NV12 --size 8192x5376", 1)?;
    let why = "63 MiB of heap camera are more than the 48 MiB that one uid may hold";
    assert!(text.contains(why), "{text}");
    let line = "explain --usage COMPOSER_CLIENT_TARGET --format RGBA_8888 --size 8192x5120";
    let why = "160 MiB can never come from heap framebuffer, which has 128 MiB in all";
    assert!(said(line, 1)?.contains(why), "{why}");
    Ok(())
}

fn dump() -> Outcome {
    let text = said("dump", 0)?;
    assert!(text.contains("framebuffer") && text.contains("camera@54000000"), "{text}");
    let report: Value = serde_json::from_str(&said("dump --json", 0)?)?;
    assert!(report["heaps"].as_array().is_some_and(|heaps| heaps.len() == 4), "{report}");
    said("dump everything", 2).map(drop)
}

fn check() -> Outcome {
    assert_eq!(said(&format!("check {POLICY}"), 0)?, "files: 1, errors: 0, warnings: 0\n");
    let findings: Value = serde_json::from_str(&said(&format!("check --json {POLICY}"), 0)?)?;
    assert_eq!(findings, Value::Array(Vec::new()));
    Ok(())
}
