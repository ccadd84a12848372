// SPDX-License-Identifier: Apache-2.0
//! The dump: what is in it, for whom, and that nobody waits for its reader. Beside it, what the kernel
//! tells of the service's own threads.

use std::error::Error;
use std::fs;
use std::io::{PipeReader, PipeWriter, Write, pipe};
use std::os::fd::AsRawFd;
use std::sync::mpsc;
use std::thread;
use std::time::Duration;

use dmaheap_aidl::binder;
use dmaheap_buffer::Usage;
use libtest_mimic::Trial;
use nix::fcntl::{FcntlArg, fcntl};
use nix::unistd::getuid;
use serde_json::Value;

use super::report::{allocate, heap};
use crate::harness::{Outcome, instance, start};
use crate::service::{connect, dump, good, pid, refusal, report, trial};

type Result<T> = std::result::Result<T, Box<dyn Error>>;

/// An app's uid.
const APP: u32 = 10_004;
/// Whoever is not served by then never will be.
const NEVER: Duration = Duration::from_secs(40);

pub fn trials() -> Vec<Trial> {
    vec![
        trial("dump::is_json_whatever_else_is_asked", is_json),
        trial("dump::that_nobody_reads_holds_nobody_up", unread),
        trial("dump::shows_an_app_its_own_account_only", own_account_only),
        trial("dump::counts_what_was_asked_for_as_served", served),
        trial("dump::tells_whether_it_can_see_what_memory_there_is", blind),
        trial("dump::tells_of_a_refused_version_1_call", version_1),
        trial("threads::the_one_that_refills_has_the_ordinary_policy", policy_of_the_refill),
    ]
}

fn is_json() -> Outcome {
    for odd in [vec![], vec!["-a".to_owned()], vec!["\u{0}".to_owned(), "%n".repeat(10_000)]] {
        let options: Vec<&str> = odd.iter().map(String::as_str).chain(["--json"]).collect();
        let text = dump(&options)?;
        let report: Value = serde_json::from_str(&text)?;
        assert!(report["heaps"].as_array().is_some_and(|heaps| !heaps.is_empty()), "{report}");
    }
    Ok(())
}

/// Six dumps of either kind into pipes that are full and stay so, which is one for each of the service's threads and
/// one more; then each of them ends, whatever came of it, and still nobody has read.
fn unread() -> Outcome {
    // So that there is something to list.
    let _held = connect()?.allocate2(&good(), 1)?;
    let (tell, told) = mpsc::channel();
    let mut unread = Vec::new();
    for i in 0..6 {
        let (from, to) = full_pipe()?;
        unread.push(from);
        let tell = tell.clone();
        let options = if i % 2 == 0 { vec!["--buffers".to_owned()] } else { Vec::new() };
        thread::spawn(move || {
            let ended =
                binder::dump(instance(), &to, &options).err().map(|error| error.to_string());
            tell.send(ended)
        });
    }
    within_reason(|| {
        let allocator = connect().map_err(|error| error.to_string())?;
        for _ in 0..20 {
            allocator.allocate2(&good(), 1).map_err(|status| status.to_string())?;
        }
        Ok(())
    })?;
    for i in 0..unread.len() {
        let ended = told.recv_timeout(NEVER);
        let error = ended.map_err(|_| format!("{i} dumps ended, and no more of them"))?;
        assert!(error.is_some(), "a dump was written into a full pipe");
    }
    drop(unread);
    // And the next reader has one.
    assert!(dump(&[])?.contains("framebuffer"));
    Ok(())
}

fn full_pipe() -> Result<(PipeReader, PipeWriter)> {
    let (from, mut to) = pipe()?;
    let size = fcntl(to.as_raw_fd(), FcntlArg::F_SETPIPE_SZ(1))?;
    to.write_all(&vec![b'x'; usize::try_from(size)?])?;
    Ok((from, to))
}

/// Runs it on a thread that is left behind if it never ends.
fn within_reason(
    run: impl FnOnce() -> std::result::Result<(), String> + Send + 'static,
) -> Outcome {
    let (tell, told) = mpsc::channel();
    thread::spawn(move || tell.send(run()));
    Ok(told.recv_timeout(NEVER).map_err(|_| "the service is deaf")??)
}

/// Role: an app that looks into the dump.
pub fn look() -> Outcome {
    let _held = connect()?.allocate2(&good(), 1)?;
    let (report, own) = (report()?, getuid().as_raw());
    let uids = uids(&report);
    match uids.iter().all(|uid| *uid == u64::from(own)) {
        true if uids.is_empty() => Err(format!("uid {own} has no account").into()),
        true => Ok(()),
        false => Err(format!("uid {own} sees the accounts of {uids:?}").into()),
    }
}

fn own_account_only() -> Outcome {
    let _held = connect()?.allocate2(&good(), 1)?;
    let status = start("look", APP, APP)?.wait()?;
    assert!(status.success(), "{status}");
    let seen = uids(&report()?);
    assert!(seen.contains(&0) && seen.contains(&APP.into()), "root sees the accounts of {seen:?}");
    Ok(())
}

fn uids(report: &Value) -> Vec<u64> {
    let callers = report["callers"].as_array().into_iter().flatten();
    callers.filter_map(|caller| caller["uid"].as_u64()).collect()
}

/// Of each buffer the pixels, and neither its metadata nor what is made ready.
fn served() -> Outcome {
    const COUNT: u64 = 40;
    let count = |name| -> Result<u64> {
        Ok(heap(name)?["served"].as_u64().ok_or("a heap has no count of buffers")?)
    };
    let before = (count("fixed")?, count("system")?);
    for _ in 0..COUNT {
        allocate(Usage::COMPOSER_CURSOR, 16)?;
    }
    assert_eq!((count("fixed")?, count("system")?), (before.0 + COUNT, before.1));
    Ok(())
}

fn blind() -> Outcome {
    assert_eq!(report()?["blind"], Value::Null);
    Ok(())
}

#[allow(deprecated)]
fn version_1() -> Outcome {
    let failures = || -> Result<u64> {
        let report = report()?;
        let callers = report["callers"].as_array().ok_or("no callers")?.iter();
        Ok(callers.filter(|c| c["uid"] == 0).filter_map(|c| c["failures"].as_u64()).sum())
    };
    let before = failures()?;
    refusal(connect()?.allocate(&[0; 172], 1))?;
    assert_eq!(failures()?, before + 1);
    Ok(())
}

/// The kernel's locks that it holds are waited for by threads that draw: it must not wait while others
/// are busy, as with `SCHED_IDLE` or a nice value.
fn policy_of_the_refill() -> Outcome {
    for task in fs::read_dir(format!("/proc/{}/task", pid()?))? {
        let task = task?.path();
        if fs::read_to_string(task.join("comm"))?.trim() == "reserve" {
            let stat = fs::read_to_string(task.join("stat"))?;
            let (_, behind) = stat.rsplit_once(") ").ok_or("no name in its stat")?;
            let field = |number: usize| behind.split(' ').nth(number - 3);
            // As proc(5) counts them: 19 is nice, 41 the policy, 0 the ordinary one.
            assert_eq!((field(41), field(19)), (Some("0"), Some("0")), "policy and nice value");
            return Ok(());
        }
    }
    Err("the service has no thread that refills".into())
}
