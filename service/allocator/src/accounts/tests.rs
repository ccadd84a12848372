// SPDX-License-Identifier: Apache-2.0
//! Accounts of files that stand for dma-bufs: what tells whether they live is
//! the kernel, as for those.

use super::*;
use std::collections::HashSet;
use std::os::fd::{AsFd, OwnedFd};
use std::sync::Barrier;
use std::thread;

use nix::sys::eventfd::{EfdFlags, EventFd};

use dmaheap_buffer::{Extent, Usage};

use crate::policy::{RuleId, Scope};

/// In pages: 10 for a uid, 9 for all apps, 12 of 20 for all but the camera's own.
const POLICY: &str = r#"
metadata_heap = "system"
[limits]
buffer = "1 MiB"
reserved = "1 MiB"
blind = "80 KiB"
[classes.hal]
domains = ["hal_camera_default"]
[heaps.system]
nodes = ["system"]
[heaps.camera]
nodes = ["camera"]
contiguous = true
size = "80 KiB"
per_uid = "40 KiB"
per_class = { apps = "36 KiB" }
keep = { size = "32 KiB", callers = ["cameraserver", "hal"] }
[heaps.other]
nodes = ["other"]
per_uid = "40 KiB"
[[rules]]
name = "frames"
all = ["CAMERA_OUTPUT"]
heap = "camera"
[[rules]]
name = "others"
all = ["GPU_TEXTURE"]
heap = "other"
[[rules]]
name = "the rest"
heap = "system"
[[implementation_defined]]
format = "RGBA_8888"
"#;
const PAGE: u64 = 4096;

const CAMERASERVER: u32 = 1047;
const APP: u32 = 10_001;

fn accounts() -> Accounts {
    let (policy, findings) = Policy::parse("heaps.toml", POLICY).unwrap();
    assert_eq!(findings.to_string(), "");
    Accounts::new(&Arc::new(policy))
}

/// Something that lives until its last descriptor is closed.
fn buffer() -> OwnedFd {
    EventFd::from_flags(EfdFlags::EFD_CLOEXEC).unwrap().into()
}

fn in_pages(pages: u64) -> Bytes {
    Bytes(pages.saturating_mul(PAGE))
}

fn caller(uid: u32) -> Caller {
    Caller { uid, context: None }
}

/// What this caller asked for, named after it.
fn asked(caller: &Caller) -> Arc<Asked> {
    Arc::new(Asked {
        name: caller.uid.to_string().into(),
        extent: Extent::new(64, 64, 1).unwrap(),
        format: 1,
        usage: Usage::NONE,
        rule: RuleId(2),
        pid: 0,
        at: Duration::ZERO,
    })
}

impl Accounts {
    fn heap(&self, name: &str) -> HeapId {
        self.policy.heaps.iter().find(|(_, spec)| spec.name == name).unwrap().0
    }

    fn need(&self, heap: &str, pages: u64) -> Need {
        vec![(self.heap(heap), in_pages(pages))]
    }

    /// Whether so many pages would be admitted.
    fn admits(&self, caller: &Caller, heap: &str, pages: u64) -> bool {
        self.admit(self.policy.who(caller), &self.need(heap, pages), None).is_ok()
    }

    /// A buffer of so many pages.
    fn allocate(&self, caller: &Caller, heap: &str, pages: u64) -> Result<OwnedFd> {
        let (id, size, kind) = (self.heap(heap), in_pages(pages), Kind::Pixels);
        let ticket = self.admit(self.policy.who(caller), &self.need(heap, pages), None)?;
        let buffer = buffer();
        let asked = &asked(caller);
        ticket.settle([Item { heap: id, kind, size, buffer: &buffer, asked }].into_iter())?;
        Ok(buffer)
    }

    /// What a uid's callers hold of a heap in the sums, in pages.
    fn sum(&self, heap: &str, scope: Scope, uid: u32) -> u64 {
        self.lock().sums.of(self.heap(heap)).held(scope, uid).0 / PAGE
    }
}

#[test]
fn holders_of_a_heap_are_those_whose_buffers_live() {
    let accounts = accounts();
    let hal = Caller { uid: CAMERASERVER, context: Some("u:r:hal_camera_default:s0".into()) };
    let server = caller(CAMERASERVER);
    let _frame = accounts.allocate(&hal, "camera", 3).unwrap();
    let second = accounts.allocate(&server, "camera", 2).unwrap();
    let gone = accounts.allocate(&caller(APP), "camera", 1).unwrap();
    let _other = accounts.allocate(&caller(APP), "other", 1).unwrap();
    let camera = accounts.heap("camera");
    let held = |buffers, pages| Held { buffers, metadata: 0, bytes: in_pages(pages) };
    let both = vec![(CAMERASERVER, held(2, 5)), (APP, held(1, 1))];
    assert_eq!(accounts.holders(camera), both);
    drop((second, gone));
    assert_eq!(accounts.holders(camera), [(CAMERASERVER, held(1, 3))]);
}

#[test]
fn a_uid_at_its_limit_is_refused_until_it_releases() {
    let (accounts, one) = (accounts(), caller(1));
    let first = accounts.allocate(&one, "camera", 6).unwrap();
    let refused = accounts.allocate(&one, "camera", 6).unwrap_err();
    assert_eq!(
        refused.to_string(),
        "24 KiB more of heap camera would exceed the 40 KiB that one uid may hold: 24 KiB are \
         held, 24 KiB of them by uid 1"
    );
    let _second = accounts.allocate(&caller(2), "camera", 6).unwrap();
    drop(first);
    accounts.allocate(&one, "camera", 6).unwrap();
}

/// To the page: what fits exactly is given, and one page more is not.
#[test]
fn limits_are_exact() {
    let (accounts, one) = (accounts(), caller(1));
    assert!(accounts.admits(&one, "camera", 10) && !accounts.admits(&one, "camera", 11));
    let held: Vec<_> = (0..10).map(|_| accounts.allocate(&one, "camera", 1).unwrap()).collect();
    assert!(accounts.allocate(&one, "camera", 1).is_err());
    drop(held);
    assert!(accounts.admits(&one, "camera", 10));
}

#[test]
fn contexts_of_one_uid_share_its_limit() {
    let accounts = accounts();
    let with = |context: &str| Caller { uid: 1, context: Some(context.into()) };
    let held = accounts.allocate(&with("a"), "camera", 6).unwrap();
    assert!(!accounts.admits(&with("b"), "camera", 6));
    drop(held);
    assert!(accounts.admits(&with("b"), "camera", 6), "another context's ledger was not swept");
}

#[test]
fn what_is_admitted_counts_until_it_is_withdrawn() {
    let (accounts, one) = (accounts(), caller(1));
    let (who, need) = (accounts.policy.who(&one), accounts.need("camera", 6));
    let ticket = accounts.admit(who, &need, None).unwrap();
    assert!(!accounts.admits(&one, "camera", 6));
    drop(ticket);
    assert!(accounts.admits(&one, "camera", 6));
    assert!(accounts.lock().ledgers().is_empty());
}

/// As for a rule that degrades from one heap to another.
#[test]
fn a_ticket_for_two_heaps_respects_both_limits_and_gives_both_back() {
    let (accounts, one) = (accounts(), caller(1));
    let who = accounts.policy.who(&one);
    let mut ticket = accounts.admit(who, &accounts.need("camera", 6), None).unwrap();
    let other = accounts.need("other", 6);
    ticket.admit(&other, None).unwrap();
    assert!(matches!(ticket.admit(&other, None), Err(Error::Limit { .. })));
    drop(ticket);
    assert!(accounts.admits(&one, "camera", 10) && accounts.admits(&one, "other", 10));
}

/// One that is installed, one that is isolated, and one of another user.
#[test]
fn apps_together_have_a_limit_whatever_their_uids() {
    let accounts = accounts();
    let apps = [APP, 90_001, 1_010_001];
    let held: Vec<_> =
        apps.iter().map(|uid| accounts.allocate(&caller(*uid), "camera", 3).unwrap()).collect();
    let class = Scope::Class(accounts.policy.classes.named("apps").unwrap());
    assert_eq!(accounts.sum("camera", class, 0), 9);
    let refused = accounts.allocate(&caller(20_001), "camera", 1).unwrap_err().to_string();
    assert!(refused.contains("36 KiB that all of class apps together may hold"), "{refused}");
    assert!(accounts.admits(&caller(1000), "camera", 3), "who is no app is not one of them");
    drop(held);
    assert!(accounts.admits(&caller(20_001), "camera", 9));
}

/// However much others hold, and whoever they are.
#[test]
fn what_is_kept_is_there_at_once_for_those_it_is_kept_for() {
    let accounts = accounts();
    let _first = accounts.allocate(&caller(APP), "camera", 9).unwrap();
    let _second = accounts.allocate(&caller(2), "camera", 3).unwrap();
    let refused = accounts.allocate(&caller(3), "camera", 1).unwrap_err().to_string();
    assert!(
        refused.contains("48 KiB that all but cameraserver, hal together may hold"),
        "{refused}"
    );
    accounts.allocate(&caller(CAMERASERVER), "camera", 8).unwrap();
    // By its domain, too, whatever its uid.
    let hal = Caller { uid: 3, context: Some("u:r:hal_camera_default:s0".into()) };
    accounts.allocate(&hal, "camera", 8).unwrap();
}

/// All heaps of a request, or none.
#[test]
fn a_need_is_admitted_as_a_whole() {
    let (accounts, one) = (accounts(), caller(1));
    let who = accounts.policy.who(&one);
    let need = [accounts.need("camera", 1), accounts.need("other", 11)].concat();
    assert!(accounts.admit(who, &need, None).is_err());
    assert_eq!(accounts.sum("camera", Scope::Uid, 1), 0);
    let need = [accounts.need("camera", 1), accounts.need("other", 10)].concat();
    let _ticket = accounts.admit(who, &need, None).unwrap();
    assert_eq!(accounts.sum("other", Scope::Uid, 1), 10);
}

/// Of heaps without any limit of their own.
#[test]
fn scattered_memory_has_one_limit_where_nothing_else_is_known() {
    let accounts = accounts();
    let (one, blind) = (caller(1), Some(accounts.policy.blind()));
    let who = accounts.policy.who(&one);
    let admit = |heap, pages| accounts.admit(who, &accounts.need(heap, pages), blind).map(drop);
    let first = accounts.allocate(&one, "system", 12).unwrap();
    let _second = accounts.allocate(&caller(2), "other", 4).unwrap();
    assert!(admit("system", 4).is_ok());
    let refused = admit("system", 5).unwrap_err().to_string();
    assert!(refused.contains("80 KiB that all callers of scattered memory"), "{refused}");
    // The region's memory is its own.
    assert!(admit("camera", 10).is_ok());
    drop(first);
    assert!(admit("system", 16).is_ok());
}

/// Whoever keeps nothing but the metadata holds it.
#[test]
fn metadata_is_charged_and_watched() {
    let (accounts, one) = (accounts(), caller(1));
    let (who, camera, other) =
        (accounts.policy.who(&one), accounts.heap("camera"), accounts.heap("other"));
    let need = vec![(camera, Bytes(PAGE)), (other, Bytes(9 * PAGE))];
    let ticket = accounts.admit(who, &need, None).unwrap();
    let (pixels, metadata, asked) = (buffer(), buffer(), &asked(&one));
    let items = [
        Item { heap: camera, kind: Kind::Pixels, size: Bytes(PAGE), buffer: &pixels, asked },
        Item { heap: other, kind: Kind::Metadata, size: Bytes(9 * PAGE), buffer: &metadata, asked },
    ];
    ticket.settle(items.into_iter()).unwrap();
    drop(pixels);
    assert!(!accounts.admits(&one, "other", 2));
    let statements = accounts.statements();
    let held = statements.callers[0].live;
    assert_eq!(held, Held { buffers: 0, metadata: 1, bytes: Bytes(9 * PAGE) });
    drop(metadata);
    assert!(accounts.admits(&one, "other", 10));
}

/// Each by its file and its caller, as long as it lives.
#[test]
fn what_lives_is_listed_by_file_and_caller() {
    let accounts = accounts();
    let inodes = || -> Vec<(u32, u64, String)> {
        let live = accounts.live().unwrap().into_iter();
        live.flat_map(|Holdings { caller, entries, .. }| {
            let entry = move |entry: Entry| (caller.uid, entry.inode, entry.asked.name.to_string());
            entries.into_iter().map(entry)
        })
        .collect()
    };
    let buffers: Vec<OwnedFd> = [(2, "camera"), (1, "other"), (2, "camera")]
        .map(|(uid, heap)| accounts.allocate(&caller(uid), heap, 1).unwrap())
        .into();
    let inode = |at: usize| dmaheap_dmabuf::buffer::inode(buffers[at].as_fd()).unwrap();
    let entry = |uid: u32, at| (uid, inode(at), uid.to_string());
    assert_eq!(inodes(), [entry(1, 1), entry(2, 0), entry(2, 2)]);
    drop(buffers);
    assert_eq!(inodes(), []);
}

#[test]
fn what_cannot_be_watched_is_not_given() {
    let (accounts, one) = (accounts(), caller(1));
    let ticket = accounts.admit(accounts.policy.who(&one), &accounts.need("camera", 1), None);
    let unpolled = OwnedFd::from(std::fs::File::open("/proc/self/exe").unwrap());
    let heap = accounts.heap("camera");
    let (size, asked) = (Bytes(PAGE), &asked(&one));
    let item = Item { heap, kind: Kind::Pixels, size, buffer: &unpolled, asked };
    let refused = ticket.unwrap().settle([item].into_iter()).unwrap_err();
    assert!(matches!(refused, Error::System { .. }), "{refused}");
    assert_eq!(accounts.sum("camera", Scope::Uid, 1), 0);
}

#[test]
fn thousands_of_callers_with_one_failure_each_are_not_kept_for_ever() {
    let accounts = accounts();
    let _held = accounts.allocate(&caller(7), "camera", 6).unwrap();
    for uid in 10_000..13_000 {
        accounts.fail(accounts.policy.who(&caller(uid)), &Error::BadCount(0));
    }
    let Statements { callers, forgotten, .. } = accounts.statements();
    assert!(callers.len() <= REMEMBERED + 1, "{} callers", callers.len());
    assert_eq!(forgotten.failures + callers.len() as u64 - 1, 3000);
    assert_eq!(forgotten.callers + callers.len() as u64, 3001);
    // Those who hold something stay, and so do the newest.
    assert_eq!(callers[0].live.bytes, Bytes(6 * PAGE));
    assert_eq!(callers.last().map(|last| last.caller.uid), Some(12_999));
}

#[test]
fn statements_count_live_buffers_and_keep_totals_and_peaks() {
    let (accounts, one) = (accounts(), caller(1));
    let first = accounts.allocate(&one, "camera", 4).unwrap();
    let _second = accounts.allocate(&one, "camera", 5).unwrap();
    drop(first);
    let Statements { callers: statements, heaps, unknown, .. } = accounts.statements();
    assert_eq!(unknown, None);
    let [one] = &statements[..] else { panic!("one caller, not {statements:?}") };
    let live = Held { buffers: 1, metadata: 0, bytes: Bytes(5 * PAGE) };
    assert_eq!(one.live, live);
    assert_eq!((one.account.totals.buffers, one.account.totals.bytes), (2, Bytes(9 * PAGE)));
    let camera = heaps.of(accounts.heap("camera"));
    assert_eq!((camera.live, camera.peak), (live, Bytes(9 * PAGE)));
    assert_eq!(camera.others, Bytes(5 * PAGE));
}

#[test]
fn released_buffers_are_forgotten_without_anybody_asking() {
    let (accounts, one) = (accounts(), caller(1));
    for _ in 0..10 * ledger::FEW {
        accounts.allocate(&one, "system", 1).unwrap();
    }
    let entries: usize =
        accounts.lock().ledgers().iter().map(|ledger| ledger.entries().len()).sum();
    assert!(entries <= ledger::FEW + 1, "{entries} entries for buffers that are gone");
}

/// Each with a descriptor of the service's, until somebody looks after them.
#[test]
fn ledgers_of_the_dead_are_found() {
    let accounts = accounts();
    for uid in 90_000..90_500 {
        accounts.allocate(&caller(uid), "system", 1).unwrap();
        accounts.tidy();
    }
    let ledgers = accounts.lock().ledgers().len();
    assert!(ledgers <= 65, "{ledgers} ledgers of uids that hold nothing");
}

/// Under one uid after the other, each with a buffer that lives.
#[test]
fn many_uids_do_not_take_the_services_descriptors() {
    let accounts = accounts();
    let (uids, own) = (90_000..90_700, ledger::OWN);
    let watches = |accounts: &Accounts| {
        let ledgers = accounts.lock().ledgers();
        let marks = ledgers.iter().filter_map(|ledger| ledger.mark());
        marks.map(|mark| Arc::as_ptr(&mark.watch)).collect::<HashSet<_>>().len()
    };
    let mut held: Vec<_> =
        uids.map(|uid| accounts.allocate(&caller(uid), "system", 1).unwrap()).collect();
    assert_eq!(watches(&accounts), own + 1);
    assert_eq!(accounts.sum("system", Scope::Scattered, 0), 700);
    // Of those that share and of those that do not.
    held.drain(600..);
    held.drain(..100);
    let statements = accounts.statements();
    assert_eq!(statements.heaps.of(accounts.heap("system")).live.buffers, 500);
    drop(held);
    assert_eq!(accounts.statements().heaps.of(accounts.heap("system")).live, Held::default());
    assert_eq!(watches(&accounts), 0);
}

/// One call looks after what was released for all that meet the limit at once, and
/// each of them gets what there is.
#[test]
fn calls_that_meet_a_limit_together_are_served_together() {
    let accounts = accounts();
    for _ in 0..50 {
        // Not seen to be released yet.
        for uid in APP..APP + 3 {
            accounts.allocate(&caller(uid), "camera", 3).unwrap();
        }
        let begin = Barrier::new(9);
        let served: Vec<_> = thread::scope(|scope| {
            let ask = |uid| {
                let (accounts, begin) = (&accounts, &begin);
                move || {
                    begin.wait();
                    accounts.allocate(&caller(uid), "camera", 1)
                }
            };
            let threads: Vec<_> = (11_000..11_009).map(|uid| scope.spawn(ask(uid))).collect();
            threads.into_iter().map(|thread| thread.join().unwrap()).collect()
        });
        assert!(served.iter().all(Result::is_ok), "{served:?}");
        assert!(accounts.allocate(&caller(11_100), "camera", 1).is_err());
    }
}

/// 16 threads of four uids that allocate and release at once: no sum is lost, and
/// no limit is exceeded by what lives.
#[test]
fn sums_are_exact_after_thousands_of_steps_at_once() {
    const STEPS: u64 = 400;
    let (accounts, begin) = (accounts(), Barrier::new(16));
    let held: Vec<Vec<OwnedFd>> = thread::scope(|scope| {
        let work = |thread: u64| {
            let (accounts, begin) = (&accounts, &begin);
            move || {
                begin.wait();
                let one = caller(10_000 + (thread % 4) as u32);
                let mut held = Vec::new();
                for step in 0..STEPS {
                    let heap = if step % 3 == 0 { "camera" } else { "other" };
                    held.extend(accounts.allocate(&one, heap, 1 + step % 3));
                    if held.len() > (step % 5) as usize {
                        held.remove(0);
                    }
                }
                held
            }
        };
        let threads: Vec<_> = (0..16).map(|thread| scope.spawn(work(thread))).collect();
        threads.into_iter().map(|thread| thread.join().unwrap()).collect()
    });
    let (live, sum) = (held.iter().map(Vec::len).sum::<usize>(), accounts.statements());
    assert_eq!(sum.callers.iter().map(|one| one.live.buffers).sum::<u64>(), live as u64);
    for uid in 10_000..10_004 {
        assert!(accounts.sum("camera", Scope::Uid, uid) <= 10);
        assert!(accounts.sum("other", Scope::Uid, uid) <= 10);
    }
    drop(held);
    let statements = accounts.statements();
    assert!(statements.callers.iter().all(|one| one.live == Held::default()));
    for heap in ["camera", "other"] {
        assert_eq!(accounts.sum(heap, Scope::Scattered, 0), 0);
        assert_eq!(accounts.sum(heap, Scope::Others, 0), 0);
    }
    assert!(accounts.lock().ledgers().is_empty());
}
