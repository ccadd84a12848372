// SPDX-License-Identifier: Apache-2.0
//! One buffer in several processes, some of which misbehave.

use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;

use dmaheap_buffer::header::{HEADER_SIZE, ORIGIN_SIZE};
use dmaheap_buffer::{Type, Usage, Value};
use dmaheap_imapper::Code;
use libtest_mimic::Trial;

use super::ground::{CPU, Ground, Test, expect_value, trial};
use super::handover::{self, heard, play, received, say};
use crate::dmabuf::DmaBuf;
use crate::imapper::{Imported, Mapper, Refused};
use crate::service::good;

pub fn trials() -> Vec<Trial> {
    let trial = |name: &str, test| trial(format!("processes::{name}"), test);
    vec![
        trial("what_one_writes_another_reads", what_one_writes_another_reads),
        trial("metadata_set_by_one_is_seen_by_another", metadata_is_seen),
        trial("the_reserved_region_is_shared", reserved_region_is_shared),
        trial("two_writers_at_once_tear_nothing", two_writers_at_once),
        trial("a_writer_killed_at_work_stops_nobody", a_killed_writer),
        trial("a_sequence_kept_odd_stops_nobody", an_odd_sequence),
        trial("garbage_in_the_metadata_is_unset", garbage),
    ]
}

/// What this program does when a test runs it again; `None` if the role is not of this module.
pub fn role(role: &str) -> Option<Test> {
    match role {
        "reader" => Some(reader()),
        "setter" => Some(setter()),
        "tearer" => Some(tearer()),
        _ => None,
    }
}

fn pattern(offset: usize) -> u8 {
    (offset * 7 + offset / 251) as u8
}

fn what_one_writes_another_reads(ground: &Ground) -> Test {
    let buffer = ground.imported()?;
    let write = |pixels: &mut [u8]| {
        pixels.iter_mut().enumerate().for_each(|(offset, byte)| *byte = pattern(offset));
    };
    buffer.with_pixels(Usage::CPU_WRITE_OFTEN, write)?;
    let mut peer = play("reader", &buffer.to_raw()?)?;
    peer.expect("read")?;
    // And back: the other process has changed the first byte.
    let first = buffer.with_pixels(Usage::CPU_READ_OFTEN, |pixels| pixels[0])?;
    assert_eq!(first, !pattern(0));
    peer.finish()
}

fn reader() -> Test {
    let mapper = Mapper::load()?;
    let buffer = mapper.import(&received()?)?;
    let wrong = buffer.with_pixels(CPU, |pixels| {
        let wrong = pixels.iter().enumerate().find(|(offset, byte)| **byte != pattern(*offset));
        let wrong = wrong.map(|(offset, _)| offset);
        pixels[0] = !pixels[0];
        wrong
    })?;
    match wrong {
        None => say("read"),
        Some(offset) => say(&format!("byte {offset} is another")),
    }
}

fn metadata_is_seen(ground: &Ground) -> Test {
    let buffer = ground.imported()?;
    let mut peer = play("setter", &buffer.to_raw()?)?;
    peer.expect("set")?;
    expect_value(&buffer, Value::Dataspace(7))?;
    buffer.set(&Value::Dataspace(8))?;
    peer.tell("set again")?;
    peer.expect("seen")?;
    peer.finish()
}

fn setter() -> Test {
    let mapper = Mapper::load()?;
    let buffer = mapper.import(&received()?)?;
    buffer.set(&Value::Dataspace(7))?;
    say("set")?;
    heard()?;
    expect_value(&buffer, Value::Dataspace(8))?;
    say("seen")
}

fn reserved_region_is_shared(ground: &Ground) -> Test {
    let info = dmaheap_aidl::allocator::BufferDescriptorInfo { reservedSize: 5000, ..good() };
    let allocation = ground.allocate(info)?;
    let region = |buffer: &Imported<'_>| {
        let (mut start, mut size) = (std::ptr::null_mut(), 0);
        let get = ground.mapper.table().v5.get_reserved_region;
        // SAFETY: an imported handle, and places for an address and a size.
        let code = unsafe { get(buffer.handle(), &mut start, &mut size) };
        assert_eq!((code, size), (Code::NONE, 5000));
        start.cast::<u8>()
    };
    let (one, other) = (allocation.import(ground)?, allocation.import(ground)?);
    let (to, from) = (region(&one), region(&other));
    assert_eq!(to.align_offset(align_of::<u64>()), 0);
    // SAFETY: both regions have 5000 bytes until their import is freed.
    let last = unsafe {
        to.add(4999).write(42);
        from.add(4999).read()
    };
    assert_eq!(last, 42);

    let none = ground.imported()?;
    let (mut start, mut size) = (std::ptr::dangling_mut(), 1);
    let get = ground.mapper.table().v5.get_reserved_region;
    // SAFETY: as above.
    let code = unsafe { get(none.handle(), &mut start, &mut size) };
    assert_eq!((code, start.is_null(), size), (Code::NONE, true, 0));
    Ok(())
}

/// The value that a writer sets in this round: all its numbers are equal.
fn light(round: u32) -> Value {
    Value::Smpte2086(Some([round as f32; 10]))
}

fn require_whole(value: &Value) -> Test {
    match value {
        Value::Smpte2086(Some(numbers)) if numbers.iter().all(|n| *n == numbers[0]) => Ok(()),
        Value::Smpte2086(None) => Ok(()),
        torn => Err(format!("torn: {torn:?}").into()),
    }
}

/// Sets until it is told to stop, or killed.
fn tearer() -> Test {
    let mapper = Mapper::load()?;
    let buffer = mapper.import(&received()?)?;
    say("at work")?;
    let stop = std::thread::spawn(|| heard().is_ok());
    for round in 0.. {
        match buffer.set(&light(round % 1000)) {
            Ok(()) | Err(Refused(Code::NO_RESOURCES)) => {}
            Err(refused) => return Err(refused.into()),
        }
        require_whole(&buffer.get(Type::Smpte2086)?)?;
        if stop.is_finished() {
            break;
        }
    }
    Ok(())
}

fn two_writers_at_once(ground: &Ground) -> Test {
    let buffer = ground.imported()?;
    let mut peers = [play("tearer", &buffer.to_raw()?)?, play("tearer", &buffer.to_raw()?)?];
    for peer in &mut peers {
        peer.expect("at work")?;
    }
    // However long that takes: the peers write for ever.
    let mut seen = std::collections::BTreeSet::new();
    while seen.len() < 100 {
        let value = buffer.get(Type::Smpte2086)?;
        require_whole(&value)?;
        if let Value::Smpte2086(Some([first, ..])) = value {
            seen.insert(first as u32);
        }
    }
    peers.into_iter().try_for_each(handover::Peer::finish)
}

fn a_killed_writer(ground: &Ground) -> Test {
    let buffer = ground.imported()?;
    // Killed at many different moments.
    for round in 0..20 {
        let mut peer = play("tearer", &buffer.to_raw()?)?;
        peer.expect("at work")?;
        std::thread::sleep(Duration::from_millis(round));
        peer.kill()?;
        require_whole(&buffer.get(Type::Smpte2086)?)?;
        let ours = light(2000 + round as u32);
        buffer.set(&ours)?;
        expect_value(&buffer, ours)?;
    }
    Ok(())
}

/// The metadata of a buffer, mapped by somebody who does not keep to the protocol.
fn with_words(buffer: &Imported<'_>, work: impl FnOnce(&[AtomicU32]) -> Test) -> Test {
    let raw = buffer.to_raw()?;
    // SAFETY: the handle keeps its descriptors open.
    let fd = unsafe { std::os::fd::BorrowedFd::borrow_raw(raw.fds()[1]) };
    let metadata = DmaBuf::new(fd.try_clone_to_owned()?)?;
    let mapping = metadata.map()?;
    work(&mapping.words()[ORIGIN_SIZE / 4..HEADER_SIZE / 4])
}

fn an_odd_sequence(ground: &Ground) -> Test {
    let buffer = ground.imported()?;
    buffer.set(&Value::Dataspace(3))?;
    with_words(&buffer, |words| {
        // All words odd: every sequence says that somebody writes.
        words.iter().for_each(|word| {
            word.fetch_or(1, Ordering::Relaxed);
        });
        for kind in Type::ALL {
            buffer.get(*kind)?;
        }
        buffer.set(&Value::Dataspace(4))?;
        expect_value(&buffer, Value::Dataspace(4))?;
        buffer.set(&Value::Cta861_3(Some([1.0, 2.0])))?;
        expect_value(&buffer, Value::Cta861_3(Some([1.0, 2.0])))
    })
}

fn garbage(ground: &Ground) -> Test {
    let buffer = ground.imported()?;
    let before: Vec<Value> =
        Type::ALL.iter().map(|kind| buffer.get(*kind)).collect::<Result<_, _>>()?;
    with_words(&buffer, |words| {
        for garbage in [u32::MAX, 0x8000_0001, 5, 0x0101_0101, 0] {
            words.iter().for_each(|word| word.store(garbage, Ordering::Relaxed));
            for (kind, before) in Type::ALL.iter().zip(&before) {
                expect_value(&buffer, before.clone()).map_err(|e| format!("{kind:?}: {e}"))?;
            }
        }
        Ok(())
    })
}
