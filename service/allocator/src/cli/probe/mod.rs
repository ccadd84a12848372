// SPDX-License-Identifier: Apache-2.0
//! `allocator probe`: a board's first files, from what the device has.
//!
//! What can be seen is written as it is; what only a person knows (who gets
//! which memory, how much is whose) is written as a guess under a comment that
//! says DECIDE. `allocator check` then holds the files against one another.

mod text;

use std::fs;
use std::io::{self, Write};
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};

use dmaheap_buffer::Bytes;
use dmaheap_dmabuf::node::{FOLDER, TWIN, is_systems, selinux_type};
use dmaheap_dmabuf::{kernel, sys};

use super::{Arguments, Done, Outcome};
use crate::Error;

/// The kernel's copy of its device tree: properties are files.
const RESERVED: &str = "/proc/device-tree/reserved-memory";

/// What a device has.
#[derive(Debug, Default)]
struct Seen {
    nodes: Vec<Node>,
    /// What could not be seen, each with the reason.
    unseen: Vec<String>,
}

/// A heap's node.
#[derive(Debug)]
struct Node {
    name: String,
    /// Permission bits.
    mode: u32,
    uid: u32,
    gid: u32,
    /// Its SELinux type.
    label: Option<String>,
    /// All that there is of it, if that has an end.
    size: Option<Bytes>,
}

pub(super) fn run(mut arguments: Arguments) -> Done {
    let folder = arguments.option("--out")?.map(PathBuf::from);
    arguments.finish()?;
    let seen = Seen::here()?;
    let files = text::files(&seen);
    let Some(folder) = folder else {
        let mut out = io::stdout();
        for (name, text) in &files {
            write!(out, "---- {name}\n{text}")?;
        }
        return Ok(Outcome::Good);
    };
    for (name, text) in &files {
        let path = folder.join(name);
        write_new(&path, text).map_err(|cause| Error::File { path, cause })?;
    }
    seen.unseen.iter().for_each(|what| log::warn!("not seen: {what}"));
    Ok(Outcome::Good)
}

/// Writes a file that is not there yet: what a person has decided stays.
fn write_new(path: &Path, text: &str) -> io::Result<()> {
    path.parent().map_or(Ok(()), fs::create_dir_all)?;
    fs::File::create_new(path)?.write_all(text.as_bytes())
}

impl Seen {
    fn here() -> Result<Seen, Error> {
        let unreadable = |cause| Error::File { path: FOLDER.into(), cause };
        let mut seen = Seen::default();
        for entry in fs::read_dir(FOLDER).map_err(unreadable)?.flatten() {
            let Ok(name) = entry.file_name().into_string() else { continue };
            let node = match entry.metadata() {
                Ok(node) => node,
                Err(error) => {
                    seen.unseen.push(format!("{FOLDER}/{name}: {error}"));
                    continue;
                }
            };
            let label = sys::label(&entry.path());
            let label = label.as_deref().and_then(selinux_type);
            let size = if is_systems(&name) { None } else { seen.size(&name) };
            seen.nodes.push(Node {
                mode: node.mode() & 0o777,
                uid: node.uid(),
                gid: node.gid(),
                label: label.map(str::to_owned),
                size,
                name,
            });
        }
        seen.nodes.sort_by(|a, b| a.name.cmp(&b.name));
        Ok(seen)
    }

    /// Of a heap's region: what its driver says, or the device tree.
    fn size(&mut self, heap: &str) -> Option<Bytes> {
        if let Ok(region) = kernel::region(heap) {
            return Some(Bytes(region.size));
        }
        let size = size_of(Path::new(RESERVED), heap);
        if let Err(error) = &size {
            self.unseen.push(format!("the size of {heap}: {error}"));
        }
        size.ok()
    }
}

/// What the nodes of the default area may be called.
const DEFAULT: [&str; 4] = ["default_cma_region", "linux,cma", "reserved", "default-pool"];

/// The size of the region that a heap is named after, or of the default one.
fn size_of(reserved: &Path, heap: &str) -> io::Result<Bytes> {
    // A twin shares its region's memory.
    let heap = heap.strip_suffix(TWIN).unwrap_or(heap);
    let mut region = reserved.join(heap);
    if !region.exists() && DEFAULT.contains(&heap) {
        let mut all = fs::read_dir(reserved)?.flatten().map(|entry| entry.path());
        let default = all.find(|node| node.join("linux,cma-default").exists());
        region = default.unwrap_or(region);
    }
    let size = fs::read(region.join("size")).or_else(|_| {
        let cells = fs::read(reserved.join("#address-cells"))?;
        let address = usize::try_from(number(&cells)).unwrap_or(2).saturating_mul(4);
        let reg = fs::read(region.join("reg")).map_err(|error| {
            io::Error::new(error.kind(), format!("{}: {error}", region.display()))
        })?;
        Ok::<_, io::Error>(reg.get(address..).unwrap_or_default().to_vec())
    })?;
    Ok(Bytes(number(&size)))
}

/// Of one or two cells.
fn number(cells: &[u8]) -> u64 {
    cells.iter().fold(0, |number, byte| number << 8 | u64::from(*byte))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_region_has_the_size_that_the_device_tree_says() {
        let tree = tempfile::tempdir().unwrap();
        let put = |path: &str, bytes: &[u8]| {
            let path = tree.path().join(path);
            fs::create_dir_all(path.parent().unwrap()).unwrap();
            fs::write(path, bytes).unwrap();
        };
        put("#address-cells", &[0, 0, 0, 2]);
        put("isp@50000000/reg", &[0, 0, 0, 0, 0x50, 0, 0, 0, 0, 0, 0, 0, 4, 0, 0, 0]);
        put("linux,cma/size", &[8, 0, 0, 0]);
        put("linux,cma/linux,cma-default", &[]);
        assert_eq!(size_of(tree.path(), "isp@50000000").unwrap(), Bytes(64 << 20));
        assert_eq!(size_of(tree.path(), "default_cma_region").unwrap(), Bytes(128 << 20));
        let error = size_of(tree.path(), "vpu").unwrap_err().to_string();
        assert!(error.contains("/vpu: "), "{error}");
    }

    #[test]
    fn what_a_person_has_decided_is_not_written_over() {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("sepolicy/heaps.te");
        write_new(&file, "first").unwrap();
        assert_eq!(write_new(&file, "second").unwrap_err().kind(), io::ErrorKind::AlreadyExists);
        assert_eq!(fs::read_to_string(&file).unwrap(), "first");
    }
}
