// SPDX-License-Identifier: Apache-2.0
//! The allocator's commands for people, where they have heaps and a service to speak of.

use std::error::Error;
use std::fs;
use std::iter;
use std::os::fd::{AsFd, AsRawFd};
use std::process::{Command, Output};

use dmaheap_buffer::Usage;
use dmaheap_dmabuf::buffer::inode;
use libtest_mimic::Trial;
use serde_json::Value;

use super::report::allocate;
use crate::harness::Outcome;
use crate::heap::Heap;
use crate::service::{pid, trial};

const POLICY: &str = "/vendor/etc/dmaheap/heaps.toml";

pub fn trials() -> Vec<Trial> {
    vec![
        trial("commands::explain_tells_which_node_gives_the_memory", explain_gives),
        trial("commands::explain_tells_why_a_heap_cannot_give_it", explain_refuses),
        trial("commands::dump_shows_the_running_service", dump),
        trial("commands::explain_tells_of_a_descriptor_what_it_is", explain_live),
        trial("commands::probe_writes_the_files_of_what_it_sees", probe),
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

/// With what the service does not look into: the driver's map, and the process that asked.
fn explain_live() -> Outcome {
    let buffer = allocate(Usage::CAMERA_OUTPUT, 640)?;
    let (own, fd) = (std::process::id(), buffer.pixels.as_raw_fd());
    let inode = inode(buffer.pixels.as_fd())?;
    let line = format!("explain --pid {own} --fd {fd}");
    let text = said(&line, 0)?;
    for part in ["by rule \"camera\"", "for CAMERA_OUTPUT", "=> camera", "the buffer is here"] {
        assert!(text.contains(part), "{part} is missing in:\n{text}");
    }
    let answer: Value = serde_json::from_str(&said(&format!("{line} --json"), 0)?)?;
    let told = &answer["buffer"];
    assert_eq!((&told["inode"], &told["pid"]), (&inode.into(), &own.into()), "{told}");
    assert!(told["process"].as_str().is_some_and(|name| name.contains("suite")), "{told}");
    assert!(told["address"].as_u64().is_some_and(|at| at >= 0x5400_0000), "{told}");

    let list = said("dump --buffers", 0)?;
    let is_listed = |list: &str| list.lines().any(|line| line.starts_with(&format!("{inode} ")));
    assert!(is_listed(&list), "{inode} is missing in:\n{list}");
    // Standard input is none, and it is none any more.
    said(&format!("explain --pid {own} --fd 0"), 2)?;
    drop(buffer);
    assert!(!is_listed(&said("dump --buffers", 0)?), "{inode} is still listed");
    Ok(())
}

/// Every heap's node is in them; what is there already is kept.
fn probe() -> Outcome {
    let text = said("probe", 0)?;
    for node in ["default_cma_region", "camera@54000000", "fixed@58000000", "system"] {
        assert!(text.contains(node), "{node} is missing in:\n{text}");
    }
    let folder = format!("/tmp/probed-{}", std::process::id());
    said(&format!("probe --out {folder}"), 0)?;
    let policy = fs::read_to_string(format!("{folder}/heaps.toml"))?;
    assert!(policy.contains("camera@54000000"), "{policy}");
    said(&format!("probe --out {folder}"), 2)?;
    Ok(fs::remove_dir_all(folder)?)
}

fn check() -> Outcome {
    assert_eq!(said(&format!("check {POLICY}"), 0)?, "files: 1, errors: 0, warnings: 0\n");
    let findings: Value = serde_json::from_str(&said(&format!("check --json {POLICY}"), 0)?)?;
    assert_eq!(findings, Value::Array(Vec::new()));
    Ok(())
}
