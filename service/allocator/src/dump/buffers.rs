// SPDX-License-Identifier: Apache-2.0
//! Every live buffer, by name: who asked for it, when, and by which rule it is
//! where it is.
//!
//! The service says what it knows. It looks into no other process, and not into
//! the driver: that takes privileges which it has no other use for. Who asks by
//! `allocator dump` has them, mostly, and adds the rest.

use std::fmt;

use dmaheap_aidl::binder::Caller;
use dmaheap_buffer::Format;
use serde::{Deserialize, Serialize};

use super::Reader;
use crate::Allocator;
use crate::accounts::{Asked, Entry, Holdings, Kind};
use crate::policy::HeapId;

/// A dma-buf that lives, of pixels or of metadata.
#[derive(Debug, Serialize, Deserialize)]
pub struct BufferReport {
    /// The number of its file, as the kernel's lists, traces and `fdinfo` have it.
    pub inode: u64,
    /// Whether it is the metadata of another one that was asked for.
    pub metadata: bool,
    /// What the client calls it.
    pub name: String,
    /// Who asked for it.
    pub uid: u32,
    /// In which SELinux context, where that is known.
    pub context: Option<String>,
    /// Which process called.
    pub pid: i32,
    /// What that is called, if it still lives; the service leaves this open.
    pub process: Option<String>,
    /// When it was asked for, in seconds since boot.
    pub at: f64,
    /// By which rule it is where it is.
    pub rule: String,
    /// Where that is.
    pub heap: String,
    /// Bytes, in whole pages.
    pub size: u64,
    /// Where it begins in physical memory; the service leaves this open.
    pub address: Option<u64>,
    /// What was asked for: the format,
    pub format: String,
    /// the size in pixels,
    pub width: u32,
    /// and lines,
    pub height: u32,
    /// the layers,
    pub layers: u32,
    /// and what for.
    pub usage: String,
}

/// Bytes that are written at once: there may be megabytes, and no need to have them all.
const PIECE: usize = 16 * 1024;

/// All that this reader may see, a line for each, as text or as JSON; in pieces of
/// whole lines.
///
/// # Errors
/// If it cannot be found out what lives.
pub fn pieces(
    allocator: &Allocator,
    reader: Reader,
    json: bool,
) -> std::io::Result<impl Iterator<Item = String>> {
    let live = allocator.accounts().live()?.into_iter();
    let visible = live.filter(move |holdings| reader.may_see(holdings.caller.uid));
    let mut lines = visible.flat_map(move |Holdings { caller, heap, entries }| {
        let report = move |entry| BufferReport::new(allocator, &caller, heap, &entry);
        entries.into_iter().map(move |entry| report(entry).line(json))
    });
    Ok(std::iter::from_fn(move || {
        let mut piece = lines.next()?;
        while piece.len() < PIECE
            && let Some(line) = lines.next()
        {
            piece.push_str(&line);
        }
        Some(piece)
    }))
}

impl BufferReport {
    fn new(allocator: &Allocator, caller: &Caller, heap: HeapId, entry: &Entry) -> BufferReport {
        let policy = allocator.policy();
        let Asked { name, extent, format, usage, rule, pid, at } = &*entry.asked;
        let rule = policy.rules.get(rule.0).map(|rule| rule.name.clone());
        BufferReport {
            inode: entry.inode,
            metadata: entry.kind == Kind::Metadata,
            name: name.to_string(),
            uid: caller.uid,
            context: caller.context.clone(),
            pid: *pid,
            process: None,
            at: at.as_secs_f64(),
            rule: rule.unwrap_or_default(),
            heap: policy.heaps.of(heap).name.clone(),
            size: entry.size.0,
            address: None,
            format: Format::new(*format)
                .map_or("IMPLEMENTATION_DEFINED".to_owned(), |format| format.to_string()),
            width: extent.width().0,
            height: extent.height().0,
            layers: extent.layers(),
            usage: usage.to_string(),
        }
    }

    /// One line, with its end.
    pub fn line(&self, json: bool) -> String {
        match json {
            // Strings, numbers and no map: it can always be put into JSON.
            true => serde_json::to_string(self).unwrap_or_default() + "\n",
            false => format!("{self}\n"),
        }
    }
}

impl fmt::Display for BufferReport {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let kind = if self.metadata { "metadata" } else { "pixels" };
        let address = self.address.map_or(String::new(), |address| format!(" at {address:#x}"));
        let process = self.process.as_ref().map_or(String::new(), |name| format!(" ({name})"));
        let BufferReport { inode, size, heap, rule, uid, pid, at, .. } = self;
        let context = self.context.as_deref().unwrap_or("-");
        let BufferReport { width, height, layers, format, usage, name, .. } = self;
        write!(
            f,
            "{inode} {kind} of {size} bytes{address} of heap {heap} by rule {rule:?} for uid {uid} {context} pid {pid}{process} at {at:.3} s: {width} x {height} x {layers} {format} for {usage} {name:?}"
        )
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn line_says_who_has_what_where_and_why() {
        let json = r#"{"inode":7,"metadata":false,"name":"Preview","uid":10123,
            "context":"u:r:untrusted_app:s0","pid":345,"process":"com.example","at":12.3456,
            "rule":"camera","heap":"camera","size":8192,"address":1409286144,
            "format":"YCBCR_420_888","width":64,"height":32,"layers":1,"usage":"CAMERA_OUTPUT"}"#;
        let report: BufferReport = serde_json::from_str(json).unwrap();
        assert_eq!(
            report.line(false),
            "7 pixels of 8192 bytes at 0x54000000 of heap camera by rule \"camera\" for uid 10123 \
             u:r:untrusted_app:s0 pid 345 (com.example) at 12.346 s: 64 x 32 x 1 YCBCR_420_888 \
             for CAMERA_OUTPUT \"Preview\"\n"
        );
        let again: BufferReport = serde_json::from_str(&report.line(true)).unwrap();
        assert_eq!(again.line(true), report.line(true));
    }
}
