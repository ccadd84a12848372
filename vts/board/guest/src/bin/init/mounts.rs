// SPDX-License-Identifier: Apache-2.0
//! The file systems a device has, and the few links Android makes.

use std::fs;
use std::io;
use std::os::unix::fs::symlink;

use nix::mount::{MsFlags, mount};

/// Type, place and options, in the order of mounting.
const MOUNTS: [(&str, &str, &str); 8] = [
    ("proc", "/proc", ""),
    ("sysfs", "/sys", ""),
    ("selinuxfs", "/sys/fs/selinux", ""),
    ("devtmpfs", "/dev", "mode=0755"),
    ("devpts", "/dev/pts", "mode=0620,ptmxmode=0666"),
    ("tmpfs", "/dev/shm", "mode=1777"),
    ("binder", "/dev/binderfs", "stats=global"),
    ("debugfs", "/sys/kernel/debug", ""),
];

const LINKS: [(&str, &str); 5] = [
    ("/dev/binderfs/binder", "/dev/binder"),
    ("/proc/self/fd", "/dev/fd"),
    ("/proc/self/fd/0", "/dev/stdin"),
    ("/proc/self/fd/1", "/dev/stdout"),
    ("/proc/self/fd/2", "/dev/stderr"),
];

/// Mounts all of them and makes the links.
pub fn mount_all() -> io::Result<()> {
    for (kind, place, options) in MOUNTS {
        fs::create_dir_all(place)
            .and_then(|()| {
                mount(Some(kind), place, Some(kind), MsFlags::empty(), Some(options))
                    .map_err(io::Error::from)
            })
            .map_err(|e| io::Error::new(e.kind(), format!("mounting {kind} on {place}: {e}")))?;
    }
    for (target, link) in LINKS {
        symlink(target, link)
            .map_err(|e| io::Error::new(e.kind(), format!("linking {link}: {e}")))?;
    }
    Ok(())
}
