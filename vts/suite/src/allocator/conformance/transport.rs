// SPDX-License-Identifier: Apache-2.0
//! Parcels that no generated proxy would send.

use std::error::Error;
use std::fs::File;

use dmaheap_aidl::allocator::BufferDescriptorInfo;
use libtest_mimic::Trial;
use rsbinder::{FIRST_CALL_TRANSACTION, FLAG_ONEWAY, Parcel, ParcelFileDescriptor, SIBinder};

use crate::service::{connect, good, trial};

type Test = Result<(), Box<dyn Error>>;

/// The transaction code of `allocate2`.
const ALLOCATE2: u32 = FIRST_CALL_TRANSACTION + 1;

pub fn trials() -> Vec<Trial> {
    vec![
        trial("transport::wrong_interface_token_is_refused", wrong_interface_token),
        trial("transport::unknown_codes_are_refused", unknown_codes),
        trial("transport::truncated_parcels_are_refused", truncated_parcels),
        trial("transport::wrapping_lengths_are_refused", wrapping_lengths),
        trial("transport::a_megabyte_is_refused", a_megabyte),
        trial("transport::unexpected_descriptors_are_closed", unexpected_descriptors),
        trial("transport::a_oneway_flood_is_survived", oneway_flood),
    ]
}

/// Sends a raw call; whether it was answered with success. The service must
/// still serve afterwards.
fn send(code: u32, data: &Parcel, flags: u32) -> Result<bool, Box<dyn Error>> {
    let allocator = connect()?;
    let binder: SIBinder = allocator.as_binder();
    let remote = binder.as_remote().ok_or("the service is remote")?;
    let reply = remote.submit_transact(code, data, flags);
    assert!(allocator.isSupported(&good())?, "the service no longer serves");
    // A reply begins with its exception code.
    Ok(reply.ok().flatten().is_some_and(|mut reply| reply.read_i32() == Ok(0)))
}

fn call(write: impl FnOnce(&mut Parcel) -> rsbinder::Result<()>) -> Result<Parcel, Box<dyn Error>> {
    let binder = connect()?.as_binder();
    let mut data = binder.as_remote().ok_or("the service is remote")?.prepare_transact(true)?;
    write(&mut data)?;
    Ok(data)
}

fn wrong_interface_token() -> Test {
    let mut data = Parcel::new();
    data.write_i32(0)?;
    data.write_i32(-1)?;
    data.write_i32(i32::from_be_bytes(*b"SYST"))?;
    data.write("android.os.IServiceManager")?;
    data.write(&good())?;
    data.write_i32(1)?;
    assert!(!send(ALLOCATE2, &data, 0)?);
    Ok(())
}

fn unknown_codes() -> Test {
    // 0xff_ffff and the one before ask for interface version and hash.
    for code in [0, 5, 0xff_fffd, 0x100_0000] {
        assert!(!send(code, &call(|data| data.write(&good()))?, 0)?, "code {code}");
    }
    Ok(())
}

fn truncated_parcels() -> Test {
    assert!(!send(ALLOCATE2, &call(|_| Ok(()))?, 0)?);
    assert!(!send(ALLOCATE2, &Parcel::new(), 0)?);
    for words in [1, 10, 30, 43] {
        let data = call(|data| (0..words).try_for_each(|_| data.write_i32(172)))?;
        assert!(!send(ALLOCATE2, &data, 0)?, "{words} words");
    }
    Ok(())
}

fn wrapping_lengths() -> Test {
    for length in [-2, i32::MIN, i32::MAX, 0x4000_0000, 0x2000_0001] {
        // A descriptor whose size lies, and one whose list of options does.
        let data = call(|data| {
            data.write_i32(1)?;
            data.write_i32(length)?;
            (0..43).try_for_each(|_| data.write_i32(length))
        })?;
        assert!(!send(ALLOCATE2, &data, 0)?, "length {length:#x}");
    }
    Ok(())
}

fn a_megabyte() -> Test {
    let data = call(|data| data.write(&vec![0xa5u8; 1_000_000][..]))?;
    assert!(!send(ALLOCATE2, &data, 0)?);
    Ok(())
}

fn unexpected_descriptors() -> Test {
    let data = call(|data| {
        for _ in 0..100 {
            let file = File::open("/dev/null").map_err(|_| rsbinder::StatusCode::BadFd)?;
            data.write(&ParcelFileDescriptor::new(file))?;
        }
        Ok(())
    })?;
    assert!(!send(ALLOCATE2, &data, 0)?);
    Ok(())
}

fn oneway_flood() -> Test {
    let huge = BufferDescriptorInfo { width: 512, height: 512, ..good() };
    for _ in 0..500 {
        let data = call(|data| {
            data.write(&huge)?;
            data.write_i32(4)
        })?;
        send(ALLOCATE2, &data, FLAG_ONEWAY)?;
    }
    Ok(())
}
