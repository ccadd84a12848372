// SPDX-License-Identifier: Apache-2.0
//! Handles that somebody made up.

use std::error::Error;
use std::fs::File;
use std::io::pipe;
use std::os::fd::{AsRawFd, OwnedFd};
use std::os::unix::net::UnixStream;

use dmaheap_aidl::allocator::BufferDescriptorInfo;
use dmaheap_buffer::handle::INTS;
use dmaheap_buffer::{Bytes, Constraints, Extent, Handle, Layout, Type, Value};
use dmaheap_imapper::{BufferHandle, Code};
use fastrand::Rng;
use libtest_mimic::Trial;
use nix::sys::memfd::{MemFdCreateFlag, memfd_create};

use super::ground::{CPU, Ground, Ours, Test, number, trial};
use crate::imapper::{Imported, RawHandle};
use crate::service::good;

pub fn trials() -> Vec<Trial> {
    let trial = |name: &str, test| trial(format!("hostile::{name}"), test);
    vec![
        trial("counts_that_are_wrong_are_refused", wrong_counts),
        trial("every_changed_integer_is_refused", changed_integers),
        trial("facts_that_agree_are_held_against_the_buffers", forged_facts),
        trial("what_a_forged_handle_says_is_inside_its_buffer", forged_integers),
        trial("descriptors_of_anything_else_are_refused", other_descriptors),
        trial("buffers_of_other_handles_are_refused", other_buffers),
        trial("double_free_and_foreign_pointers_are_refused", foreign_pointers),
        trial("a_thousand_mutations_are_refused_or_harmless", a_thousand_mutations),
        trial("without_free_descriptors_import_says_so", no_descriptors_left),
        trial("threads_that_free_what_others_use_are_survived", threads),
    ]
}

/// The words of a native handle.
fn words(raw: &RawHandle) -> Vec<i32> {
    let counts = [12, raw.fds().len() as i32, raw.ints().len() as i32];
    [&counts, raw.fds(), raw.ints()].concat()
}

fn wrong_counts(ground: &Ground) -> Test {
    let buffer = ground.generic()?;
    let good = words(&buffer.raw);
    assert_eq!(ground.import_words(&good), Code::NONE);
    let ints = INTS as i32;
    for [version, fds, count] in [
        [12, -1, ints],
        [12, 2, -1],
        [12, -1, -1],
        [12, i32::MIN, i32::MIN],
        [12, i32::MAX, i32::MAX],
        [12, 0, ints + 2],
        [12, 1, ints + 1],
        [12, 3, ints - 1],
        [12, 2, ints - 1],
        [12, 2, ints + 1],
        [12, 1 << 30, 1 << 30],
        [0, 2, ints],
        [-12, 2, ints],
        [16, 2, ints],
        [i32::MAX, 2, ints],
    ] {
        let mut bad = good.clone();
        bad[..3].copy_from_slice(&[version, fds, count]);
        assert_eq!(ground.import_words(&bad), Code::BAD_BUFFER, "{version} {fds} {count}");
    }
    Ok(())
}

fn changed_integers(ground: &Ground) -> Test {
    let buffer = ground.generic()?;
    let good = words(&buffer.raw);
    for place in 5..good.len() {
        for flip in [1, 4096, 1 << 30, i32::MIN, -1] {
            let mut bad = good.clone();
            bad[place] ^= flip;
            assert_eq!(ground.import_words(&bad), Code::BAD_BUFFER, "int {} ^ {flip}", place - 5);
        }
    }
    Ok(())
}

/// Handles that are sound by themselves, checksum and all, and are those of no buffer.
fn forged_facts(ground: &Ground) -> Test {
    let buffer = ground.generic()?;
    let good = Handle::decode(buffer.raw.ints())?;
    let import = |handle: &Handle| {
        let words = words(&buffer.raw);
        ground.import_words(&[&words[..5], &handle.encode()].concat())
    };
    let taller = |height| {
        let extent = Extent::new(64, height, 1)?;
        Layout::new(good.layout.format(), extent, &Constraints::default())
    };
    assert_eq!(import(&good), Code::NONE);
    for (what, forged) in [
        ("another id", Handle { id: good.id ^ 1, ..good.clone() }),
        ("a reserved region", Handle { reserved: Bytes(1 << 20), ..good.clone() }),
        ("a huge one", Handle { reserved: Bytes(1 << 40), ..good.clone() }),
        ("a row more", Handle { layout: taller(65)?, ..good.clone() }),
        ("many more", Handle { layout: taller(1 << 24)?, ..good.clone() }),
    ] {
        Handle::decode(&forged.encode())?;
        assert_eq!(import(&forged), Code::BAD_BUFFER, "{what}");
    }
    Ok(())
}

/// Makes the checksum match, which is no secret.
fn sign(words: &mut [i32]) {
    let (facts, sum) = words[5..].split_at_mut(INTS - 2);
    let bytes = facts.iter().flat_map(|int| int.to_ne_bytes());
    let hash = bytes.fold(0xcbf2_9ce4_8422_2325_u64, |hash, byte| {
        (hash ^ u64::from(byte)).wrapping_mul(0x100_0000_01b3)
    });
    sum.copy_from_slice(&[hash as i32, (hash >> 32) as i32]);
}

/// Any integer is another, and the checksum is right: who reads by what the mapper then says stays
/// inside the buffer, or the handle is refused.
fn forged_integers(ground: &Ground) -> Test {
    let buffer = ground.generic()?;
    let good = words(&buffer.raw);
    let mut accepted = 0;
    for place in 5..5 + INTS - 2 {
        for value in [0, 1, 2, 3, 4, 0x22, 0x23, 63, 65, 128, 4096, 1 << 20, i32::MAX, -1] {
            let mut forged = good.clone();
            forged[place] = value;
            sign(&mut forged);
            let mut handle = std::ptr::null();
            let import = ground.mapper.table().v5.import_buffer;
            // SAFETY: a native handle with as much as its counts say, and a place for another.
            match unsafe { import(forged.as_ptr().cast(), &mut handle) } {
                Code::BAD_BUFFER => continue,
                code => assert_eq!(code, Code::NONE, "int {} = {value}", place - 5),
            }
            let import = ground.mapper.adopt(handle);
            let ends = ends(&import)?;
            // 64 x 64 pixels of four bytes.
            assert!(ends.iter().all(|end| *end <= 16384), "int {} = {value}: {ends:?}", place - 5);
            accepted += 1;
        }
    }
    assert!(accepted > 20, "only {accepted} were accepted");
    Ok(())
}

/// Where readers end: by stride, height and the format asked for, as libui has them, and by planes.
fn ends(buffer: &Imported<'_>) -> Result<Vec<u64>, Box<dyn Error>> {
    let fact = |kind| number(buffer, kind);
    let Value::PixelFormatRequested(format) = buffer.get(Type::PixelFormatRequested)? else {
        return Err("no format".into());
    };
    let bytes = match format {
        1 | 2 => 4,
        3 => 3,
        4 => 2,
        _ => 1,
    };
    let rows = fact(Type::Stride)? * fact(Type::Height)? * fact(Type::LayerCount)?;
    Ok(vec![rows * bytes, buffer.size()? as u64])
}

/// Open descriptors that are none of a dma-buf, with what they are.
fn others() -> Result<Vec<(&'static str, OwnedFd)>, Box<dyn Error>> {
    let memfd = memfd_create(c"no dma-buf", MemFdCreateFlag::MFD_CLOEXEC)?;
    nix::unistd::ftruncate(&memfd, 1 << 20)?;
    let (pipe, _) = pipe()?;
    let (socket, _) = UnixStream::pair()?;
    Ok(vec![
        ("memfd", memfd),
        ("pipe", pipe.into()),
        ("socket", socket.into()),
        ("/dev/null", File::options().read(true).write(true).open("/dev/null")?.into()),
        ("/dev/zero", File::options().read(true).write(true).open("/dev/zero")?.into()),
        ("file", File::open("/vendor/etc/dmaheap/heaps.toml")?.into()),
        ("folder", File::open("/proc")?.into()),
        ("heap", File::open("/dev/dma_heap/system")?.into()),
        ("binder", File::options().read(true).write(true).open("/dev/binder")?.into()),
        ("vivid", File::options().read(true).write(true).open("/dev/video0")?.into()),
    ])
}

fn other_descriptors(ground: &Ground) -> Test {
    let buffer = ground.generic()?;
    let good = words(&buffer.raw);
    let closed = others()?.into_iter().map(|(_, fd)| fd.as_raw_fd()).next_back().unwrap_or(-1);
    let others = others()?;
    let open = others.iter().map(|(what, fd)| (*what, fd.as_raw_fd()));
    let never = [("-1", -1), ("closed", closed + 100), ("MAX", i32::MAX), ("MIN", i32::MIN)];
    for (what, fd) in open.chain(never) {
        for place in [3, 4] {
            let mut bad = good.clone();
            bad[place] = fd;
            assert_eq!(ground.import_words(&bad), Code::BAD_BUFFER, "{what} at {}", place - 3);
        }
    }
    Ok(())
}

fn other_buffers(ground: &Ground) -> Test {
    let of_size = |width, height| ground.allocate(BufferDescriptorInfo { width, height, ..good() });
    // One has more pages than the other, whatever their size.
    let (buffer, small) = (of_size(256, 256)?, of_size(8, 8)?);
    let (good, small) = (words(&buffer.raw), words(&small.raw));
    let with = |pixels, metadata| {
        let mut words = good.clone();
        (words[3], words[4]) = (pixels, metadata);
        ground.import_words(&words)
    };
    assert_eq!(with(good[4], good[3]), Code::BAD_BUFFER, "swapped");
    assert_eq!(with(small[3], good[4]), Code::BAD_BUFFER, "pixels too small");
    assert_eq!(with(good[3], small[4]), Code::BAD_BUFFER, "another buffer's metadata");
    assert_eq!(with(good[3], good[3]), Code::BAD_BUFFER, "pixels twice");
    assert_eq!(with(good[4], good[4]), Code::BAD_BUFFER, "metadata twice");
    Ok(())
}

fn foreign_pointers(ground: &Ground) -> Test {
    let buffer = ground.generic()?;
    let mut imported = std::ptr::null();
    let import = ground.mapper.table().v5.import_buffer;
    // SAFETY: a native handle, and a place for another.
    assert_eq!(unsafe { import(buffer.raw.as_ptr(), &mut imported) }, Code::NONE);
    assert_eq!(ground.free(imported), Code::NONE);
    assert_eq!(ground.free(imported), Code::BAD_BUFFER, "freed twice");
    assert_eq!(ground.unlock(imported), Code::BAD_BUFFER, "unlocked after it was freed");
    let on_stack = 0u64;
    for address in [1, 4096, usize::MAX, usize::MAX & !7, (&raw const on_stack).addr()] {
        let foreign = std::ptr::without_provenance(address);
        assert_eq!(ground.free(foreign), Code::BAD_BUFFER, "{address:#x}");
        assert_eq!(ground.unlock(foreign), Code::BAD_BUFFER, "{address:#x}");
    }
    Ok(())
}

fn pick<T: Copy>(random: &mut Rng, from: &[T]) -> T {
    from[random.usize(..from.len())]
}

/// Each mutant is refused, or imports and works as a buffer.
fn a_thousand_mutations(ground: &Ground) -> Test {
    let buffer = ground.generic()?;
    let good = words(&buffer.raw);
    let stranger = ground.generic()?;
    let others = others()?;
    let mut fds: Vec<i32> = others.iter().map(|(_, fd)| fd.as_raw_fd()).collect();
    fds.extend(stranger.raw.fds());
    fds.extend([-1, 500, i32::MAX, i32::MIN]);
    let before = Ours::now()?;
    let mut random = Rng::with_seed(5);
    let [mut refused, mut harmless] = [0, 0];
    for round in 0..1000 {
        let mut mutant = good.clone();
        for _ in 0..random.u8(1..=3) {
            let place = random.usize(..mutant.len());
            mutant[place] = match place {
                3 | 4 => pick(&mut random, &fds),
                // A handle is never longer than it says: more would be the client's lie.
                1 | 2 => pick(&mut random, &[-1, 0, 1, 2, good[2], i32::MIN]),
                _ if random.bool() => mutant[place] ^ 1 << random.u8(..32),
                _ => random.i32(..),
            };
        }
        let mut out = std::ptr::null();
        let import = ground.mapper.table().v5.import_buffer;
        // SAFETY: the counts never say more than there is, as far as the mapper may read.
        match unsafe { import(mutant.as_ptr().cast(), &mut out) } {
            Code::NONE => {
                use_and_free(ground, out);
                harmless += 1;
            }
            Code::BAD_BUFFER => refused += 1,
            other => return Err(format!("mutant {round}: {other:?}: {mutant:?}").into()),
        }
        assert_eq!(Ours::now()?, before, "mutant {round}: {mutant:?}");
    }
    eprintln!("1000 mutants: {refused} refused, {harmless} harmless");
    assert!(refused > 900);
    Ok(())
}

fn use_and_free(ground: &Ground, handle: BufferHandle) {
    let v5 = &ground.mapper.table().v5;
    let mut start = std::ptr::null_mut();
    // SAFETY: an imported handle, no fence, a place for an address.
    let lock = unsafe { (v5.lock)(handle, CPU.bits(), crate::imapper::WHOLE, -1, &mut start) };
    assert_eq!(lock, Code::NONE);
    // SAFETY: locked, and a buffer of 64 x 64 pixels of four bytes.
    unsafe { start.cast::<u8>().write_bytes(1, 64 * 64 * 4) };
    assert_eq!(ground.unlock(handle), Code::NONE);
    assert_eq!(ground.free(handle), Code::NONE);
}

fn no_descriptors_left(ground: &Ground) -> Test {
    let buffer = ground.generic()?;
    let mut taken = Vec::new();
    let null = File::open("/dev/null")?;
    while let Ok(another) = null.try_clone() {
        taken.push(another);
    }
    let full = ground.import_words(&words(&buffer.raw));
    taken.pop();
    let one_left = ground.import_words(&words(&buffer.raw));
    drop(taken);
    assert_eq!((full, one_left), (Code::NO_RESOURCES, Code::NO_RESOURCES));
    assert_eq!(ground.import_words(&words(&buffer.raw)), Code::NONE);
    Ok(())
}

/// Whoever loses a race gets BAD_BUFFER.
fn threads(ground: &Ground) -> Test {
    let allocation = ground.generic()?;
    let table = ground.mapper.table();
    for _ in 0..200 {
        let mut handle = std::ptr::null();
        // SAFETY: a native handle, and a place for another.
        let code = unsafe { (table.v5.import_buffer)(allocation.raw.as_ptr(), &mut handle) };
        assert_eq!(code, Code::NONE);
        let address = handle.addr();
        let race = move || {
            let handle = std::ptr::without_provenance(address);
            let (mut start, mut fence) = (std::ptr::null_mut(), -1);
            let whole = crate::imapper::WHOLE;
            // SAFETY: the mapper looks the handle up; no fence, places for results.
            unsafe {
                (table.v5.lock)(handle, 0x33, whole, -1, &mut start);
                (table.v5.get_standard_metadata)(handle, 17, std::ptr::null_mut(), 0);
                (table.v5.unlock)(handle, &mut fence);
                (table.v5.free_buffer)(handle)
            }
        };
        let threads: Vec<_> = (0..3).map(|_| std::thread::spawn(race)).collect();
        let codes: Vec<Code> =
            threads.into_iter().map(|t| t.join()).collect::<Result<_, _>>().map_err(|_| "died")?;
        assert_eq!(codes.iter().filter(|code| **code == Code::NONE).count(), 1, "{codes:?}");
    }
    Ok(())
}
