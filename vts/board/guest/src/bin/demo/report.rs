// SPDX-License-Identifier: Apache-2.0
//! What the demonstration found, as a table for people and as JSON for tests.

use std::io;
use std::ops::Range;

use comfy_table::{Table, presets};
use dmaheap_suite::client::Buffer;
use serde_json::{Value, json};

use crate::camera;
use crate::consumers::Consumer;

/// One buffer.
pub struct Row {
    what: &'static str,
    usage: String,
    format: &'static str,
    width: u32,
    height: u32,
    bytes: usize,
    rule: String,
    heap: String,
    /// As the kernel names the exporter.
    node: String,
    segments: Vec<Range<u64>>,
}

/// One attempt of the camera.
pub struct Capture {
    what: &'static str,
    heap: String,
    segments: usize,
    outcome: Result<usize, camera::Error>,
}

/// The whole demonstration.
pub struct Report {
    pub rows: Vec<Row>,
    pub captures: Vec<Capture>,
    pub consumers: Vec<Consumer>,
}

impl Row {
    pub fn new(what: &'static str, buffer: &Buffer) -> io::Result<Self> {
        let layout = &buffer.handle.layout;
        let node = buffer.pixels.exporter()?;
        let origin = &buffer.header.origin;
        if origin.node != node {
            let (claimed, what) = (&origin.node, &origin.name);
            return Err(io::Error::other(format!(
                "the allocator says that '{what}' came from {claimed}, the kernel says {node}"
            )));
        }
        Ok(Self {
            what,
            usage: buffer.handle.usage.to_string(),
            format: layout.format().name(),
            width: layout.extent().width().0,
            height: layout.extent().height().0,
            bytes: buffer.pixels.size()?,
            rule: origin.rule.clone(),
            heap: origin.heap.clone(),
            node,
            segments: buffer.pixels.physical_segments()?,
        })
    }
}

impl Capture {
    pub fn new(
        what: &'static str,
        buffers: &[Buffer],
        outcome: Result<usize, camera::Error>,
    ) -> io::Result<Self> {
        let mut segments = 0;
        for buffer in buffers {
            segments = segments.max(buffer.pixels.physical_segments()?.len());
        }
        let heap = buffers.first().map(|b| b.header.origin.heap.clone()).unwrap_or_default();
        Ok(Self { what, heap, segments, outcome })
    }

    fn outcome(&self) -> String {
        match &self.outcome {
            Ok(frames) => format!("captured {frames} frames"),
            Err(error) => error.to_string(),
        }
    }
}

impl Report {
    pub fn text(&self) -> String {
        let mut buffers = table(&[
            "buffer",
            "usage",
            "format and size",
            "rule\nheap\nheap's node",
            "physical\nsegments",
        ]);
        for row in &self.rows {
            let (width, height, kib) = (row.width, row.height, row.bytes / 1024);
            buffers.add_row([
                row.what.to_owned(),
                row.usage.replace('|', "\n"),
                format!("{}\n{width} x {height}\n{kib} KiB", row.format),
                format!("{}\n{}\n{}", row.rule, row.heap, row.node),
                segments_text(&row.segments),
            ]);
        }
        let mut captures =
            table(&["camera captures into", "heap", "physical\nsegments", "outcome"]);
        for capture in &self.captures {
            captures.add_row([
                capture.what.to_owned(),
                capture.heap.clone(),
                capture.segments.to_string(),
                capture.outcome(),
            ]);
        }
        let mut consumers = table(&["device", "is given", "heap", "physical\nsegments", "outcome"]);
        for consumer in &self.consumers {
            let (Ok(outcome) | Err(outcome)) = &consumer.outcome;
            consumers.add_row([
                consumer.device.to_owned(),
                consumer.buffer.to_owned(),
                consumer.heap.clone(),
                consumer.segments.to_string(),
                outcome.clone(),
            ]);
        }
        format!("{buffers}\n\n{captures}\n\n{consumers}")
    }

    pub fn json(&self) -> String {
        let rows: Vec<Value> = self.rows.iter().map(row_json).collect();
        let captures: Vec<Value> = self.captures.iter().map(capture_json).collect();
        let consumers: Vec<Value> = self.consumers.iter().map(consumer_json).collect();
        json!({ "buffers": rows, "captures": captures, "consumers": consumers }).to_string()
    }
}

fn row_json(row: &Row) -> Value {
    json!({
        "buffer": row.what,
        "usage": row.usage,
        "format": row.format,
        "width": row.width,
        "height": row.height,
        "bytes": row.bytes,
        "rule": row.rule,
        "heap": row.heap,
        "node": row.node,
        "segments": row.segments.len(),
    })
}

fn capture_json(capture: &Capture) -> Value {
    json!({
        "buffer": capture.what,
        "heap": capture.heap,
        "segments": capture.segments,
        "frames": capture.outcome.as_ref().ok(),
        "refused": capture.outcome.as_ref().err().map(camera::Error::to_string),
    })
}

fn consumer_json(consumer: &Consumer) -> Value {
    json!({
        "device": consumer.device,
        "buffer": consumer.buffer,
        "heap": consumer.heap,
        "segments": consumer.segments,
        "outcome": consumer.outcome.as_ref().ok(),
        "refused": consumer.outcome.as_ref().err(),
    })
}

fn table(header: &[&str]) -> Table {
    let mut table = Table::new();
    table.load_style(presets::UTF8_HORIZONTAL_ONLY).set_header(header);
    table
}

/// How many, and where the first one is.
fn segments_text(segments: &[Range<u64>]) -> String {
    match segments {
        [only] => format!("1\nat {:#x}", only.start),
        [first, ..] => format!("{}\nfrom {:#x}", segments.len(), first.start),
        [] => "none".to_owned(),
    }
}
