// SPDX-License-Identifier: Apache-2.0
//! What the library asks of the kernel, seen from outside. Emulated caches are coherent, so that a
//! lock without DMA_BUF_IOCTL_SYNC would give the right pixels here and stale ones on a board:
//! only the system calls tell.

use std::error::Error;

use dmaheap_buffer::{Type, Usage, Value};
use dmaheap_imapper::Code;
use libtest_mimic::Trial;
use nix::libc;
use nix::sys::ptrace;
use nix::sys::signal::{Signal, raise};
use nix::sys::wait::{WaitStatus, waitpid};

use super::ground::{CPU, Ground, Test, trial};
use super::handover::{self, received, say};
use crate::imapper::{Imported, Mapper, WHOLE};

pub fn trials() -> Vec<Trial> {
    let trial = |name: &str, test| trial(format!("tracing::{name}"), test);
    vec![
        trial("locks_synchronise_in_their_direction", locks_synchronise),
        trial("flush_and_reread_synchronise", flush_and_reread_synchronise),
        trial("free_ends_the_locks_that_are_left", free_ends_locks),
        trial("only_the_first_lock_maps", only_the_first_lock_maps),
        trial("metadata_takes_no_system_call", metadata_takes_no_system_call),
        trial("import_takes_the_calls_it_must", import_calls),
        trial("a_strict_seccomp_filter_is_enough", strict_seccomp),
    ]
}

/// What this program does when a test runs it again; `None` if the role is not of this module.
pub fn role(role: &str) -> Option<Test> {
    let traced: fn(&Imported<'_>) -> Test = match role {
        "trace locks" => |buffer| {
            for usage in [Usage::CPU_READ_RARELY, Usage::CPU_WRITE_OFTEN, CPU] {
                buffer.lock(usage, WHOLE)?;
                buffer.unlock()?;
            }
            // Nested: each ends as it began.
            buffer.lock(Usage::CPU_READ_OFTEN, WHOLE)?;
            buffer.lock(Usage::CPU_WRITE_OFTEN, WHOLE)?;
            buffer.unlock()?;
            buffer.unlock()?;
            Ok(())
        },
        "trace flush" => |buffer| {
            buffer.lock(CPU, WHOLE)?;
            let v5 = &Mapper::load()?.table().v5;
            mark()?;
            // SAFETY: imported and locked.
            assert_eq!(unsafe { (v5.flush_locked_buffer)(buffer.handle()) }, Code::NONE);
            // SAFETY: as above.
            assert_eq!(unsafe { (v5.reread_locked_buffer)(buffer.handle()) }, Code::NONE);
            mark()?;
            buffer.unlock()?;
            Ok(())
        },
        "trace free" => |buffer| {
            let raw = buffer.to_raw()?;
            let mapper = Mapper::load()?;
            let other = mapper.import(&raw)?;
            other.lock(Usage::CPU_READ_OFTEN, WHOLE)?;
            other.lock(Usage::CPU_WRITE_OFTEN, WHOLE)?;
            mark()?;
            drop(other);
            mark()
        },
        "trace maps" => |buffer| {
            mark()?;
            for _ in 0..3 {
                buffer.lock(CPU, WHOLE)?;
                buffer.unlock()?;
            }
            mark()
        },
        "trace metadata" => |buffer| {
            buffer.set(&Value::Cta861_3(Some([1.0, 2.0])))?;
            let mut place = vec![0u8; 8192];
            let v5 = &Mapper::load()?.table().v5;
            let mut all = || {
                for kind in Type::ALL {
                    let (handle, number) = (buffer.handle(), kind.number());
                    let (start, room) = (place.as_mut_ptr().cast(), place.len());
                    // SAFETY: imported, and the place has so many bytes.
                    unsafe { (v5.get_standard_metadata)(handle, number, start, room) };
                }
            };
            // The allocator of this process takes its memory the first time.
            all();
            mark()?;
            (0..10).for_each(|_| all());
            mark()
        },
        "trace import" => |buffer| {
            let raw = buffer.to_raw()?;
            let mapper = Mapper::load()?;
            drop(mapper.import(&raw)?);
            mark()?;
            drop(mapper.import(&raw)?);
            mark()
        },
        "confined" => return Some(confined()),
        _ => return None,
    };
    Some(traced_role(traced))
}

/// Stops, so that the tracer knows that what is between two stops counts.
fn mark() -> Test {
    Ok(raise(Signal::SIGSTOP)?)
}

fn traced_role(work: fn(&Imported<'_>) -> Test) -> Test {
    let mapper = Mapper::load()?;
    let buffer = mapper.import(&received()?)?;
    ptrace::traceme()?;
    raise(Signal::SIGUSR2)?;
    work(&buffer)
}

/// A system call as it was made.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Call {
    number: i64,
    arguments: [u64; 3],
    /// The first word behind the third argument, if that is the address of one.
    word: u64,
}

#[cfg(target_arch = "aarch64")]
fn call_of(registers: &libc::user_regs_struct) -> (i64, [u64; 3]) {
    let [first, second, third, ..] = registers.regs;
    (registers.regs[8].cast_signed(), [first, second, third])
}

#[cfg(target_arch = "x86_64")]
fn call_of(registers: &libc::user_regs_struct) -> (i64, [u64; 3]) {
    (registers.orig_rax.cast_signed(), [registers.rdi, registers.rsi, registers.rdx])
}

/// What a role asks of the kernel, up to its end: first all, then what is between its marks.
fn calls(ground: &Ground, role: &str) -> Result<[Vec<Call>; 2], Box<dyn Error>> {
    let buffer = ground.imported()?;
    let peer = handover::play(role, &buffer.to_raw()?)?;
    let pid = peer.pid();
    let WaitStatus::Stopped(_, Signal::SIGUSR2) = waitpid(pid, None)? else {
        return Err("the traced process did not begin".into());
    };
    ptrace::setoptions(pid, ptrace::Options::PTRACE_O_TRACESYSGOOD)?;
    let [mut all, mut marked] = [Vec::new(), Vec::new()];
    let [mut entering, mut inside] = [true, false];
    loop {
        ptrace::syscall(pid, None)?;
        match waitpid(pid, None)? {
            WaitStatus::PtraceSyscall(_) if entering => {
                let (number, arguments) = call_of(&ptrace::getregs(pid)?);
                let word = ptrace::read(pid, arguments[2] as ptrace::AddressType).unwrap_or(0);
                let call = Call { number, arguments, word: word.cast_unsigned() };
                all.push(call);
                if inside {
                    marked.push(call);
                }
                entering = false;
            }
            WaitStatus::PtraceSyscall(_) => entering = true,
            WaitStatus::Stopped(_, Signal::SIGSTOP) => inside = !inside,
            WaitStatus::Exited(_, 0) => break,
            other => return Err(format!("the traced process: {other:?}").into()),
        }
    }
    // Raising the second mark is the marker's own.
    let own = [libc::SYS_getpid, libc::SYS_gettid, libc::SYS_tgkill, libc::SYS_rt_sigprocmask];
    marked.retain(|call| !own.contains(&call.number));
    Ok([all, marked])
}

/// `DMA_BUF_IOCTL_SYNC`.
const SYNC: u64 = 0x4008_6200;
const READ: u64 = 1;
const WRITE: u64 = 2;
const END: u64 = 4;

/// The flags of the SYNCs among these calls, in their order.
fn syncs(calls: &[Call]) -> Vec<u64> {
    let is_sync = |c: &&Call| c.number == libc::SYS_ioctl && c.arguments[1] & 0xffff_ffff == SYNC;
    calls.iter().filter(is_sync).map(|call| call.word).collect()
}

fn locks_synchronise(ground: &Ground) -> Test {
    let [all, _] = calls(ground, "trace locks")?;
    let both = READ | WRITE;
    let single = [READ, READ | END, WRITE, WRITE | END, both, both | END];
    let nested = [READ, WRITE, WRITE | END, READ | END];
    assert_eq!(syncs(&all), [&single[..], &nested].concat());
    Ok(())
}

fn flush_and_reread_synchronise(ground: &Ground) -> Test {
    let [_, marked] = calls(ground, "trace flush")?;
    let both = READ | WRITE;
    assert_eq!(syncs(&marked), [both | END, both, both | END, both]);
    Ok(())
}

fn free_ends_locks(ground: &Ground) -> Test {
    let [_, marked] = calls(ground, "trace free")?;
    assert_eq!(syncs(&marked), [WRITE | END, READ | END]);
    Ok(())
}

fn numbers(calls: &[Call]) -> Vec<i64> {
    calls.iter().map(|call| call.number).collect()
}

fn only_the_first_lock_maps(ground: &Ground) -> Test {
    let [_, marked] = calls(ground, "trace maps")?;
    assert_eq!(numbers(&marked), [&[libc::SYS_mmap][..], &[libc::SYS_ioctl; 6]].concat());
    Ok(())
}

fn metadata_takes_no_system_call(ground: &Ground) -> Test {
    let [_, marked] = calls(ground, "trace metadata")?;
    assert_eq!(marked, []);
    Ok(())
}

/// Both descriptors: duplicated, asked for their kind and size; one mapping; and all undone.
fn import_calls(ground: &Ground) -> Test {
    let [_, marked] = calls(ground, "trace import")?;
    // By which of the two the C library's fstat asks is its own affair.
    let of_fstat = |number| if number == libc::SYS_newfstatat { libc::SYS_fstat } else { number };
    let one = [libc::SYS_fcntl, libc::SYS_fstat, libc::SYS_ioctl, libc::SYS_lseek];
    let free = [libc::SYS_munmap, libc::SYS_close, libc::SYS_close];
    let made: Vec<i64> = numbers(&marked).into_iter().map(of_fstat).collect();
    let (import, freed) = made.split_at(made.len().min(9));
    assert_eq!(import, [&one[..], &one, &[libc::SYS_mmap]].concat());
    let mut freed = freed.to_vec();
    freed.sort_unstable();
    let mut expected = free.to_vec();
    expected.sort_unstable();
    assert_eq!(freed, expected);
    Ok(())
}

/// Nothing else, whatever a client does with a buffer: no file is opened, no thread started.
const ALLOWED: &[i64] = &[
    libc::SYS_fcntl,
    libc::SYS_fstat,
    libc::SYS_newfstatat,
    libc::SYS_lseek,
    libc::SYS_ioctl,
    libc::SYS_mmap,
    libc::SYS_munmap,
    libc::SYS_close,
    libc::SYS_ppoll,
    // The rest is of this program: memory, its last word, its end.
    libc::SYS_brk,
    libc::SYS_mremap,
    libc::SYS_write,
    libc::SYS_sigaltstack,
    libc::SYS_exit_group,
];

/// Kills this process at the first other system call.
fn confine() -> std::io::Result<()> {
    let statement = |code: u32, jt, jf, k| libc::sock_filter { code: code as u16, jt, jf, k };
    let load = libc::BPF_LD | libc::BPF_W | libc::BPF_ABS;
    let equal = libc::BPF_JMP | libc::BPF_JEQ | libc::BPF_K;
    let give = libc::BPF_RET | libc::BPF_K;
    // The number is the first word of what a filter sees.
    let mut filter = vec![statement(load, 0, 0, 0)];
    for number in ALLOWED {
        filter.push(statement(equal, 0, 1, *number as u32));
        filter.push(statement(give, 0, 0, libc::SECCOMP_RET_ALLOW));
    }
    filter.push(statement(give, 0, 0, libc::SECCOMP_RET_KILL_PROCESS));
    let program = libc::sock_fprog { len: filter.len() as u16, filter: filter.as_mut_ptr() };
    // SAFETY: the call takes numbers.
    if unsafe { libc::prctl(libc::PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) } != 0 {
        return Err(std::io::Error::last_os_error());
    }
    // SAFETY: the program and the filter it points to outlive the call.
    match unsafe { libc::prctl(libc::PR_SET_SECCOMP, libc::SECCOMP_MODE_FILTER, &program) } {
        0 => Ok(()),
        _ => Err(std::io::Error::last_os_error()),
    }
}

fn confined() -> Test {
    let mapper = Mapper::open(&std::env::var("SUITE_LIBRARY")?)?;
    let raw = received()?;
    confine()?;
    let buffer = mapper.import(&raw)?;
    buffer.with_pixels(CPU, |pixels| pixels.fill(7))?;
    for kind in Type::ALL {
        buffer.get(*kind)?;
    }
    buffer.set(&Value::Dataspace(9))?;
    drop(buffer);
    say("done")
}

fn strict_seccomp(ground: &Ground) -> Test {
    let buffer = ground.imported()?;
    let mut command = std::process::Command::new(std::env::current_exe()?);
    command.env("SUITE_ROLE", "confined").env("SUITE_LIBRARY", Mapper::path()?);
    let mut peer = handover::start(command, &buffer.to_raw()?)?;
    peer.expect("done")?;
    peer.finish()?;
    assert!(buffer.with_pixels(CPU, |pixels| pixels.iter().all(|byte| *byte == 7))?);
    Ok(())
}
