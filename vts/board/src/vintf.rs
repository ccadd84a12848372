// SPDX-License-Identifier: Apache-2.0
//! What the board declares: the instances in the VINTF manifests of its image.
//!
//! Android's service manager reads the manifests itself. The board's reads files of its own kind,
//! which are written from the same manifests here: what a device ships is what is declared.

use std::fs;
use std::path::{Path, PathBuf};

use roxmltree::{Document, Node};

use crate::error::{Error, OnFile, Result};

/// Everybody may add, find and list: who may is SELinux's to say, of which the board's service
/// manager knows nothing.
const RULES: &str =
    "[global]\nlist = \"any\"\n[[rule]]\nname = \"*\"\nadd = \"any\"\nfind = \"any\"\n";

/// The service manager's configuration for what these manifests declare.
///
/// # Errors
/// If one cannot be read or is no manifest.
pub fn configuration(manifests: &[PathBuf]) -> Result<String> {
    let mut text = RULES.to_owned();
    for manifest in manifests {
        for name in instances(manifest)? {
            text.push_str(&format!("[[service]]\nname = \"{name}\"\n"));
        }
    }
    Ok(text)
}

/// The instances that a manifest declares, as clients ask for them: `package.IName/instance` of
/// AIDL, `name/instance` of native HALs.
///
/// # Errors
/// If it cannot be read or is no manifest.
pub fn instances(manifest: &Path) -> Result<Vec<String>> {
    let text = fs::read_to_string(manifest).on("cannot read", manifest)?;
    let wrong = |why: String| Error::Usage(format!("{}: {why}", manifest.display()));
    let document = Document::parse(&text).map_err(|e| wrong(e.to_string()))?;
    let mut names = Vec::new();
    for hal in children(document.root_element(), "hal") {
        let place = document.text_pos_at(hal.range().start);
        let of_hal = instances_of(hal)
            .ok_or_else(|| wrong(format!("{place}: neither an AIDL HAL nor a native one")))?;
        names.extend(of_hal);
    }
    Ok(names)
}

/// `None` where it is of another kind, whose instances have other names.
fn instances_of(hal: Node) -> Option<Vec<String>> {
    let package = text_of(hal, "name")?;
    let short = children(hal, "fqname").filter_map(|fqname| fqname.text());
    let long = children(hal, "interface").flat_map(|interface| {
        let named = text_of(interface, "name").map(|name| format!("{name}/"));
        let instances = children(interface, "instance").filter_map(|instance| instance.text());
        instances.map(move |i| format!("{}{}", named.as_deref().unwrap_or_default(), i.trim()))
    });
    let dot = match hal.attribute("format")? {
        "aidl" => ".",
        // Its interface has no name.
        "native" => "/",
        _ => return None,
    };
    let name = |instance: String| format!("{package}{dot}{instance}");
    Some(short.map(|text| text.trim().to_owned()).chain(long).map(name).collect())
}

fn children<'a, 'input>(
    node: Node<'a, 'input>,
    name: &'static str,
) -> impl Iterator<Item = Node<'a, 'input>> {
    node.children().filter(move |child| child.has_tag_name(name))
}

fn text_of<'a>(node: Node<'a, '_>, name: &'static str) -> Option<&'a str> {
    children(node, name).next()?.text().map(str::trim)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::place::repository;

    #[test]
    fn the_allocators_manifest_declares_it_and_its_mapper() {
        let manifest = repository().join("service/etc").join(crate::image::ALLOCATORS);
        let names = instances(&manifest).unwrap();
        assert_eq!(
            names,
            ["android.hardware.graphics.allocator.IAllocator/default", "mapper/dmaheap"]
        );
        let text = configuration(&[manifest]).unwrap();
        assert!(text.ends_with("[[service]]\nname = \"mapper/dmaheap\"\n"), "{text}");
    }

    /// A board that has another manifest says so in its policy, too.
    #[test]
    fn every_board_answers_the_version_that_the_manifest_declares() {
        let boards = repository().join("service/etc");
        let manifest = fs::read_to_string(boards.join(crate::image::ALLOCATORS)).unwrap();
        let version = |text: &str, key| text.split(key).nth(1).and_then(|rest| rest.chars().next());
        let declared = version(&manifest, "<version>");
        for board in crate::boards::names().unwrap() {
            let policy = crate::Board::find(&board).unwrap().policy;
            let policy = fs::read_to_string(policy).unwrap();
            assert_eq!(version(&policy, "\ninterface = ").or(Some('3')), declared, "{board}");
        }
    }

    #[test]
    fn what_is_no_manifest_is_named() {
        let file = tempfile::NamedTempFile::new().unwrap();
        for text in ["<manifest>", "<manifest><hal format=\"hidl\"><name>a</name></hal></manifest>"]
        {
            fs::write(&file, text).unwrap();
            let error = instances(file.path()).unwrap_err().to_string();
            assert!(error.starts_with(&*file.path().to_string_lossy()), "{error}");
        }
    }
}
