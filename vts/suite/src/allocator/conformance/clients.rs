// SPDX-License-Identifier: Apache-2.0
//! Clients that die, have no room, stay long, or come all at once.

use std::process::Child;
use std::thread;
use std::time::{Duration, Instant};

use dmaheap_aidl::allocator::BufferDescriptorInfo;
use dmaheap_aidl::binder;
use dmaheap_aidl::common::NativeHandle;
use libtest_mimic::Trial;
use nix::sys::resource::{Resource, setrlimit};

use crate::harness::{self, Outcome as Test, effort, wait_for_line};
use crate::service::{connect, good, trial};

pub fn trials() -> Vec<Trial> {
    vec![
        trial("clients::one_that_dies_leaves_nothing", a_client_that_dies),
        trial("clients::one_without_descriptors_leaves_nothing", a_client_without_descriptors),
        trial("clients::2048_buffers_of_1024_squared_do_not_grow", many_in_sequence),
        trial("clients::eight_at_once", eight_clients_at_once),
    ]
}

/// Runs this program again in a role. The binder device is for everyone.
fn start(role: &str, uid: u32) -> std::io::Result<Child> {
    harness::start(role, uid, uid)
}

/// Role: holds buffers until killed.
pub fn hold() -> Test {
    let allocator = connect()?;
    let _held: Vec<_> =
        (0..8).map(|_| allocator.allocate2(&good(), 8)).collect::<binder::Result<_>>()?;
    println!("holding");
    loop {
        thread::park();
    }
}

fn a_client_that_dies() -> Test {
    let mut client = start("hold", 10_002)?;
    wait_for_line(&mut client)?;
    client.kill()?;
    client.wait()?;
    Ok(())
}

/// Role: asks for more descriptors than it may have.
pub fn starve() -> Test {
    let allocator = connect()?;
    setrlimit(Resource::RLIMIT_NOFILE, 32, 32)?;
    match allocator.allocate2(&good(), 64) {
        Ok(_) => Err("128 descriptors in a table of 32".into()),
        Err(_) => Ok(()),
    }
}

fn a_client_without_descriptors() -> Test {
    let status = start("starve", 10_003)?.wait()?;
    assert!(status.success(), "{status}");
    Ok(())
}

fn many_in_sequence() -> Test {
    let allocator = connect()?;
    let big = BufferDescriptorInfo { width: 1024, height: 1024, ..good() };
    for _ in 0..effort("SUITE_BUFFERS", 2048)? {
        assert_eq!(allocator.allocate2(&big, 1)?.buffers.len(), 1);
    }
    Ok(())
}

/// Role: allocates and releases for SUITE_SECONDS (5 by default).
pub fn churn() -> Test {
    let allocator = connect()?;
    let end = Instant::now() + Duration::from_secs(effort("SUITE_SECONDS", 5)?);
    let mut held: Vec<Vec<NativeHandle>> = Vec::new();
    for round in 0u64.. {
        let side = 16 << (round % 6);
        let descriptor = BufferDescriptorInfo { width: side, height: side, ..good() };
        held.push(allocator.allocate2(&descriptor, 1 + (round % 4) as i32)?.buffers);
        if held.len() > 8 {
            held.remove(0);
        }
        if Instant::now() > end {
            break;
        }
    }
    Ok(())
}

fn eight_clients_at_once() -> Test {
    let clients: Result<Vec<Child>, _> = (0..8).map(|i| start("churn", 10_010 + i)).collect();
    for mut client in clients? {
        let status = client.wait()?;
        assert!(status.success(), "{status}");
    }
    Ok(())
}
