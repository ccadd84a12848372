// SPDX-License-Identifier: Apache-2.0
//! The files that a probe writes.

use std::collections::BTreeMap;

use dmaheap_buffer::Bytes;
use dmaheap_dmabuf::node::{TWIN, UNLABELLED, is_systems};

use super::{DEFAULT, Node, Seen};

/// A heap for which a name gives a hint: what its node's begins with, the usages
/// of its rule, for whom half of it is kept, and what opens it besides.
const HINTS: [(&[&str], &str, &str, &str); 3] = [
    (
        &["camera", "isp", "csi"],
        "\"CAMERA_OUTPUT\", \"CAMERA_INPUT\"",
        "\"cameraserver\"",
        "hal_camera_default",
    ),
    (
        &["codec", "video", "vpu", "vdec", "venc", "mfc"],
        "\"VIDEO_DECODER\", \"VIDEO_ENCODER\"",
        "\"media\"",
        "",
    ),
    (
        &["display", "framebuffer", "scanout"],
        "\"COMPOSER_CLIENT_TARGET\", \"COMPOSER_CURSOR\"",
        "\"system\", \"graphics\"",
        "",
    ),
];

/// What each file begins with.
const TITLE: &str = "# SPDX-License-Identifier: Apache-2.0\n# Written by `allocator probe`.\n";

/// Parts of a region that are dealt out.
const SHARES: u64 = 8;

/// Android's ids of `system` and `graphics`.
const SYSTEM: u32 = 1000;
const GRAPHICS: u32 = 1003;

/// Name and content of each.
pub(super) fn files(seen: &Seen) -> [(&'static str, String); 4] {
    let titled = |text: String| format!("{TITLE}{text}");
    [
        ("heaps.toml", titled(policy(seen))),
        ("ueventd.rc", titled(ueventd(seen))),
        ("sepolicy/file_contexts", titled(contexts(seen))),
        ("sepolicy/heaps.te", titled(rules(seen))),
    ]
}

/// Nodes whose memory is a region of its own.
fn regions(seen: &Seen) -> impl Iterator<Item = &Node> {
    seen.nodes.iter().filter(|node| !is_systems(&node.name))
}

impl Node {
    /// What the policy calls its heap: the node without its address.
    fn heap(&self) -> String {
        let (name, twin) = match self.name.strip_suffix(TWIN) {
            Some(name) => (name, "_uncached"),
            None => (self.name.as_str(), ""),
        };
        let name = match DEFAULT.contains(&name) {
            true => "framebuffer",
            false => name.split('@').next().unwrap_or(name),
        };
        format!("{}{twin}", name.replace(|c: char| !c.is_ascii_alphanumeric(), "_"))
    }

    fn hint(&self) -> Option<(&'static str, &'static str, &'static str)> {
        let heap = self.heap();
        let begins = |names: &[&str]| names.iter().any(|name| heap.starts_with(name));
        let hint = HINTS.iter().find(|(names, ..)| begins(names));
        hint.map(|(_, usages, callers, domain)| (*usages, *callers, *domain))
    }

    /// An SELinux type of its own, for a node that has none.
    fn new_type(&self) -> Option<String> {
        let lacks = self.label.as_deref().is_none_or(|label| label == UNLABELLED);
        lacks.then(|| format!("dmabuf_{}_heap_device", self.heap()))
    }
}

fn policy(seen: &Seen) -> String {
    let mut text = "# The policy of the virtual board explains the keys.\n".to_owned();
    for what in &seen.unseen {
        text += &format!("# Not seen: {what}\n");
    }
    text += "\nmetadata_heap = \"system\"\n\n[limits]\nbuffer = \"256 MiB\"\nreserved = \"8 MiB\"\n\n\
         # DECIDE how much of memory one app, and all apps, may have.\n\
         [heaps.system]\nnodes = [\"system\"]\nper_uid = \"25 %\"\nper_class = { apps = \"50 %\" }\n";
    if regions(seen).any(|node| node.hint().is_some_and(|(_, callers, _)| callers == "\"media\"")) {
        text += "\n[classes.media]\nuids = [\"1013\", \"1046\"]\n";
    }
    // Several nodes may be one heap's, under names of different kernels.
    let mut nodes: BTreeMap<String, Vec<&Node>> = BTreeMap::new();
    regions(seen).for_each(|node| nodes.entry(node.heap()).or_default().push(node));
    nodes.iter().for_each(|(name, nodes)| text += &heap(name, nodes));
    nodes.iter().for_each(|(name, nodes)| text += &rule(name, nodes));
    text + "\n[[rules]]\nname = \"everything else\"\nheap = \"system\"\n\n\
            # DECIDE what codecs and camera write.\n\
            [[implementation_defined]]\n\
            any = [\"CAMERA_OUTPUT\", \"CAMERA_INPUT\", \"VIDEO_ENCODER\", \"VIDEO_DECODER\"]\n\
            format = \"YCBCR_420_888\"\n\n\
            [[implementation_defined]]\nformat = \"RGBA_8888\"\n\n\
            # DECIDE from the data sheets: multiples of how many bytes their lines take.\n\
            [alignment.gpu]\nstride = 64\n\n[alignment.display]\nstride = 64\n\n\
            [alignment.camera]\nstride = 64\n\n[alignment.cpu]\nstride = 16\n"
}

fn heap(name: &str, nodes: &[&Node]) -> String {
    let Some(node) = nodes.first() else { return String::new() };
    let names: Vec<_> = nodes.iter().map(|node| format!("\"{}\"", node.name)).collect();
    let names = names.join(", ");
    let mut text = format!("\n[heaps.{name}]\nnodes = [{names}]\ncontiguous = true\n");
    if node.name.ends_with(TWIN) {
        text += "cached = false\n";
    }
    let (_, callers, domain) = node.hint().unwrap_or(("", "\"system\", \"graphics\"", ""));
    if !domain.is_empty() {
        text += &format!("domains = [\"{domain}\"]\n");
    }
    match node.size {
        Some(size) => {
            let share = |parts: u64| Bytes((size.0 / SHARES).saturating_mul(parts));
            text += &format!(
                "size = \"{size}\"\n# DECIDE whose half of it is, and how much apps may have.\n\
                 per_class = {{ apps = \"{}\" }}\nkeep = {{ size = \"{}\", callers = [{callers}] }}\n",
                share(3),
                share(4)
            );
        }
        None => text += "# DECIDE its size, then `per_class` and `keep`.\n",
    }
    text
}

fn rule(heap: &str, nodes: &[&Node]) -> String {
    let is_twin = nodes.iter().any(|node| node.name.ends_with(TWIN));
    let usages = match nodes.first().and_then(|node| node.hint()) {
        Some((usages, ..)) if !is_twin => usages,
        _ => return format!("\n# DECIDE which buffers come from heap {heap}, and write a rule.\n"),
    };
    format!(
        "\n# DECIDE whether these are the buffers.\n[[rules]]\nname = \"{heap}\"\nany = [{usages}]\n\
         heap = \"{heap}\"\ncontiguous = true\n"
    )
}

fn ueventd(seen: &Seen) -> String {
    let is_right = |node: &&Node| (node.mode, node.uid, node.gid) != (0o440, SYSTEM, GRAPHICS);
    let line = |node: &Node| format!("/dev/dma_heap/{} 0440 system graphics\n", node.name);
    regions(seen).filter(is_right).map(line).collect()
}

fn contexts(seen: &Seen) -> String {
    let line = |node: &Node| {
        let label = node.new_type()?;
        // Nothing in a heap's name means anything to an expression but the dot.
        let path = node.name.replace('.', "\\.");
        Some(format!("/dev/dma_heap/{path} u:object_r:{label}:s0\n"))
    };
    regions(seen).filter_map(line).collect()
}

fn rules(seen: &Seen) -> String {
    let each = |node: &Node| {
        let label = node.new_type()?;
        Some(format!(
            "type {label}, dmabuf_heap_device_type, dev_type;\n\
             allow hal_graphics_allocator_default {label}:chr_file {{ open read ioctl getattr }};\n\
             neverallow {{ domain -hal_graphics_allocator_server }} {label}:chr_file {{ open read \
             write append ioctl map execute lock }};\n"
        ))
    };
    regions(seen).filter_map(each).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Policy;

    fn node(name: &str, label: &str, size: Option<u64>) -> Node {
        Node {
            name: name.to_owned(),
            mode: 0o600,
            uid: 0,
            gid: 0,
            label: Some(label.to_owned()),
            size: size.map(|size| Bytes(size << 20)),
        }
    }

    #[test]
    fn what_is_written_of_known_names_is_a_policy_without_a_finding() {
        let nodes = vec![
            node("system", "dmabuf_system_heap_device", None),
            node("default_cma_region", "dmabuf_cma_heap_device", Some(128)),
            node("linux,cma", "dmabuf_cma_heap_device", Some(128)),
            node("camera@54000000", "dmabuf_camera_heap_device", Some(64)),
            node("vpu.a@58000000", UNLABELLED, Some(32)),
        ];
        let seen = Seen { nodes, unseen: vec!["nothing".to_owned()] };
        let [(_, policy), (_, ueventd), (_, contexts), (_, rules)] =
            files(&seen).map(|(name, text)| (name, text.replacen(TITLE, "", 1)));
        let (_, findings) = Policy::parse("heaps.toml", &policy).unwrap();
        assert_eq!(findings.to_string(), "", "{policy}");
        assert!(policy.contains("size = \"64 MiB\"\n") && policy.contains("# Not seen: nothing"));
        assert_eq!(ueventd.lines().count(), 4, "{ueventd}");
        assert_eq!(
            contexts,
            "/dev/dma_heap/vpu\\.a@58000000 u:object_r:dmabuf_vpu_a_heap_device:s0\n"
        );
        assert!(rules.starts_with("type dmabuf_vpu_a_heap_device, "), "{rules}");
    }

    #[test]
    fn what_nobody_can_guess_is_left_to_a_person() {
        let nodes = vec![node("npu@1", UNLABELLED, None)];
        let policy = policy(&Seen { nodes, unseen: Vec::new() });
        assert!(policy.contains("# DECIDE its size"), "{policy}");
        assert!(policy.contains("# DECIDE which buffers come from heap npu"), "{policy}");
        let (_, findings) = Policy::parse("heaps.toml", &policy).unwrap();
        assert!(findings.to_string().contains("nobody uses heap npu"), "{findings}");
    }
}
