// SPDX-License-Identifier: Apache-2.0
//! Allocators that count wrongly what callers hold.
//!
//! Whose limits are wrong follows another policy than the board's. Who does not see all that there is
//! to count has several sound services, each with accounts of its own.

use std::collections::BTreeMap;
use std::io;
use std::mem;
use std::path::Path;
use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::{Arc, LazyLock, Mutex};

use dmaheap_aidl::allocator::{AllocationResult, BufferDescriptorInfo, IAllocator};
use dmaheap_aidl::binder::{self, Result};
use dmaheap_allocator::service::Service;
use dmaheap_allocator::{Allocator, Policy, policy};

use serde_json::Value;

use super::Defect::{Allocates, Changes, Follows, Reports};
use super::broken::{duplicate, rewrite};
use super::{Defect, ours};
use crate::Mutant;

/// They.
pub const MUTANTS: &[Mutant<Defect>] = &[
    ours(
        "limit_is_one_buffer_more",
        "callers::all_processes_of_a_uid_have_one_limit",
        Follows(|line| line.replace("per_uid = \"48 MiB\"", "per_uid = \"51 MiB\"")),
    ),
    ours(
        "knows_no_classes",
        "callers::apps_together_leave_others_a_share",
        Follows(|line| without_key("per_class", line)),
    ),
    ours(
        "keeps_nothing",
        "callers::what_is_kept_is_kept_from_everybody",
        Follows(|line| without_key("keep", line)),
    ),
    ours(
        "counts_by_process",
        "callers::all_processes_of_a_uid_have_one_limit",
        Allocates(|_, info, count| of_process().allocate2(info, count)),
    ),
    ours(
        "forgets_calls_under_way",
        "callers::calls_at_once_do_not_pass_a_limit_together",
        Allocates(forget_calls_under_way),
    ),
    ours(
        "lets_go_of_nothing",
        "callers::who_dies_and_comes_back_holds_what_it_did",
        Changes(|given| given.buffers.iter().for_each(|buffer| mem::forget(duplicate(buffer)))),
    ),
    ours(
        "charges_pixels_only",
        "callers::reserved_regions_are_charged",
        Reports(|sound, writer, options| {
            misreport(sound, writer, options, |account| {
                account["live_buffers"].as_u64().unwrap_or_default() * (16 << 10)
            })
        }),
    ),
    ours(
        "rounds_its_accounts",
        "callers::books_are_exact_after_random_steps",
        Reports(|sound, writer, options| {
            misreport(sound, writer, options, |account| {
                account["live_bytes"].as_u64().unwrap_or_default() & !0xffff
            })
        }),
    ),
];

/// The sound dump with other bytes in each account.
fn misreport(
    sound: &Service,
    writer: &mut dyn io::Write,
    options: &[String],
    bytes: fn(&Value) -> u64,
) -> io::Result<()> {
    rewrite(sound, writer, options, |report| {
        let accounts = report["callers"].as_array_mut().into_iter().flatten();
        accounts.for_each(|account| account["live_bytes"] = bytes(account).into());
    })
}

fn without_key(key: &str, line: &str) -> String {
    if line.starts_with(key) { String::new() } else { line.to_owned() }
}

/// A sound service with accounts of its own.
fn another() -> Service {
    let (policy, _) = Policy::load(Path::new(policy::PATH)).unwrap();
    Service::new(Allocator::new(policy))
}

fn of_process() -> Arc<Service> {
    static SERVICES: Mutex<BTreeMap<i32, Arc<Service>>> = Mutex::new(BTreeMap::new());
    let process = binder::library::get_calling_pid();
    let mut services = SERVICES.lock().unwrap();
    services.entry(process).or_insert_with(|| Arc::new(another())).clone()
}

fn forget_calls_under_way(
    sound: &Service,
    info: &BufferDescriptorInfo,
    count: i32,
) -> Result<AllocationResult> {
    static UNDER_WAY: AtomicU32 = AtomicU32::new(0);
    static OTHER: LazyLock<Service> = LazyLock::new(another);
    let given = match UNDER_WAY.fetch_add(1, Ordering::Relaxed) {
        0 => sound.allocate2(info, count),
        _ => OTHER.allocate2(info, count),
    };
    UNDER_WAY.fetch_sub(1, Ordering::Relaxed);
    given
}
