// SPDX-License-Identifier: Apache-2.0
//! Opening a heap's device node, and saying what is in the way.

use std::fmt;
use std::fs::{self, File};
use std::io;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};

use crate::sys;

/// Where the kernel puts its DMA-BUF heaps.
pub const FOLDER: &str = "/dev/dma_heap";

/// Why a node could not be opened.
#[derive(Debug)]
pub struct Refusal {
    /// The node.
    pub path: PathBuf,
    /// What the kernel said.
    pub cause: io::Error,
}

/// Opens a node. Reading is enough to allocate, and all that a policy grants.
pub(super) fn open(node: &str) -> Result<File, Refusal> {
    let path = Path::new(FOLDER).join(node);
    File::open(&path).map_err(|cause| Refusal { path, cause })
}

impl fmt::Display for Refusal {
    /// What is in the way and what would remove it.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let path = self.path.display();
        match self.cause.kind() {
            io::ErrorKind::NotFound => write!(f, "{path} does not exist"),
            io::ErrorKind::PermissionDenied => {
                write!(f, "{path} may not be opened{}", self.remedy())
            }
            _ => write!(f, "{path}: {}", self.cause),
        }
    }
}

impl Refusal {
    /// Both lines of defence, as far as they can be seen from here.
    fn remedy(&self) -> String {
        let mut remedy = String::new();
        if let Ok(node) = fs::metadata(&self.path) {
            let (mode, uid, gid) = (node.mode() & 0o7777, node.uid(), node.gid());
            remedy.push_str(&format!(": mode {mode:04o}, uid {uid}, gid {gid}"));
        }
        let own = fs::read_to_string("/proc/self/attr/current").ok();
        let domain = own.as_deref().and_then(selinux_type);
        let label = sys::label(&self.path);
        if let (Some(domain), Some(label)) = (domain, label.as_deref().and_then(selinux_type)) {
            remedy.push_str(&format!(
                "; under SELinux it takes `allow {domain} {label}:chr_file r_file_perms;`"
            ));
        }
        remedy
    }
}

/// The type in a context: user:role:type:level.
fn selinux_type(context: &str) -> Option<&str> {
    context.split(':').nth(2).map(|name| name.trim_end_matches(['\0', '\n']))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_type_is_the_third_part_of_a_context() {
        let context = "u:object_r:dmabuf_cma_heap_device:s0\0";
        assert_eq!(selinux_type(context), Some("dmabuf_cma_heap_device"));
        assert_eq!(selinux_type("unconfined\n"), None);
    }

    #[test]
    fn a_missing_node_is_told_from_a_forbidden_one() {
        let refusal = open("no such heap").unwrap_err();
        assert_eq!(refusal.to_string(), "/dev/dma_heap/no such heap does not exist");
        let cause = io::Error::from(io::ErrorKind::PermissionDenied);
        let refusal = Refusal { path: "/dev/null".into(), cause };
        assert!(refusal.to_string().starts_with("/dev/null may not be opened: mode 0666"));
    }
}
