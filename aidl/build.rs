// SPDX-License-Identifier: Apache-2.0
//! Generates Rust from every `.aidl` file of this crate.

/// The interface hash of allocator V2 as frozen in the Android tree; a client
/// compares it with the one it was built against.
const ALLOCATOR_V2_HASH: &str = "9499fec09c544e9de5be3c87125721600f8ade66";

fn main() -> Result<(), rsbinder_aidl::AidlError> {
    rsbinder_aidl::Builder::new()
        .source("android/hardware/common")
        .source("android/hardware/graphics/common")
        .source("android/hardware/graphics/allocator/AllocationError.aidl")
        .source("android/hardware/graphics/allocator/AllocationResult.aidl")
        .source("android/hardware/graphics/allocator/BufferDescriptorInfo.aidl")
        .source("android/hardware/graphics/allocator/IAllocator.aidl")
        .version(2)
        .hash(ALLOCATOR_V2_HASH)
        .include_dir(".")
        .output("interfaces.rs")
        .generate()
}
