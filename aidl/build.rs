// SPDX-License-Identifier: Apache-2.0
//! Generates Rust from every `.aidl` file of this crate.

/// The interface hash of allocator V3 as frozen in the Android tree; a client
/// compares it with the one it was built against.
const ALLOCATOR_V3_HASH: &str = "b061131f0ee5260aa8f779bf3569dfc861a1b89c";

fn main() -> Result<(), rsbinder_aidl::AidlError> {
    rsbinder_aidl::Builder::new()
        .source("android/hardware/common")
        .source("android/hardware/graphics/common")
        .source("android/hardware/graphics/allocator/AllocationError.aidl")
        .source("android/hardware/graphics/allocator/AllocationResult.aidl")
        .source("android/hardware/graphics/allocator/BufferDescriptorInfo.aidl")
        .source("android/hardware/graphics/allocator/IAllocator.aidl")
        .version(3)
        .hash(ALLOCATOR_V3_HASH)
        .include_dir(".")
        .output("interfaces.rs")
        .generate()
}
