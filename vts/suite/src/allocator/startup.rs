// SPDX-License-Identifier: Apache-2.0
//! A service that starts without one of its heaps, and gets it later.

use std::error::Error;
use std::fs::{self, Permissions};
use std::os::unix::fs::{PermissionsExt, symlink};
use std::path::{Path, PathBuf};

use dmaheap_aidl::allocator::AllocationError;
use libtest_mimic::Trial;
use nix::sys::stat::{Mode, SFlag, mknod};

use super::callers::Want;
use crate::heap::Heap;
use crate::service::{connect, dump, good, pid, refusal, report, restart_service, restarting};

type Test = Result<(), Box<dyn Error>>;

const NODE: &str = "camera@54000000";
const LABEL: &str = "security.selinux";

pub fn trials() -> Vec<Trial> {
    vec![
        restarting("startup::a_heap_that_is_missing_may_appear_late", || {
            let (node, away) = (Heap::path(NODE), Heap::path("away"));
            without_camera(
                &|| Ok(fs::rename(&node, &away)?),
                &|| Ok(fs::rename(&away, &node)?),
                "does not exist",
            )
        }),
        restarting("startup::a_link_to_another_heap_is_not_followed", || {
            let instead = |node: &Path| Ok(symlink("system", node)?);
            in_place_of_the_camera(&instead, "is a symbolic link, where a heap's node should be")
        }),
        restarting("startup::another_device_in_a_heaps_place_is_none", || {
            let label = xattr::get(Heap::path(NODE), LABEL)?;
            let instead = |node: &Path| {
                let readable = Mode::from_bits_truncate(0o444);
                mknod(node, SFlag::S_IFCHR, readable, libc::makedev(1, 3))?;
                // The node's own: else SELinux would be in the way already.
                Ok(label.iter().try_for_each(|label| xattr::set(node, LABEL, label))?)
            };
            in_place_of_the_camera(&instead, "is a device, but no DMA-BUF heap")
        }),
        restarting("startup::a_heap_that_is_unreadable_may_be_repaired", || {
            let node = Heap::path(NODE);
            let mode = fs::metadata(&node)?.permissions().mode();
            without_camera(
                &|| set_mode(&node, 0o000),
                &|| set_mode(&node, mode),
                "may not be opened: mode 0000, uid 1000, gid 1003; under SELinux it takes \
                 `allow hal_graphics_allocator_default dmabuf_camera_heap_device:chr_file",
            )
        }),
        restarting("startup::a_restarted_service_says_since_when_it_knows", || {
            let since = || Ok::<_, Box<dyn Error>>(report()?["since"].as_f64().ok_or("no since")?);
            let before = since()?;
            restart_service()?;
            assert!(before < since()?, "it knows since {before} s after boot");
            Ok(())
        }),
    ]
}

/// Puts something else in the place of the camera's node, which `why` is said of.
fn in_place_of_the_camera(instead: &dyn Fn(&Path) -> Test, why: &str) -> Test {
    let (node, away) = (Heap::path(NODE), Heap::path("away"));
    without_camera(
        &|| {
            fs::rename(&node, &away)?;
            instead(&node)
        },
        &|| {
            // Whether anything is there or not.
            let _ = fs::remove_file(&node);
            Ok(fs::rename(&away, &node)?)
        },
        why,
    )
}

fn set_mode(path: &PathBuf, mode: u32) -> Test {
    Ok(fs::set_permissions(path, Permissions::from_mode(mode))?)
}

/// Restarts the service between `take` and `restore`. Without its camera heap it serves the rest,
/// refuses the camera, and its dump says `why`; then it serves the camera too, without a restart.
fn without_camera(take: &dyn Fn() -> Test, restore: &dyn Fn() -> Test, why: &str) -> Test {
    {
        let _back_again = AtTheEnd(restore);
        take()?;
        restart_service()?;
        look_without_camera(why)?;
    }
    let service = pid()?;
    assert_eq!(connect()?.allocate2(&Want::Preview.descriptor(), 1)?.buffers.len(), 1);
    assert_eq!(pid()?, service, "the service restarted");
    Ok(())
}

/// Whatever comes out, the next test wants the heap back.
struct AtTheEnd<'a>(&'a dyn Fn() -> Test);

impl Drop for AtTheEnd<'_> {
    fn drop(&mut self) {
        if let Err(error) = (self.0)() {
            eprintln!("the heap is not back: {error}");
        }
    }
}

fn look_without_camera(why: &str) -> Test {
    let allocator = connect()?;
    assert_eq!(allocator.allocate2(&good(), 1)?.buffers.len(), 1, "other heaps serve");
    assert!(allocator.isSupported(&Want::Preview.descriptor())?, "the heap may still appear");
    let refused = allocator.allocate2(&Want::Preview.descriptor(), 1);
    assert_eq!(refusal(refused)?, AllocationError::NO_RESOURCES);
    let dump = dump(&[])?;
    // Not a panic: the caller has a heap to bring back.
    if dump.contains(why) { Ok(()) } else { Err(format!("'{why}' is not in:\n{dump}").into()) }
}
