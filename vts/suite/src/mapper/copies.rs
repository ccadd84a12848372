// SPDX-License-Identifier: Apache-2.0
//! The library more than once in a process, and a process more than once.

use std::fs;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;

use dmaheap_buffer::{Usage, Value};
use dmaheap_imapper::{AIMapper, BufferHandle, Code};
use libtest_mimic::Trial;
use nix::libc;
use nix::sys::wait::{WaitStatus, waitpid};
use nix::unistd::{ForkResult, alarm, fork};

use super::ground::{CPU, Ground, Test, expect_value, trial};
use crate::imapper::{Mapper, RawHandle, WHOLE};

pub fn trials() -> Vec<Trial> {
    let trial = |name: &str, test| trial(format!("copies::{name}"), test);
    vec![
        trial("a_second_copy_takes_imports_of_the_first", second_copy),
        trial("children_forked_while_others_import_do_not_hang", fork_while_importing),
    ]
}

/// "The imported handle must be considered valid everywhere in the process, including in another
/// instance of the mapper."
fn second_copy(ground: &Ground) -> Test {
    let file = std::env::temp_dir().join("mapper.copy.so");
    fs::copy(Mapper::path()?, &file)?;
    let copy = Mapper::open(file.to_str().ok_or("the path is no text")?);
    fs::remove_file(&file)?;
    let copy = copy?;

    let buffer = ground.imported()?;
    let other = copy.adopt(buffer.handle());
    let (mut fds, mut ints) = (0, 0);
    let transport = copy.table().v5.get_transport_size;
    // SAFETY: an imported handle, and places for numbers.
    assert_eq!(unsafe { transport(buffer.handle(), &mut fds, &mut ints) }, Code::NONE);
    buffer.set(&Value::Dataspace(7))?;
    expect_value(&other, Value::Dataspace(7))?;
    // A lock is one lock, whoever ends it.
    buffer.lock(CPU, WHOLE)?;
    other.unlock()?;
    other.with_pixels(Usage::CPU_WRITE_OFTEN, |pixels| pixels.fill(3))?;
    assert!(buffer.with_pixels(Usage::CPU_READ_OFTEN, |pixels| pixels.iter().all(|b| *b == 3))?);
    // And the second frees it.
    std::mem::forget(buffer);
    drop(other);
    Ok(())
}

const CHILDREN: u32 = 300;

/// Seconds after which a child counts as hung; its work takes milliseconds.
const PATIENCE: u32 = 20;

/// Imports, locks, unlocks and frees.
fn round(table: &AIMapper, raw: &RawHandle) -> bool {
    let v5 = &table.v5;
    let (mut handle, mut start, mut fence): (BufferHandle, _, _) =
        (std::ptr::null(), std::ptr::null_mut(), -1);
    // SAFETY: a native handle, and then an imported one; no fence, and places for results.
    unsafe {
        (v5.import_buffer)(raw.as_ptr(), &mut handle) == Code::NONE
            && (v5.lock)(handle, CPU.bits(), WHOLE, -1, &mut start) == Code::NONE
            && (v5.unlock)(handle, &mut fence) == Code::NONE
            && (v5.free_buffer)(handle) == Code::NONE
    }
}

/// An app's process is forked from another one, whatever that one's threads do just then.
fn fork_while_importing(ground: &Ground) -> Test {
    let raw = &ground.generic()?.raw;
    let table = ground.mapper.table();
    let done = &AtomicBool::new(false);
    let result = thread::scope(|scope| {
        for _ in 0..3 {
            scope.spawn(|| {
                while !done.load(Ordering::Relaxed) && round(table, raw) {
                    std::hint::spin_loop()
                }
            });
        }
        let result = (0..CHILDREN).try_for_each(|number| one_child(number, table, raw));
        done.store(true, Ordering::Relaxed);
        result
    });
    result.map_err(Into::into)
}

fn one_child(number: u32, table: &AIMapper, raw: &RawHandle) -> Result<(), String> {
    // SAFETY: the child makes calls of the mapper, which must allow it, and ends.
    match unsafe { fork() }.map_err(|cause| cause.to_string())? {
        ForkResult::Child => {
            alarm::set(PATIENCE);
            let good = round(table, raw);
            // SAFETY: it ends without what its parent does at its end.
            unsafe { libc::_exit(if good { 0 } else { 1 }) }
        }
        ForkResult::Parent { child } => match waitpid(child, None) {
            Ok(WaitStatus::Exited(_, 0)) => Ok(()),
            end => Err(format!("child {number} of {CHILDREN}: {end:?}")),
        },
    }
}
