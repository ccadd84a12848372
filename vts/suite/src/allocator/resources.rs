// SPDX-License-Identifier: Apache-2.0
//! Clients that take too much, die, or come all at once.

use std::env;
use std::process::Child;
use std::thread;
use std::time::{Duration, Instant};

use dmaheap_aidl::allocator::{AllocationError, BufferDescriptorInfo};
use dmaheap_aidl::common::{BufferUsage, NativeHandle, PixelFormat};
use libtest_mimic::Trial;
use nix::sys::resource::{Resource, setrlimit};

use super::service::{connect, good, refusal};
use super::trial;
use crate::program::{self, Outcome as Test, wait_for_line};

const NO_RESOURCES: AllocationError = AllocationError::NO_RESOURCES;

pub fn trials() -> Vec<Trial> {
    vec![
        trial("resources::one_uid_cannot_drain_the_camera_heap", one_uid_cannot_drain),
        trial("resources::a_client_that_dies_leaves_nothing", a_client_that_dies),
        trial(
            "resources::a_client_without_descriptors_leaves_nothing",
            a_client_without_descriptors,
        ),
        trial("resources::2048_buffers_of_1024_squared_do_not_grow", many_in_sequence),
        trial("resources::eight_clients_at_once", eight_clients_at_once),
    ]
}

/// What this program does when a test runs it again.
pub fn play(role: &str) -> Test {
    match role {
        "drain" => drain(),
        "hold" => hold(),
        "starve" => starve(),
        "churn" => churn(),
        other => Err(format!("there is no role {other}").into()),
    }
}

/// Runs this program again in a role. The binder device is for everyone.
fn start(role: &str, uid: u32) -> std::io::Result<Child> {
    program::start(role, uid, uid)
}

/// A frame of the camera's.
pub fn camera() -> BufferDescriptorInfo {
    BufferDescriptorInfo {
        width: 1920,
        height: 1080,
        format: PixelFormat::YCBCR_420_888,
        usage: BufferUsage::CAMERA_OUTPUT | BufferUsage::GPU_TEXTURE,
        ..good()
    }
}

/// Takes camera buffers until refused, and wants it to be soon.
fn drain() -> Test {
    let allocator = connect()?;
    let mut held = Vec::new();
    while held.len() < 64 {
        match allocator.allocate2(&camera(), 1) {
            Ok(given) => held.push(given),
            Err(status) => {
                assert_eq!(refusal(Err(status))?, NO_RESOURCES);
                // Somebody else still gets one.
                println!("full");
                wait_for_end_of_input();
                return Ok(());
            }
        }
    }
    Err("64 camera buffers, and no end".into())
}

fn wait_for_end_of_input() {
    thread::sleep(Duration::from_secs(3600));
}

fn one_uid_cannot_drain() -> Test {
    let mut greedy = start("drain", 10_001)?;
    wait_for_line(&mut greedy)?;
    let ours = connect()?.allocate2(&camera(), 2);
    greedy.kill()?;
    greedy.wait()?;
    assert_eq!(ours?.buffers.len(), 2, "nothing left for others");
    Ok(())
}

/// Holds buffers of every heap until killed.
fn hold() -> Test {
    let allocator = connect()?;
    let _camera = allocator.allocate2(&camera(), 4)?;
    let _memory = allocator.allocate2(&good(), 64)?;
    println!("holding");
    wait_for_end_of_input();
    Ok(())
}

fn a_client_that_dies() -> Test {
    let mut client = start("hold", 10_002)?;
    wait_for_line(&mut client)?;
    client.kill()?;
    client.wait()?;
    Ok(())
}

/// Asks for more descriptors than it may have.
fn starve() -> Test {
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
    for _ in 0..2048 {
        assert_eq!(allocator.allocate2(&big, 1)?.buffers.len(), 1);
    }
    Ok(())
}

/// Allocates and releases for SUITE_SECONDS (5 by default).
fn churn() -> Test {
    let allocator = connect()?;
    let seconds = env::var("SUITE_SECONDS").map_or(Ok(5), |n| n.parse())?;
    let end = Instant::now() + Duration::from_secs(seconds);
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
