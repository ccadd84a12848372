// SPDX-License-Identifier: Apache-2.0
//! The two kinds of consumers between whom a heap is chosen: a display that scans out one range of
//! physical memory (QEMU's ramfb), and a device behind an IOMMU, as GPUs are.

use std::error::Error;
use std::fs::File;
use std::io::{self, Read, Seek, SeekFrom};
use std::os::unix::fs::OpenOptionsExt;

use dmaheap_suite::client::{Buffer, Client};
use dmaheap_suite::compositor::{self, Stream};
use dmaheap_suite::display::Display;
use dmaheap_suite::dmabuf::PCI_PROBE;
use dmaheap_suite::heap::scattered;
use nix::libc::O_NONBLOCK;

use crate::{FRAMEBUFFER, WINDOW};

/// A device that was given a buffer.
pub struct Consumer {
    pub device: &'static str,
    pub buffer: &'static str,
    pub heap: String,
    pub segments: usize,
    /// What it did, or how it refused.
    pub outcome: Result<String, String>,
}

impl Consumer {
    fn new(
        device: &'static str,
        name: &'static str,
        buffer: &Buffer,
        outcome: Result<String, String>,
    ) -> io::Result<Self> {
        let segments = buffer.pixels.physical_segments()?.len();
        let heap = buffer.header.origin.heap.clone();
        Ok(Self { device, buffer: name, heap, segments, outcome })
    }

    /// The display, with a camera's frame on it.
    pub fn camera(frame: &Buffer, stream: &Stream) -> io::Result<Self> {
        let outcome = format!("{} frames shown where they were captured", stream.shown);
        Self::new("display", "camera frames", frame, Ok(outcome))
    }
}

/// Both devices, each with a framebuffer and an app's window of the same size.
pub fn display_and_gpu(client: &Client) -> Result<Vec<Consumer>, Box<dyn Error>> {
    let framebuffer = compositor::buffer(client, "framebuffer", FRAMEBUFFER)?;
    let window = || compositor::buffer(client, "window", WINDOW);
    let window = scattered(window, |window| &window.pixels)?;
    let display = Display::open()?;
    let mut consumers = Vec::new();
    for (name, buffer) in [("framebuffer", &framebuffer), ("app window", &window)] {
        consumers.push(Consumer::new("display", name, buffer, show(&display, buffer)?)?);
    }
    for (name, buffer) in [("framebuffer", &framebuffer), ("app window", &window)] {
        let ranges = buffer.pixels.segments(PCI_PROBE)?.len();
        let outcome = Ok(format!("IOMMU ranges: {ranges}"));
        consumers.push(Consumer::new("GPU", name, buffer, outcome)?);
    }
    Ok(consumers)
}

/// Shows it, or says how the display refused, with its driver's own words.
fn show(display: &Display, buffer: &Buffer) -> Result<Result<String, String>, Box<dyn Error>> {
    let mut log = File::options().read(true).custom_flags(O_NONBLOCK).open("/dev/kmsg")?;
    log.seek(SeekFrom::End(0))?;
    let shown = compositor::import(display, buffer).and_then(|frame| Ok(frame.show()?));
    Ok(match shown {
        Ok(()) => Ok("shown".to_owned()),
        Err(error) => Err(format!("{error}{}", words(log))),
    })
}

/// What drivers have said since, each in a line of its own.
fn words(mut log: File) -> String {
    let mut words = String::new();
    let mut record = [0; 8192];
    // A record is read at once; after the last one there is nothing to wait for.
    while let Ok(length @ 1..) = log.read(&mut record) {
        let record = String::from_utf8_lossy(&record[..length]);
        if let Some((_, said)) = record.split_once("*ERROR* ") {
            words += "\n";
            words += &said.lines().next().unwrap_or_default().replace(", ", ",\n");
        }
    }
    words
}
