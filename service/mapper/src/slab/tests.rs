// SPDX-License-Identifier: Apache-2.0
#![allow(clippy::arithmetic_side_effects)]

use std::process;
use std::sync::Arc;
use std::sync::atomic::AtomicBool;

use nix::sys::signal::Signal;
use nix::sys::wait::{WaitStatus, waitpid};
use nix::unistd::{ForkResult, alarm, fork};

use super::*;

type Counted = Arc<()>;

fn address(used: &Used<Counted>) -> usize {
    used.address().addr()
}

#[test]
fn values_are_found_by_their_address_until_they_are_removed() {
    static SLAB: Slab<Counted> = Slab::new();
    let count = Arc::new(());
    // More than two chunks have.
    let many = FIRST * 4;
    let addresses: Vec<usize> =
        (0..many).map(|_| address(&SLAB.insert(count.clone()).unwrap())).collect();
    assert_eq!(SLAB.all().len(), many);
    assert_eq!(Arc::strong_count(&count), many + 1);
    for address in addresses {
        for inside in [1, 4, 8] {
            assert!(SLAB.find(address + inside).is_none());
            assert!(!SLAB.remove(address + inside));
        }
        assert_eq!(SLAB.find(address).unwrap().address().addr(), address);
        assert!(SLAB.remove(address));
        assert!(SLAB.find(address).is_none());
        assert!(!SLAB.remove(address), "removed twice");
    }
    assert_eq!(Arc::strong_count(&count), 1);
    for foreign in [0, 1, 4096, usize::MAX, (&raw const count).addr()] {
        assert!(SLAB.find(foreign).is_none());
        assert!(!SLAB.remove(foreign));
    }
}

#[test]
fn a_removed_value_stays_for_those_who_use_it() {
    static SLAB: Slab<Counted> = Slab::new();
    let count = Arc::new(());
    let used = SLAB.insert(count.clone()).unwrap();
    let again = SLAB.find(address(&used)).unwrap();
    assert!(SLAB.remove(address(&used)));
    assert!(SLAB.find(address(&used)).is_none());
    drop(used);
    assert_eq!(Arc::strong_count(&count), 2);
    drop(again);
    assert_eq!(Arc::strong_count(&count), 1);
}

#[test]
fn an_address_is_not_used_again_at_once() {
    static SLAB: Slab<Counted> = Slab::new();
    let first = address(&SLAB.insert(Counted::default()).unwrap());
    assert!(SLAB.remove(first));
    assert_ne!(address(&SLAB.insert(Counted::default()).unwrap()), first);
}

#[test]
fn threads_that_remove_what_others_use_drop_each_value_once() {
    static SLAB: Slab<Counted> = Slab::new();
    let count = Arc::new(());
    let rounds = if cfg!(miri) { 10 } else { 500 };
    for _ in 0..rounds {
        let place = address(&SLAB.insert(count.clone()).unwrap());
        let removed: usize = std::thread::scope(|scope| {
            let work = || {
                let found = SLAB.find(place);
                let seen = found.is_some_and(|used| Arc::strong_count(&used) > 1);
                (seen, SLAB.remove(place))
            };
            let threads: Vec<_> = (0..3).map(|_| scope.spawn(work)).collect();
            threads.into_iter().map(|t| usize::from(t.join().unwrap().1)).sum()
        });
        assert_eq!(removed, 1);
        assert_eq!(Arc::strong_count(&count), 1);
    }
}

/// Seconds after which a child counts as hung; its work takes microseconds.
const PATIENCE: u32 = 20;

#[test]
#[cfg_attr(miri, ignore = "Miri cannot fork")]
fn children_that_are_forked_while_others_insert_and_remove_do_the_same() {
    static SLAB: Slab<Counted> = Slab::new();
    static DONE: AtomicBool = AtomicBool::new(false);
    let round = || {
        let place = address(&SLAB.insert(Counted::default()).unwrap());
        SLAB.find(place).is_some() && SLAB.all().len() < 10 && SLAB.remove(place)
    };
    std::thread::scope(|scope| {
        for _ in 0..3 {
            scope.spawn(|| {
                while !DONE.load(Ordering::Relaxed) && round() {
                    std::hint::spin_loop()
                }
            });
        }
        for number in 0..300 {
            // SAFETY: the child only does what is under test, and ends.
            match unsafe { fork() }.unwrap() {
                ForkResult::Child => {
                    alarm::set(PATIENCE);
                    let good = (0..20).all(|_| round());
                    // SAFETY: it ends without the handlers of its parent.
                    unsafe { nix::libc::_exit(if good { 0 } else { 1 }) }
                }
                ForkResult::Parent { child } => {
                    let end = waitpid(child, None).unwrap();
                    if end != WaitStatus::Exited(child, 0) {
                        DONE.store(true, Ordering::Relaxed);
                        assert_ne!(end, WaitStatus::Signaled(child, Signal::SIGALRM, false));
                        panic!("child {number} of process {}: {end:?}", process::id());
                    }
                }
            }
        }
        DONE.store(true, Ordering::Relaxed);
    });
}
