// SPDX-License-Identifier: Apache-2.0
//! A heap's device node: opening it, making sure that it is one, saying what
//! is in the way, and allocating from it.
//!
//! What lies below `/dev/dma_heap` need not be a heap: whoever may write there
//! may put a link to another heap in a heap's place, or a pipe that nobody
//! opens for writing. So links are not followed, nothing is waited for, it must
//! be a character device, and it must answer as a heap does. Its major number
//! tells nothing: the kernel gives heaps any that is free, and the files that
//! tell which are not a HAL's to read.

use std::fmt;
use std::fs::{self, File, OpenOptions};
use std::io;
use std::os::fd::{AsRawFd, OwnedFd};
use std::os::unix::fs::{FileTypeExt, MetadataExt, OpenOptionsExt};
use std::path::{Path, PathBuf};

use dmaheap_buffer::Bytes;
use nix::errno::Errno;

use crate::sys::{self, Allocation};

/// Where the kernel puts its DMA-BUF heaps.
pub const FOLDER: &str = "/dev/dma_heap";

/// What the name of a region's uncached twin ends in.
pub const TWIN: &str = "-uncached";

/// The SELinux type of a node that nothing else labels: the platform's, which opens no heap.
pub const UNLABELLED: &str = "dmabuf_heap_device";

/// Whether a node's memory is all that the system has, and the platform's to own: `system` and
/// what is derived from it, which many domains open. Others are regions.
pub fn is_systems(node: &str) -> bool {
    node == "system" || node.starts_with("system-")
}

/// An open heap.
#[derive(Debug)]
pub struct Node {
    file: File,
    name: String,
}

/// Why a node is no heap to allocate from.
#[derive(Debug)]
pub struct Refusal {
    /// The node.
    pub path: PathBuf,
    /// What is in the way.
    pub cause: Cause,
}

/// What is in the way of using a node.
#[derive(Debug)]
pub enum Cause {
    /// It could not be opened.
    Closed(io::Error),
    /// It is none of the kernel's: a link, a pipe, a file, a folder.
    NoDevice(&'static str),
    /// A device, and no heap.
    OtherDevice,
}

impl Node {
    /// Opens the heap of this name.
    ///
    /// # Errors
    /// What is in the way.
    pub fn open(name: &str) -> Result<Node, Refusal> {
        let path = Path::new(FOLDER).join(name);
        match open(&path) {
            Ok(file) => Ok(Node { file, name: name.to_owned() }),
            Err(cause) => Err(Refusal { path, cause }),
        }
    }

    /// Its name under [`FOLDER`].
    pub fn name(&self) -> &str {
        &self.name
    }

    /// A new dma-buf of at least `size`. The memory is zero.
    ///
    /// # Errors
    /// As in the table of [`sys`]. `ENOTTY` says that this is no heap after
    /// all, and never will be.
    pub fn allocate(&self, size: Bytes) -> nix::Result<OwnedFd> {
        let mut allocation = Allocation::of(size.0);
        // SAFETY: `allocation` is the structure this request reads and writes,
        // and it lives until the call returns.
        unsafe { sys::heap_alloc(self.file.as_raw_fd(), &raw mut allocation) }?;
        // SAFETY: the request has just succeeded.
        unsafe { sys::taken(&allocation) }
    }

    /// What is said where it turned out to be none.
    pub fn disown(&self) -> Refusal {
        Refusal { path: Path::new(FOLDER).join(&self.name), cause: Cause::OtherDevice }
    }
}

/// Opens a heap. Reading is enough to allocate, and all that a policy grants.
fn open(path: &Path) -> Result<File, Cause> {
    let flags = libc::O_NOFOLLOW | libc::O_NONBLOCK;
    let opened = OpenOptions::new().read(true).custom_flags(flags).open(path);
    let file = opened.map_err(|cause| match cause.raw_os_error() {
        Some(libc::ELOOP) => Cause::NoDevice("a symbolic link"),
        // What open says of a socket.
        Some(libc::ENXIO) => Cause::NoDevice("no device"),
        _ => Cause::Closed(cause),
    })?;
    // Where SELinux forbids even to look, it lets nothing but a device be opened.
    if let Ok(kind) = file.metadata().map(|node| node.file_type())
        && !kind.is_char_device()
    {
        return Err(Cause::NoDevice(match kind {
            kind if kind.is_dir() => "a folder",
            kind if kind.is_fifo() => "a pipe",
            kind if kind.is_block_device() => "a block device",
            _ => "a regular file",
        }));
    }
    match answers_as_a_heap(&file) {
        true => Ok(file),
        false => Err(Cause::OtherDevice),
    }
}

/// A request for nothing: a heap refuses it before it does anything, with
/// EINVAL where every other device says ENOTTY.
fn answers_as_a_heap(file: &File) -> bool {
    let mut nothing = Allocation::of(0);
    // SAFETY: as in `allocate`.
    let answer = unsafe { sys::heap_alloc(file.as_raw_fd(), &raw mut nothing) };
    answer == Err(Errno::EINVAL)
}

impl fmt::Display for Refusal {
    /// What is in the way and what would remove it.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let path = self.path.display();
        match &self.cause {
            Cause::NoDevice(kind) => write!(f, "{path} is {kind}, where a heap's node should be"),
            Cause::OtherDevice => write!(f, "{path} is a device, but no DMA-BUF heap"),
            Cause::Closed(cause) => match cause.kind() {
                io::ErrorKind::NotFound => write!(f, "{path} does not exist"),
                io::ErrorKind::PermissionDenied => {
                    write!(f, "{path} may not be opened{}", self.remedy())
                }
                _ => write!(f, "{path}: {cause}"),
            },
        }
    }
}

impl Refusal {
    /// Both lines of defence, as far as they can be seen from here.
    fn remedy(&self) -> String {
        let mut remedy = String::new();
        if let Ok(node) = fs::symlink_metadata(&self.path) {
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
pub fn selinux_type(context: &str) -> Option<&str> {
    context.split(':').nth(2).map(|name| name.trim_end_matches(['\0', '\n']))
}

#[cfg(test)]
mod tests {
    use super::*;
    use nix::sys::stat::Mode;
    use nix::unistd::mkfifo;
    use std::os::unix::fs::symlink;
    use std::os::unix::net::UnixListener;

    #[test]
    fn a_type_is_the_third_part_of_a_context() {
        let context = "u:object_r:dmabuf_cma_heap_device:s0\0";
        assert_eq!(selinux_type(context), Some("dmabuf_cma_heap_device"));
        assert_eq!(selinux_type("unconfined\n"), None);
    }

    #[test]
    fn a_missing_node_is_told_from_a_forbidden_one() {
        let refusal = Node::open("no such heap").unwrap_err();
        assert_eq!(refusal.to_string(), "/dev/dma_heap/no such heap does not exist");
        let cause = Cause::Closed(io::Error::from(io::ErrorKind::PermissionDenied));
        let refusal = Refusal { path: "/dev/null".into(), cause };
        assert!(refusal.to_string().starts_with("/dev/null may not be opened: mode 0666"));
    }

    /// Each in a heap's place, and what is said of it.
    #[test]
    fn what_is_no_heap_is_refused_and_waits_for_nobody() {
        let folder = std::env::temp_dir().join(format!("dmaheap-node-{}", std::process::id()));
        fs::create_dir(&folder).unwrap();
        let at = |name: &str| folder.join(name);
        fs::write(at("file"), "").unwrap();
        fs::create_dir(at("folder")).unwrap();
        symlink("/dev/null", at("link")).unwrap();
        mkfifo(&at("pipe"), Mode::S_IRWXU).unwrap();
        let _socket = UnixListener::bind(at("socket")).unwrap();

        let said = |path: PathBuf| {
            let cause = open(&path).unwrap_err();
            Refusal { path, cause }.to_string()
        };
        let told = ["file", "folder", "link", "pipe", "socket"].map(|name| said(at(name)));
        let null = said("/dev/null".into());
        fs::remove_dir_all(&folder).unwrap();
        for (said, kind) in told.iter().zip([
            "is a regular file",
            "is a folder",
            "is a symbolic link",
            "is a pipe",
            "is no device",
        ]) {
            assert!(said.ends_with(&format!("{kind}, where a heap's node should be")), "{said}");
        }
        assert_eq!(null, "/dev/null is a device, but no DMA-BUF heap");
    }
}
