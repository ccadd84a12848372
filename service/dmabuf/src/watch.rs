// SPDX-License-Identifier: Apache-2.0
//! Weak references to dma-bufs: which of those that were given away still live?
//!
//! The kernel keeps an item of an epoll instance exactly as long as the file
//! behind it, and a dma-buf's file lives while anything refers to it: a
//! descriptor of any process, one in flight in a socket or a transaction, a
//! mapping, a device's import. So a buffer is added with no events and a cookie,
//! its descriptor is closed, and the instance's `/proc/self/fdinfo` lists the
//! cookies of those that are left:
//!
//! ```text
//! tfd:        7 events:       18 data:               2a  pos:0 ino:9 sdev:a
//! ```
//!
//! It takes no privilege, no option of the kernel's, and no SELinux rule beyond
//! one's own `/proc`. A descriptor's number may be used again: an item is known
//! by file and number together. Each item costs the kernel some 200 bytes, of
//! which a user may have `/proc/sys/fs/epoll/max_user_watches` (about one for
//! each 4 KiB of memory); a listing takes some microseconds per item.
//!
//! # Why this is asked for, and does not tell
//! An event would save the asking. None was found that is exact:
//!
//! - epoll drops an item without a word, and an item of `EPOLLHUP` never fires:
//!   a dma-buf is polled for its fences only.
//! - inotify's `IN_CLOSE` on `/proc/self/fd/N` of a dma-buf is exact on Linux
//!   6.12; since 6.14 files of the kernel's own file systems notify nobody.
//! - A pipe's end that is passed along with each buffer tells when the receiver
//!   closes it, which is not when the buffer dies.

use std::fs::File;
use std::io::{self, Read};
use std::os::fd::{AsRawFd, BorrowedFd};

use nix::errno::Errno;
use nix::sys::epoll::{Epoll, EpollCreateFlags, EpollEvent, EpollFlags};

/// For some hundred lines. A file of `/proc` does not tell its size, and would be read in small pieces.
const ROOM: usize = 16 * 1024;

/// Files that are referred to weakly.
#[derive(Debug)]
pub struct Watch(Epoll);

impl Watch {
    /// Refers to nothing yet. Takes a descriptor until it is dropped.
    ///
    /// # Errors
    /// `EMFILE` or `ENFILE` if there is none, `ENOMEM`.
    pub fn new() -> Result<Watch, Errno> {
        Epoll::new(EpollCreateFlags::EPOLL_CLOEXEC).map(Watch)
    }

    /// Refers to the file behind a descriptor, which may be closed at once.
    ///
    /// # Errors
    /// `ENOSPC` if this user refers to too many files, `ENOMEM`; `EPERM` if it is
    /// a file that cannot be polled, `EEXIST` if it is referred to already by
    /// this number.
    pub fn add(&self, file: BorrowedFd<'_>, cookie: u64) -> Result<(), Errno> {
        self.0.add(file, EpollEvent::new(EpollFlags::empty(), cookie))
    }

    /// The cookies of all files that live, in no order.
    ///
    /// # Errors
    /// If the kernel's list cannot be read; one is `EMFILE`.
    pub fn live(&self) -> io::Result<Vec<u64>> {
        let mut list = String::with_capacity(ROOM);
        File::open(format!("/proc/self/fdinfo/{}", self.0.0.as_raw_fd()))?
            .read_to_string(&mut list)?;
        let malformed = |line| io::Error::other(format!("{line:?} names no cookie"));
        list.lines()
            .filter(|line| line.starts_with("tfd:"))
            .map(|line| cookie(line).ok_or_else(|| malformed(line)))
            .collect()
    }
}

/// The hexadecimal number behind `data:`.
fn cookie(line: &str) -> Option<u64> {
    let (_, behind) = line.split_once("data:")?;
    u64::from_str_radix(behind.trim_start().split(' ').next()?, 16).ok()
}

#[cfg(test)]
mod tests {
    use super::*;
    use nix::sys::eventfd::{EfdFlags, EventFd};
    use nix::sys::memfd::{MemFdCreateFlag, memfd_create};
    use nix::sys::socket::{
        AddressFamily, ControlMessage, MsgFlags, SockFlag, SockType, sendmsg, socketpair,
    };
    use std::io::IoSlice;
    use std::os::fd::{AsFd, OwnedFd};

    /// A file that can be polled, as a dma-buf.
    fn file() -> OwnedFd {
        EventFd::from_flags(EfdFlags::EFD_CLOEXEC).unwrap().into()
    }

    fn live(watch: &Watch) -> Vec<u64> {
        let mut live = watch.live().unwrap();
        live.sort_unstable();
        live
    }

    #[test]
    fn a_file_lives_until_its_last_descriptor_is_closed() {
        let watch = Watch::new().unwrap();
        let (first, second) = (file(), file());
        watch.add(first.as_fd(), 1).unwrap();
        watch.add(second.as_fd(), u64::MAX).unwrap();
        let copy = first.try_clone().unwrap();
        drop(first);
        assert_eq!(live(&watch), [1, u64::MAX]);
        drop(copy);
        assert_eq!(live(&watch), [u64::MAX]);
        drop(second);
        assert_eq!(live(&watch), []);
    }

    /// Another file under the number of one that lives elsewhere is another item.
    #[test]
    fn a_number_may_be_used_again_by_others() {
        let watch = Watch::new().unwrap();
        let mut elsewhere = Vec::new();
        for cookie in 0..50 {
            let file = file();
            watch.add(file.as_fd(), cookie).unwrap();
            // Above all numbers, so that the next file gets the same as this one.
            elsewhere.push(file.try_clone().unwrap());
        }
        assert_eq!(live(&watch), (0..50).collect::<Vec<_>>());
        elsewhere.truncate(20);
        assert_eq!(live(&watch), (0..20).collect::<Vec<_>>());
    }

    #[test]
    fn a_file_in_flight_lives() {
        let watch = Watch::new().unwrap();
        let file = file();
        watch.add(file.as_fd(), 7).unwrap();
        let none = SockFlag::SOCK_CLOEXEC;
        let (from, to) = socketpair(AddressFamily::Unix, SockType::Stream, None, none).unwrap();
        let fds = [file.as_raw_fd()];
        let passed = [ControlMessage::ScmRights(&fds)];
        let text = [IoSlice::new(b"x")];
        sendmsg::<()>(from.as_raw_fd(), &text, &passed, MsgFlags::empty(), None).unwrap();
        drop(file);
        assert_eq!(live(&watch), [7]);
        drop((from, to));
        assert_eq!(live(&watch), []);
    }

    #[test]
    fn more_than_a_page_of_items_is_listed() {
        let watch = Watch::new().unwrap();
        let files: Vec<OwnedFd> = (0..500).map(|_| file()).collect();
        for (cookie, file) in (0..).zip(&files) {
            watch.add(file.as_fd(), cookie).unwrap();
        }
        assert_eq!(live(&watch), (0..500).collect::<Vec<_>>());
    }

    #[test]
    fn what_cannot_be_referred_to_is_refused() {
        let watch = Watch::new().unwrap();
        let memory = memfd_create(c"unpolled", MemFdCreateFlag::MFD_CLOEXEC).unwrap();
        assert_eq!(watch.add(memory.as_fd(), 1), Err(Errno::EPERM));
        let file = file();
        watch.add(file.as_fd(), 1).unwrap();
        assert_eq!(watch.add(file.as_fd(), 2), Err(Errno::EEXIST));
    }

    #[test]
    fn a_line_that_is_none_is_an_error_and_not_a_dead_file() {
        assert_eq!(cookie("tfd: 7 events: 18 data:    2a  pos:0 ino:9 sdev:a"), Some(42));
        assert_eq!(cookie("tfd: 7 events: 18 data:2a"), Some(42));
        assert_eq!(cookie("tfd: 7 events: 18"), None);
        assert_eq!(cookie("tfd: 7 events: 18 data: zz"), None);
    }
}
