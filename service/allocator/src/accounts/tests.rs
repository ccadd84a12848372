// SPDX-License-Identifier: Apache-2.0
//! Accounts held against a folder that stands for the kernel's list.

use super::*;
use std::fs::{self, File};
use std::path::{Path, PathBuf};

/// A kernel's list of buffers in a folder of its own, and accounts for it.
struct Bench {
    folder: PathBuf,
    accounts: Accounts,
}

impl Bench {
    fn new(name: &str) -> Bench {
        let folder = std::env::temp_dir().join(format!("accounts-{}-{name}", std::process::id()));
        fs::create_dir_all(folder.join("live")).unwrap();
        let accounts = Accounts::new(LiveList::at(&folder.join("live")));
        Bench { folder, accounts }
    }

    /// Something with an inode that counts as live until it is released.
    fn buffer(&self, name: &str) -> OwnedFd {
        let file = OwnedFd::from(File::create(self.folder.join(name)).unwrap());
        fs::create_dir(self.live(&file)).unwrap();
        file
    }

    fn release(&self, buffer: &OwnedFd) {
        fs::remove_dir(self.live(buffer)).unwrap();
    }

    fn live(&self, buffer: &OwnedFd) -> PathBuf {
        self.folder.join("live").join(fstat(buffer).unwrap().st_ino.to_string())
    }

    fn allocate(&self, caller: &Caller, size: u64, buffer: &OwnedFd) -> Result<()> {
        let ticket = self.accounts.admit(caller, &camera(), Bytes(size))?;
        let made = [("camera", Bytes(size), buffer)];
        ticket.settle(made.into_iter());
        Ok(())
    }
}

impl Drop for Bench {
    fn drop(&mut self) {
        let _ = fs::remove_dir_all(&self.folder);
    }
}

fn caller(uid: u32) -> Caller {
    Caller { uid, context: None }
}

fn camera() -> Spec {
    Spec {
        name: "camera".into(),
        nodes: vec![],
        contiguous: true,
        cached: true,
        protected: false,
        size: None,
        per_uid: Some(Bytes(100)),
        reserve: Vec::new(),
        domains: Vec::new(),
    }
}

#[test]
fn a_uid_at_its_limit_is_refused_until_it_releases() {
    let bench = Bench::new("limit");
    let (first, second) = (bench.buffer("first"), bench.buffer("second"));
    bench.allocate(&caller(1), 60, &first).unwrap();
    let refused = bench.allocate(&caller(1), 60, &second).unwrap_err();
    assert!(matches!(refused, Error::Quota { held: Bytes(60), .. }));
    bench.allocate(&caller(2), 60, &second).unwrap();

    bench.release(&first);
    bench.allocate(&caller(1), 60, &bench.buffer("third")).unwrap();
}

#[test]
fn contexts_of_one_uid_share_its_limit() {
    let bench = Bench::new("contexts");
    let with = |context: &str| Caller { uid: 1, context: Some(context.into()) };
    bench.allocate(&with("a"), 60, &bench.buffer("first")).unwrap();
    assert!(bench.accounts.admit(&with("b"), &camera(), Bytes(60)).is_err());
}

#[test]
fn what_is_admitted_counts_until_it_is_withdrawn() {
    let bench = Bench::new("admitted");
    let (one, heap) = (caller(1), camera());
    let ticket = bench.accounts.admit(&one, &heap, Bytes(60)).unwrap();
    assert!(bench.accounts.admit(&one, &heap, Bytes(60)).is_err());
    drop(ticket);
    assert!(bench.accounts.admit(&one, &heap, Bytes(60)).is_ok());
}

/// As for a rule that degrades from one heap to another.
#[test]
fn a_ticket_for_two_heaps_respects_both_limits_and_gives_both_back() {
    let bench = Bench::new("two");
    let (one, first) = (caller(1), camera());
    let second = Spec { name: "second".into(), ..camera() };
    let ticket = bench.accounts.admit(&one, &first, Bytes(60)).unwrap();
    ticket.admit(&second, Bytes(60)).unwrap();
    assert!(matches!(ticket.admit(&second, Bytes(60)), Err(Error::Quota { .. })));
    drop(ticket);
    assert!(bench.accounts.admit(&one, &first, Bytes(100)).is_ok());
    assert!(bench.accounts.admit(&one, &second, Bytes(100)).is_ok());
}

#[test]
fn thousands_of_callers_with_one_failure_each_are_not_kept_for_ever() {
    let bench = Bench::new("thousands");
    let held = bench.buffer("held");
    bench.allocate(&caller(7), 60, &held).unwrap();
    for uid in 10_000..13_000 {
        bench.accounts.fail(&caller(uid), &Error::BadCount(0));
    }
    let Statements { callers, forgotten, .. } = bench.accounts.statements();
    assert!(callers.len() <= REMEMBERED + 1, "{} callers", callers.len());
    assert_eq!(forgotten.failures + callers.len() as u64 - 1, 3000);
    assert_eq!(forgotten.callers + callers.len() as u64, 3001);
    // Those who hold something stay, and so do the newest.
    assert_eq!(callers[0].live_bytes, Bytes(60));
    assert_eq!(callers.last().map(|last| last.caller.uid), Some(12_999));
}

#[test]
fn statements_count_live_buffers_and_keep_totals_and_peaks() {
    let bench = Bench::new("statements");
    let (first, second) = (bench.buffer("first"), bench.buffer("second"));
    bench.allocate(&caller(1), 40, &first).unwrap();
    bench.allocate(&caller(1), 50, &second).unwrap();
    bench.release(&first);
    let Statements { callers: statements, heaps, .. } = bench.accounts.statements();
    let [one] = &statements[..] else { panic!("one caller, not {statements:?}") };
    assert_eq!((one.live_buffers, one.live_bytes), (1, Bytes(50)));
    assert_eq!((one.account.totals.buffers, one.account.totals.bytes), (2, Bytes(90)));
    assert_eq!(heaps["camera"], Held { buffers: 1, bytes: Bytes(50), peak: Bytes(90) });
}

#[test]
fn released_buffers_are_forgotten_without_anybody_asking() {
    let bench = Bench::new("forgotten");
    let unlimited = Spec { per_uid: None, ..camera() };
    for i in 0..10 * FEW {
        let buffer = bench.buffer(&i.to_string());
        let one = caller(1);
        let ticket = bench.accounts.admit(&one, &unlimited, Bytes(1)).unwrap();
        ticket.settle([("camera", Bytes(1), &buffer)].into_iter());
        bench.release(&buffer);
    }
    let entries = bench.accounts.lock().accounts[&caller(1)].entries.len();
    assert!(entries <= FEW + 1, "{entries} entries for buffers that are gone");
}

#[test]
fn a_kernel_that_lists_no_buffers_sets_no_limits() {
    let accounts = Accounts::new(LiveList::at(Path::new("/nonexistent")));
    for _ in 0..3 {
        let one = caller(1);
        let ticket = accounts.admit(&one, &camera(), Bytes(90)).unwrap();
        let file = OwnedFd::from(File::open("/dev/null").unwrap());
        ticket.settle([("camera", Bytes(90), &file)].into_iter());
    }
    let one = &accounts.statements().callers[0];
    assert_eq!((one.account.totals.buffers, one.live_buffers), (3, 0));
}
