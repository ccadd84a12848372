// SPDX-License-Identifier: Apache-2.0
//! What a device says at one moment: the driver's maps, the service's list of buffers and its dump, as
//! [`SCRIPT`] prints them. Each part may be missing: production builds have no debugfs, other devices
//! not this driver.

use dmaheap_allocator::dump::buffers::BufferReport;
use dmaheap_dmabuf::map::{self, Extent};
use serde_json::Value;

/// For a shell of the device, as root. A line that begins with `= ` is a heading.
pub const SCRIPT: &str = "\
    A=/vendor/bin/hw/android.hardware.graphics.allocator-service.dmaheap; \
    for M in /sys/kernel/debug/dmaheap/*/map; do \
        R=${M%/map}; echo \"= map ${R##*/}\"; cat \"$M\"; \
    done; \
    echo '= buffers'; $A dump --buffers --json; \
    echo '= dump'; $A dump --json";

/// All of it.
#[derive(Debug, Default)]
pub struct Snapshot {
    /// The driver's regions, by their names.
    pub regions: Vec<(String, Vec<Extent>)>,
    /// The dma-bufs that live.
    pub buffers: Vec<BufferReport>,
    /// The last refusal of each heap that has one.
    pub refusals: Vec<(String, String)>,
}

impl Snapshot {
    /// Reads what the script printed.
    ///
    /// # Errors
    /// Which part is not what it should be.
    pub fn parse(text: &str) -> Result<Snapshot, String> {
        let mut snapshot = Snapshot::default();
        for part in format!("\n{text}").split("\n= ").skip(1) {
            let (heading, body) = part.split_once('\n').unwrap_or((part, ""));
            let wrong = |error: &dyn std::fmt::Display| format!("{heading}: {error}");
            match heading.split_once(' ') {
                Some(("map", region)) => {
                    let extents = map::parse(body).map_err(|error| wrong(&error))?;
                    snapshot.regions.push((region.to_owned(), extents));
                }
                _ if heading == "buffers" => {
                    let buffers = body.lines().map(serde_json::from_str);
                    snapshot.buffers = buffers.collect::<Result<_, _>>().map_err(|e| wrong(&e))?;
                }
                _ if heading == "dump" && !body.trim().is_empty() => {
                    let dump: Value = serde_json::from_str(body).map_err(|error| wrong(&error))?;
                    snapshot.refusals = refusals(&dump);
                }
                _ => {}
            }
        }
        Ok(snapshot)
    }
}

fn refusals(dump: &Value) -> Vec<(String, String)> {
    let heaps = dump["heaps"].as_array().into_iter().flatten();
    let refusal = |heap: &Value| {
        Some((heap["name"].as_str()?.to_owned(), heap["last_failure"].as_str()?.to_owned()))
    };
    heaps.filter_map(refusal).collect()
}

#[cfg(test)]
pub(crate) mod tests {
    use super::*;

    /// A camera's and an app's buffers in one region, and another region that is free.
    pub fn text() -> String {
        let buffer =
            |inode: u64, uid: u32, process: &str, name: &str, size: u64, metadata: bool| {
                format!(
                    "{{\"inode\":{inode},\"metadata\":{metadata},\"name\":\"{name}\",\"uid\":{uid},\
                 \"context\":\"u:r:untrusted_app:s0\",\"pid\":7,\"process\":{process},\"at\":1.5,\
                 \"rule\":\"camera\",\"heap\":\"{}\",\"size\":{size},\"address\":null,\
                 \"format\":\"YCBCR_420_888\",\"width\":64,\"height\":32,\"layers\":1,\
                 \"usage\":\"CAMERA_OUTPUT\"}}\n",
                    if metadata { "system" } else { "camera" }
                )
            };
        [
            "= map camera@54000000\n0x54000000 1048576 buffer 71 1047 Preview 64x32\n\
             0x54100000 1048576 dirty\n0x54200000 2097152 clean\n\
             0x54400000 1048576 buffer 72 10123 <b>&\n0x54500000 3145728 clean\n\
             = map default_cma_region\n0x78000000 4194304 free\n0x78400000 4194304 busy\n\
             = buffers\n",
            &buffer(71, 1047, "\"cameraserver\"", "Preview", 1 << 20, false),
            &buffer(72, 10123, "null", "<b>&", 1 << 20, false),
            &buffer(73, 1047, "\"cameraserver\"", "Preview", 4096, true),
            "= dump\n{\"heaps\":[{\"name\":\"camera\",\"last_failure\":\"heap camera is full\"},\
             {\"name\":\"system\",\"last_failure\":null}]}\n",
        ]
        .concat()
    }

    #[test]
    fn all_parts_are_read() {
        let snapshot = Snapshot::parse(&text()).unwrap();
        assert_eq!((snapshot.regions.len(), snapshot.buffers.len()), (2, 3));
        assert_eq!(snapshot.regions[0].1.len(), 5);
        assert_eq!(snapshot.refusals, [("camera".to_owned(), "heap camera is full".to_owned())]);
        assert!(Snapshot::parse("").unwrap().regions.is_empty());
        assert!(Snapshot::parse("= buffers\n= dump\n").unwrap().buffers.is_empty());
    }

    #[test]
    fn part_that_is_wrong_is_named() {
        for (text, part) in
            [("= map r\nx\n", "map r"), ("= buffers\nx\n", "buffers"), ("= dump\nx", "dump")]
        {
            assert!(Snapshot::parse(text).unwrap_err().starts_with(part), "{text}");
        }
    }
}
