// SPDX-License-Identifier: Apache-2.0
//! Any parcel to any method of the service, in this process. (The interface token before it is the
//! binder library's to check, which takes a driver to do so.) There are no heaps here, so what is sound
//! is refused for want of resources; what `isSupported` promises must not be refused for another reason.
//!
//! The input is a byte that says what to call, and the parcel.
#![no_main]

use std::sync::LazyLock;

use dmaheap_aidl::allocator::{AllocationError, BnAllocator, BufferDescriptorInfo};
use dmaheap_allocator::service::Service;
use dmaheap_allocator::{Allocator, Policy};
use libfuzzer_sys::fuzz_target;
use rsbinder::{Binder, FIRST_CALL_TRANSACTION, Parcel, Remotable, Status};

const POLICY: &str = include_str!("../../../etc/virt/heaps.toml");

const ALLOCATE2: u32 = FIRST_CALL_TRANSACTION + 1;
const IS_SUPPORTED: u32 = FIRST_CALL_TRANSACTION + 2;

static SERVICE: LazyLock<Binder<BnAllocator>> = LazyLock::new(|| {
    let (policy, _) = Policy::parse("heaps.toml", POLICY).expect("it is shipped");
    let service = BnAllocator::new_binder(Service::new(Allocator::new(policy)));
    Binder::try_from(service.as_binder()).expect("it is local")
});

fuzz_target!(|input: &[u8]| {
    let Some((what, bytes)) = input.split_first() else { return };
    match what {
        0 => promise(bytes),
        // As dumpsys asks, in words that are not its own.
        1 => drop(SERVICE.on_dump(&mut Vec::new(), &words(bytes))),
        // Version and hash.
        2 => drop(call(0x00ff_ffff, &mut parcel(bytes))),
        3 => drop(call(0x00ff_fffe, &mut parcel(bytes))),
        what => drop(call(u32::from(what % 8), &mut parcel(bytes))),
    }
});

/// Whatever descriptor these bytes are: if it is supported, it is refused only as there is no heap.
fn promise(bytes: &[u8]) {
    let Ok(descriptor) = parcel(bytes).read::<BufferDescriptorInfo>() else { return };
    let mut data = Parcel::new();
    data.write(&descriptor).and_then(|()| data.write_i32(1)).expect("it is not full");
    let supported = call(IS_SUPPORTED, &mut data).is_some_and(|mut reply| {
        reply.read::<Status>().is_ok_and(|status| status.is_ok()) && reply.read() == Ok(true)
    });
    if supported {
        let mut reply = call(ALLOCATE2, &mut data).expect("it parsed before");
        let refused = reply.read::<Status>().expect("a status").service_specific_error();
        assert_eq!(refused, AllocationError::NO_RESOURCES.0);
    }
}

/// The reply, if there is one.
fn call(code: u32, data: &mut Parcel) -> Option<Parcel> {
    data.set_data_position(0);
    let mut reply = Parcel::new();
    SERVICE.on_transact(code, data, &mut reply).ok()?;
    reply.set_data_position(0);
    Some(reply)
}

/// Parcels consist of words.
fn parcel(bytes: &[u8]) -> Parcel {
    let mut parcel = Parcel::new();
    for word in bytes.chunks(4) {
        let mut padded = [0; 4];
        padded[..word.len()].copy_from_slice(word);
        parcel.write_i32(i32::from_le_bytes(padded)).expect("it is not full");
    }
    parcel.set_data_position(0);
    parcel
}

fn words(bytes: &[u8]) -> Vec<String> {
    let words = bytes.split(|byte| *byte == 0);
    words.map(|word| String::from_utf8_lossy(word).into_owned()).collect()
}
