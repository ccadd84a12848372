// SPDX-License-Identifier: Apache-2.0
//! What a process can and cannot do with the mapping of a buffer.

use std::os::fd::AsRawFd;

use libtest_mimic::Trial;
use nix::errno::Errno;
use nix::fcntl::OFlag;
use nix::sys::mman::{MapFlags, MmapAdvise, ProtFlags};

use super::heap::{Heap, Request, page, trial};
use super::memory::{MREMAP_MAYMOVE, Memory, READ_WRITE};
use crate::dmabuf::{SYNC_END, SYNC_READ, SYNC_WRITE};
use crate::harness::Outcome;

/// Some pages, whatever their size.
const LEN: u64 = 256 << 10;
const HALF: usize = LEN as usize / 2;

pub fn trials() -> Vec<Trial> {
    vec![
        trial("mapping::beyond_the_end_or_private_is_refused", bad_mappings),
        trial("mapping::cannot_grow_again_once_shrunk", remapped),
        trial("mapping::outlives_its_descriptor", outlives),
        trial("mapping::shows_every_page_at_its_place", every_page),
        trial("mapping::of_a_read_only_buffer_is_read_only", read_only),
        trial("mapping::is_kept_whatever_is_advised", advised),
        trial("sync::bad_flags_are_refused", bad_sync),
        trial("buffer::is_no_file_to_read_or_write", no_file),
    ]
}

fn bad_mappings() -> Outcome {
    const SHARED: MapFlags = MapFlags::MAP_SHARED;
    const PRIVATE: MapFlags = MapFlags::MAP_PRIVATE;
    let cases = [
        ("longer than the buffer", LEN + page(), 0, SHARED),
        ("from its end", page(), LEN as i64, SHARED),
        ("across its end", 2 * page(), (LEN - page()) as i64, SHARED),
        ("from far beyond", page(), i64::MAX - page() as i64 + 1, SHARED),
        ("private", LEN, 0, PRIVATE),
    ];
    for heap in Heap::all()? {
        let buffer = heap.buffer(LEN)?;
        for (what, len, offset, flags) in cases {
            // The kernel's own heap allows it, or not, by its version.
            if what == "private" && heap.name == "system" {
                continue;
            }
            let refused = Memory::map(&buffer, len, offset, READ_WRITE, flags).err();
            assert_eq!(refused, Some(Errno::EINVAL), "{heap}: {what}");
        }
        let last = Memory::map(&buffer, page(), (LEN - page()) as i64, READ_WRITE, SHARED)?;
        last.set_word(0, 1);
        assert_eq!(Memory::of(&buffer, LEN)?.word((LEN - page()) as usize), 1, "{heap}");
    }
    Ok(())
}

fn remapped() -> Outcome {
    let may_move = MREMAP_MAYMOVE;
    for heap in Heap::all()? {
        let mut memory = Memory::of(heap.buffer(LEN)?, LEN)?;
        memory.set_word(HALF - 8, 7);
        let all = memory.len();
        let grown = memory.remap(all, 2 * all, may_move);
        assert_eq!(grown, Err(Errno::EFAULT), "{heap}: grown");
        assert_eq!(memory.remap(0, all, may_move), Err(Errno::EFAULT), "{heap}: doubled");

        memory.remap(all, HALF, 0)?;
        assert!(memory.is_readable(HALF - 1)?, "{heap}");
        assert!(!memory.is_readable(HALF)?, "{heap}: what was given back is still there");
        let regrown = memory.remap(HALF, all, 0);
        assert_eq!(regrown, Err(Errno::EFAULT), "{heap}: grown again");
        assert_eq!(memory.word(HALF - 8), 7, "{heap}");
    }
    Ok(())
}

fn outlives() -> Outcome {
    for heap in Heap::all()? {
        let memory = Memory::of(heap.buffer(LEN)?, LEN)?;
        memory.fill(9);
        assert_eq!(memory.word(LEN as usize - 8), 9, "{heap}");
    }
    Ok(())
}

/// Each page holds its number, seen from a mapping of all and from one of it alone.
fn every_page() -> Outcome {
    for heap in Heap::all()? {
        let buffer = heap.buffer(LEN)?;
        let all = Memory::of(&buffer, LEN)?;
        let pages = || (0..LEN / page()).map(|number| (number, number * page()));
        pages().for_each(|(number, at)| all.set_word(at as usize, number + 1));
        for (number, at) in pages() {
            assert_eq!(all.word(at as usize), number + 1, "{heap}: page {number} is another's");
            let alone = Memory::map(&buffer, page(), at as i64, READ_WRITE, MapFlags::MAP_SHARED)?;
            assert_eq!(alone.word(0), number + 1, "{heap}: page {number} by itself");
        }
    }
    Ok(())
}

fn read_only() -> Outcome {
    let flags = (OFlag::O_RDONLY | OFlag::O_CLOEXEC).bits() as u32;
    for heap in Heap::all()? {
        let buffer = heap.ask(Request { fd_flags: flags, ..Request::of(LEN) })?;
        assert_eq!(Memory::of(&buffer, LEN).err(), Some(Errno::EACCES), "{heap}");
        let shared = MapFlags::MAP_SHARED;
        let memory = Memory::map(&buffer, LEN, 0, ProtFlags::PROT_READ, shared)?;
        assert_eq!(memory.protect(READ_WRITE), Err(Errno::EACCES), "{heap}");
    }
    Ok(())
}

fn advised() -> Outcome {
    for heap in Heap::all()? {
        let memory = Memory::of(heap.buffer(LEN)?, LEN)?;
        memory.set_word(0, 5);
        for advice in [MmapAdvise::MADV_DONTNEED, MmapAdvise::MADV_FREE, MmapAdvise::MADV_DOFORK] {
            assert_eq!(memory.advise(advice), Err(Errno::EINVAL), "{heap}: {advice:?}");
        }
        assert_eq!(memory.word(0), 5, "{heap}");
    }
    Ok(())
}

fn bad_sync() -> Outcome {
    for heap in Heap::all()? {
        let buffer = heap.buffer(LEN)?;
        for flags in [0, SYNC_END, 1 << 3, SYNC_READ | 1 << 63, u64::MAX] {
            assert_eq!(buffer.sync(flags), Err(Errno::EINVAL), "{heap}: {flags:#x}");
        }
        // Ends without beginnings, and the other way round, harm nobody.
        for flags in [SYNC_READ | SYNC_END, SYNC_WRITE, SYNC_WRITE, SYNC_READ | SYNC_WRITE] {
            assert_eq!(buffer.sync(flags), Ok(()), "{heap}: {flags:#x}");
        }
    }
    Ok(())
}

fn no_file() -> Outcome {
    for heap in Heap::all()? {
        let buffer = heap.buffer(LEN)?;
        let mut bytes = [0; 8];
        assert_eq!(nix::unistd::read(buffer.as_raw_fd(), &mut bytes), Err(Errno::EINVAL), "{heap}");
        assert_eq!(nix::unistd::write(&buffer, &bytes), Err(Errno::EINVAL), "{heap}");
        assert_eq!(nix::unistd::ftruncate(&buffer, 0), Err(Errno::EINVAL), "{heap}");
    }
    Ok(())
}
