// SPDX-License-Identifier: Apache-2.0
//! Requests for buffers that must be refused, and what is left of them: nothing.

use std::ffi::c_int;
use std::fs::File;
use std::io::Read;
use std::os::fd::AsRawFd;
use std::os::unix::fs::OpenOptionsExt;

use libtest_mimic::Trial;
use nix::errno::Errno;
use nix::fcntl::OFlag;
use nix::sys::mman::ProtFlags;
use nix::sys::resource::{Resource, getrlimit, setrlimit};

use super::heap::{Heap, MIB, Request, page, trial};
use super::memory::{Memory, READ_WRITE};
use crate::baseline;
use crate::harness::Outcome;

pub fn trials() -> Vec<Trial> {
    vec![
        trial("ground::leaks_are_counted", baseline::leaks_are_counted),
        trial("request::each_bad_one_gets_its_errno", each_bad_one),
        trial("request::what_never_fits_is_refused_without_an_alarm", what_never_fits),
        trial("request::at_a_bad_address_leaves_no_descriptor", bad_addresses),
        trial("request::with_a_full_descriptor_table_leaves_no_buffer", full_table),
        trial("request::is_rounded_up_to_pages", rounded_up),
        trial("request::small_ones_leave_the_region_alone", small_ones),
    ]
}

const GOOD: Request = Request { len: 64 << 10, fd: 0, fd_flags: 0o2, heap_flags: 0 };

const BAD: &[(&str, Request)] = &[
    ("length 0", Request { len: 0, ..GOOD }),
    ("length ULLONG_MAX", Request { len: u64::MAX, ..GOOD }),
    ("length that wraps to 0", Request { len: u64::MAX - 4094, ..GOOD }),
    ("descriptor 1", Request { fd: 1, ..GOOD }),
    ("descriptor -1", Request { fd: u32::MAX, ..GOOD }),
    ("O_TRUNC", Request { fd_flags: 0o1002, ..GOOD }),
    ("O_NONBLOCK", Request { fd_flags: 0o4002, ..GOOD }),
    ("all descriptor flags", Request { fd_flags: u32::MAX, ..GOOD }),
    ("a heap flag", Request { heap_flags: 1, ..GOOD }),
    ("all heap flags", Request { heap_flags: u64::MAX, ..GOOD }),
];

fn each_bad_one() -> Outcome {
    for heap in Heap::all()? {
        for (what, request) in BAD {
            assert_eq!(heap.ask(*request).err(), Some(Errno::EINVAL), "{heap}: {what}");
        }
    }
    Ok(())
}

/// Not asked of the kernel's own `system` heap: it takes all memory before it refuses.
fn what_never_fits() -> Outcome {
    let mut log = KernelLog::from_now()?;
    for region in Heap::regions()? {
        let counted = region.count("failed_too_large")?;
        let size = region.count("size")?;
        let lengths = [size + 1, size + page(), (1 << 32) - 1, 1 << 32, 1 << 63, u64::MAX - page()];
        for len in lengths {
            assert_eq!(region.ask(Request::of(len)).err(), Some(Errno::ENOMEM), "{region}: {len}");
        }
        assert_eq!(region.count("failed_too_large")?, counted + lengths.len() as u64, "{region}");
    }
    assert_eq!(log.since()?, "");
    Ok(())
}

/// The kernel's log from a moment on.
struct KernelLog(File);

impl KernelLog {
    fn from_now() -> std::io::Result<Self> {
        let flags = OFlag::O_NONBLOCK.bits();
        let mut log = Self(File::options().read(true).custom_flags(flags).open("/dev/kmsg")?);
        log.since()?;
        Ok(log)
    }

    /// One record per read, until there is none.
    fn since(&mut self) -> std::io::Result<String> {
        let mut text = String::new();
        let mut record = [0; 8192];
        while let Ok(len) = self.0.read(&mut record) {
            text.push_str(&String::from_utf8_lossy(&record[..len]));
        }
        Ok(text)
    }
}

fn bad_addresses() -> Outcome {
    let read_only = Memory::anonymous(page())?;
    let at = read_only.address().cast::<Request>();
    for heap in Heap::all()? {
        let before = descriptors()?;
        // SAFETY: the kernel cannot write to either address.
        let refused = unsafe { heap.ask_at(std::ptr::null_mut()) };
        assert_eq!(refused, Err(Errno::EFAULT), "{heap}: NULL");

        read_only.protect(READ_WRITE)?;
        // SAFETY: a page is there, writable, aligned, and large enough.
        unsafe { at.write(Request::of(MIB)) };
        read_only.protect(ProtFlags::PROT_READ)?;
        // SAFETY: as above.
        let refused = unsafe { heap.ask_at(at) };
        assert_eq!(refused, Err(Errno::EFAULT), "{heap}: an answer that cannot be written");
        assert_eq!(descriptors()?, before, "{heap}: it left a descriptor");
    }
    Ok(())
}

fn descriptors() -> std::io::Result<usize> {
    Ok(std::fs::read_dir("/proc/self/fd")?.count())
}

fn full_table() -> Outcome {
    let heaps = Heap::all()?;
    let lowest: c_int = File::open("/dev/null")?.as_raw_fd();
    let (soft, hard) = getrlimit(Resource::RLIMIT_NOFILE)?;
    setrlimit(Resource::RLIMIT_NOFILE, lowest as u64, hard)?;
    let refused: Vec<_> = heaps.iter().map(|heap| heap.ask(Request::of(MIB)).err()).collect();
    setrlimit(Resource::RLIMIT_NOFILE, soft, hard)?;
    for (heap, refused) in heaps.iter().zip(refused) {
        assert_eq!(refused, Some(Errno::EMFILE), "{heap}");
    }
    Ok(())
}

fn rounded_up() -> Outcome {
    for heap in Heap::all()? {
        let page = page();
        for (len, size) in [(1, page), (page - 1, page), (page, page), (page + 1, 2 * page)] {
            let buffer = heap.buffer(len)?;
            assert_eq!(buffer.size()? as u64, size, "{heap}: {len}");
            assert_eq!(buffer.exporter()?, heap.name);
        }
    }
    Ok(())
}

/// The default region's, which anybody may lie beside: a page there would cost CMA a block.
fn small_ones() -> Outcome {
    let region = Heap::default_region()?;
    let used = region.count("used")?;
    let small: Vec<_> =
        (0..16).map(|_| region.ask(Request::of(page()))).collect::<Result<_, _>>()?;
    assert_eq!(region.count("used")?, used, "{region}: after {} small buffers", small.len());
    assert_eq!(region.count("small")?, 16 * page(), "{region}");
    Ok(())
}
