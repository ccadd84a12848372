// SPDX-License-Identifier: Apache-2.0
//! Becomes a process of another SELinux domain and tries what that may do with heaps.
//!
//! `suite-access CONTEXT NODE…` opens the nodes while it still may, takes on CONTEXT (and the user
//! and group of the nodes, so that where their mode permits all, only SELinux is left to refuse), and reports for each node one
//! line: its name, its label, and `open`, `ioctl`, `read`, `write` with `yes` or `no`.
//! `suite-access --buffer CONTEXT` allocates over binder as that domain, and uses the buffer.

use std::error::Error;
use std::fs::File;
use std::io;
use std::process::ExitCode;

use dmaheap_buffer::{Format, Usage};
use dmaheap_suite::client::{Client, Request};
use dmaheap_suite::harness::take_on;
use dmaheap_suite::heap::Heap;
use nix::unistd::{AccessFlags, Gid, Uid, access, setgid, setgroups, setuid};

/// Android's ids of the heaps' owners.
const SYSTEM: Uid = Uid::from_raw(1000);
const GRAPHICS: Gid = Gid::from_raw(1003);

type Result<T> = std::result::Result<T, Box<dyn Error>>;

fn main() -> ExitCode {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let done = match arguments.as_slice() {
        [word, context] if word == "--buffer" => use_buffer(context),
        [context, nodes @ ..] => try_nodes(context, nodes),
        [] => Err("usage: suite-access [--buffer] CONTEXT NODE…".into()),
    };
    match done {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("suite-access: {error}");
            ExitCode::FAILURE
        }
    }
}

/// From here on this process is another; it must not have threads yet.
fn become_another(context: &str) -> Result<()> {
    setgroups(&[GRAPHICS])?;
    setgid(GRAPHICS)?;
    setuid(SYSTEM)?;
    take_on(context)
}

fn try_nodes(context: &str, nodes: &[String]) -> Result<()> {
    let mut opened = Vec::new();
    for node in nodes {
        let path = Heap::path(node);
        let label = xattr::get(&path, "security.selinux")?.unwrap_or_default();
        let file = File::options().read(true).write(true).open(&path)?;
        opened.push((node, String::from_utf8(label)?, file));
    }
    become_another(context)?;
    for (node, label, file) in opened {
        let path = Heap::path(node);
        let open = permitted(File::open(&path))?;
        // The device has nothing to read or write, and would say so before SELinux is asked.
        let read = permitted(access(&path, AccessFlags::R_OK).map_err(io::Error::from))?;
        let write = permitted(access(&path, AccessFlags::W_OK).map_err(io::Error::from))?;
        let ioctl = permitted(Heap::of(node, file).allocate(4096))?;
        let label = label.trim_end_matches('\0');
        println!("{node} {label} open={open} ioctl={ioctl} read={read} write={write}");
    }
    Ok(())
}

/// Whether SELinux let it through; what the device then said to it does not matter.
fn permitted<T>(result: io::Result<T>) -> Result<&'static str> {
    match result.map_err(|e| e.kind()) {
        Err(io::ErrorKind::PermissionDenied) => Ok("no"),
        Ok(_) => Ok("yes"),
        Err(other) => Err(format!("neither permitted nor refused: {other}").into()),
    }
}

/// Draws into a buffer that came from a heap which this domain may not touch.
fn use_buffer(context: &str) -> Result<()> {
    become_another(context)?;
    let buffer = Client::connect()?.allocate(&Request {
        name: "window",
        width: 64,
        height: 64,
        format: Format::from_name("RGBA_8888")?,
        usage: Usage::COMPOSER_CLIENT_TARGET | Usage::CPU_WRITE_OFTEN | Usage::CPU_READ_OFTEN,
    })?;
    let mut map = buffer.pixels.map()?;
    map.fill(|offset| offset as u8)?;
    let intact = map.read()?.iter().enumerate().all(|(offset, byte)| *byte == offset as u8);
    let node = &buffer.header.origin.node;
    match (intact, File::open(Heap::path(node))) {
        (false, _) => Err("the buffer does not keep what was drawn".into()),
        (_, Ok(_)) => Err(format!("{context} may open {node} itself").into()),
        (true, Err(_)) => {
            println!("drew into a buffer of {node}, and may not open it");
            Ok(())
        }
    }
}
