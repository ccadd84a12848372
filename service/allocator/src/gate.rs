// SPDX-License-Identifier: Apache-2.0
//! Whose calls the pool's threads work for.
//!
//! An allocation takes as long as clearing does, and holds a thread and the
//! descriptors of its reply meanwhile. So that nobody takes all of them, one uid
//! has at most half of the threads at work, and apps together three quarters;
//! what is beyond is refused at once, since waiting would take a thread as well.

use std::collections::HashMap;
use std::sync::{Mutex, MutexGuard, PoisonError};

use crate::error::{Error, Result};
use crate::policy::{APPS, ClassId, Policy, Who};

/// Counts the threads at work.
#[derive(Debug)]
pub struct Gate {
    threads: usize,
    apps: Option<ClassId>,
    busy: Mutex<Busy>,
}

#[derive(Debug, Default)]
struct Busy {
    uids: HashMap<u32, usize>,
    apps: usize,
}

/// A thread's work for a caller, until it is dropped.
#[derive(Debug)]
#[must_use]
pub struct Turn<'g> {
    gate: &'g Gate,
    uid: u32,
    is_app: bool,
}

impl Gate {
    /// For a pool of so many threads.
    pub fn new(threads: usize, policy: &Policy) -> Gate {
        Gate { threads, apps: policy.classes.named(APPS), busy: Mutex::default() }
    }

    /// Lets a caller's request in.
    ///
    /// # Errors
    /// [`Error::Busy`] if its uid, or apps, have their part of the threads.
    pub fn enter(&self, who: Who<'_>) -> Result<Turn<'_>> {
        let uid = who.caller.uid;
        let is_app = self.is_app(who);
        let (half, most) = (self.threads / 2, self.threads.saturating_sub(self.threads / 4));
        let mut busy = self.lock();
        let of_uid = busy.uids.get(&uid).copied().unwrap_or(0);
        let refused = |whose: String, busy| Err(Error::Busy { whose, busy, threads: self.threads });
        if of_uid >= half {
            return refused(format!("calls of uid {uid}"), of_uid);
        }
        if is_app && busy.apps >= most {
            return refused("calls of apps".to_owned(), busy.apps);
        }
        busy.uids.insert(uid, of_uid.saturating_add(1));
        busy.apps = busy.apps.saturating_add(usize::from(is_app));
        Ok(Turn { gate: self, uid, is_app })
    }

    /// Whether this is an app.
    pub fn is_app(&self, who: Who<'_>) -> bool {
        self.apps.is_some_and(|apps| who.classes.has(apps))
    }

    fn lock(&self) -> MutexGuard<'_, Busy> {
        self.busy.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Drop for Turn<'_> {
    fn drop(&mut self) {
        let mut busy = self.gate.lock();
        busy.apps = busy.apps.saturating_sub(usize::from(self.is_app));
        if let Some(of_uid) = busy.uids.get_mut(&self.uid) {
            *of_uid = of_uid.saturating_sub(1);
            if *of_uid == 0 {
                busy.uids.remove(&self.uid);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use dmaheap_aidl::binder::Caller;

    const VIRT: &str = include_str!("../../etc/virt/heaps.toml");

    fn refusals(uids: impl IntoIterator<Item = u32>) -> Vec<bool> {
        let (policy, _) = Policy::parse("heaps.toml", VIRT).unwrap();
        let gate = Gate::new(16, &policy);
        let callers: Vec<_> = uids.into_iter().map(|uid| Caller { uid, context: None }).collect();
        let turns: Vec<_> = callers.iter().map(|c| gate.enter(policy.who(c))).collect();
        let refused = turns.iter().map(Result::is_err).collect();
        drop(turns);
        assert!(gate.lock().uids.is_empty() && gate.lock().apps == 0);
        refused
    }

    #[test]
    fn one_uid_has_half_of_the_threads_and_leaves_the_rest_to_others() {
        assert_eq!(refusals([7; 10]), [[false; 8].as_slice(), &[true; 2]].concat());
        let and_another = refusals([7; 9].into_iter().chain([8; 8]));
        assert_eq!(and_another.iter().filter(|refused| **refused).count(), 1);
    }

    #[test]
    fn apps_leave_a_quarter_of_the_threads_to_all_others() {
        let apps = (10_000..10_020).chain([1000; 4]);
        let expected = [[false; 12].as_slice(), &[true; 8], &[false; 4]].concat();
        assert_eq!(refusals(apps), expected);
    }
}
