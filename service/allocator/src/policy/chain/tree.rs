// SPDX-License-Identifier: Apache-2.0
//! Device trees, each laid over the ones before it, as a boot loader lays overlays over a base.
//!
//! What is read is dtc's output, so that labels, includes and arithmetic mean here what they mean to
//! the kernel; of a source dtc makes that first. A blob has no lines: those come from the sources.

use std::collections::BTreeMap;
use std::io;
use std::ops::Range;
use std::path::{Path, PathBuf};
use std::process::Command;

use super::blob::{self, Properties};
use super::{Place, Text};
use crate::error::{Error, Result};

/// Every node by its path, and what the trees reserve without one.
#[derive(Debug, Default)]
pub(super) struct Tree {
    nodes: BTreeMap<String, Node>,
    /// Of `/memreserve/`.
    pub reserved: Vec<Range<u64>>,
    sources: Vec<Text>,
}

/// A node.
#[derive(Debug, Default)]
pub(super) struct Node {
    properties: Properties,
    /// The first file that has it.
    file: String,
}

impl Tree {
    /// Reads blobs and sources, in the order in which they are laid over one another.
    ///
    /// # Errors
    /// [`Error::File`] for one that cannot be read, and for an overlay that goes to a label of a tree
    /// that is not given.
    pub fn read(paths: &[PathBuf]) -> Result<Tree> {
        let mut tree = Tree::default();
        for path in paths {
            tree.lay(path).map_err(|cause| Error::File { path: path.clone(), cause })?;
        }
        Ok(tree)
    }

    fn lay(&mut self, path: &Path) -> io::Result<()> {
        let name = path.display().to_string();
        let mut bytes = std::fs::read(path)?;
        if !blob::is_one(&bytes) {
            self.sources.push((name.clone(), String::from_utf8_lossy(&bytes).into_owned()));
            bytes = compiled(path)?;
        }
        let damaged = || io::Error::other("this blob is cut or damaged");
        let (root, reserved) = blob::read(&bytes).ok_or_else(damaged)?;
        self.reserved.extend(reserved);
        let mut is_overlay = false;
        for fragment in &root.children {
            if let Some(overlay) = fragment.child("__overlay__") {
                is_overlay = true;
                self.add(overlay, &self.target(fragment, &root)?, &name);
            }
        }
        if !is_overlay {
            self.add(&root, "", &name);
        }
        Ok(())
    }

    /// The path that an overlay's fragment goes to.
    fn target(&self, fragment: &blob::Node, root: &blob::Node) -> io::Result<String> {
        if let Some(path) = fragment.properties.get("target-path") {
            return Ok(text(path).trim_end_matches('/').to_owned());
        }
        let mut fixups = root.child("__fixups__").into_iter().flat_map(|fixups| &fixups.properties);
        let uses = format!("/{}:target:0", fragment.name);
        let label = fixups.find(|(_, all)| texts(all).any(|each| each == uses));
        let label = label.map_or("", |(label, _)| label);
        let symbols = self.nodes.get("/__symbols__");
        let path = symbols.and_then(|symbols| symbols.properties.get(label));
        path.map(|path| text(path).to_owned()).ok_or_else(|| {
            io::Error::other(format!(
                "{} goes to the label {label:?}, which no tree before it has: name the tree that \
                 it is for first, made with `dtc -@`",
                fragment.name
            ))
        })
    }

    fn add(&mut self, node: &blob::Node, path: &str, file: &str) {
        let own = self.nodes.entry(path.to_owned()).or_default();
        if own.file.is_empty() {
            file.clone_into(&mut own.file);
        }
        own.properties.extend(node.properties.clone());
        for child in &node.children {
            self.add(child, &format!("{path}/{}", child.name), file);
        }
    }

    /// The node at this path; the root's is empty.
    pub fn node(&self, path: &str) -> Option<&Node> {
        self.nodes.get(path)
    }

    /// The nodes right below this path, with their names.
    pub fn children<'t>(&'t self, path: &str) -> impl Iterator<Item = (&'t str, &'t Node)> {
        let below = format!("{path}/");
        self.nodes.iter().filter_map(move |(path, node)| {
            let name = path.strip_prefix(&below)?;
            (!name.contains('/')).then_some((name, node))
        })
    }

    /// Where a node of this name is written: the last source that has it, or the first line of a
    /// blob.
    pub fn place(&self, name: &str, node: &Node) -> Place {
        let opens = |line: &str| {
            let line = line.split_once(':').map_or(line, |(_, behind)| behind).trim();
            line.strip_prefix(name).is_some_and(|rest| rest.trim_start().starts_with('{'))
        };
        let written = self.sources.iter().rev().find_map(|(file, text)| {
            let (line, _) = (1..).zip(text.lines()).find(|(_, line)| opens(line))?;
            Some(Place { file: file.clone(), line })
        });
        written.unwrap_or_else(|| Place { file: node.file.clone(), line: 1 })
    }
}

impl Node {
    /// Whether it has the property.
    pub fn has(&self, property: &str) -> bool {
        self.properties.contains_key(property)
    }

    /// Whether one of the property's texts is this.
    pub fn says(&self, property: &str, wanted: &str) -> bool {
        self.properties.get(property).is_some_and(|value| texts(value).any(|each| each == wanted))
    }

    /// Whether the kernel takes it for there.
    pub fn is_available(&self) -> bool {
        !self.has("status") || self.says("status", "okay") || self.says("status", "ok")
    }

    /// The property's cells, of 32 bits.
    pub fn cells(&self, property: &str) -> Vec<u32> {
        let value = self.properties.get(property).map_or(&[][..], Vec::as_slice);
        value.as_chunks().0.iter().map(|cell| u32::from_be_bytes(*cell)).collect()
    }
}

/// The texts of a property, of which each ends with a zero.
fn texts(value: &[u8]) -> impl Iterator<Item = &str> {
    value.split(|byte| *byte == 0).filter_map(|text| std::str::from_utf8(text).ok())
}

fn text(value: &[u8]) -> &str {
    texts(value).next().unwrap_or_default()
}

/// What dtc makes of a source.
fn compiled(source: &Path) -> io::Result<Vec<u8>> {
    let mut dtc = Command::new("dtc");
    let output = dtc.args(["-@", "-q", "-q", "-I", "dts", "-O", "dtb"]).arg(source).output();
    let output = output.map_err(|error| {
        io::Error::other(format!("dtc, of Debian's device-tree-compiler, reads sources: {error}"))
    })?;
    match output.status.success() {
        true => Ok(output.stdout),
        false => Err(io::Error::other(format!(
            "dtc: {}; of sources with #include name the kernel's blob",
            String::from_utf8_lossy(&output.stderr).trim_end()
        ))),
    }
}
