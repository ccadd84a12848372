// SPDX-License-Identifier: Apache-2.0
//! The root of this crate in the Android tree: the same three modules as
//! `lib.rs`, over the platform's own generated code and libbinder_rs.

/// `android.hardware.graphics.allocator`, version 3.
pub mod allocator {
    use android_hardware_graphics_allocator::aidl::android::hardware::graphics::allocator as g;
    pub use g::AllocationError::AllocationError;
    pub use g::AllocationResult::AllocationResult;
    pub use g::BufferDescriptorInfo::BufferDescriptorInfo;
    pub use g::IAllocator::{BnAllocator, HASH, IAllocator, VERSION};

    /// The hash of version 2, for a board that says in its manifest that it has that.
    pub const HASH_OF_V2: &str = "9499fec09c544e9de5be3c87125721600f8ade66";
}

/// The part of `android.hardware.graphics.common` that service and tests name, and
/// `android.hardware.common.NativeHandle`.
pub mod common {
    pub use android_hardware_common::aidl::android::hardware::common::NativeHandle::NativeHandle;
    use android_hardware_graphics_common::aidl::android::hardware::graphics::common as g;
    pub use g::BlendMode::BlendMode;
    pub use g::BufferUsage::BufferUsage;
    pub use g::Dataspace::Dataspace;
    pub use g::ExtendableType::ExtendableType;
    pub use g::PixelFormat::PixelFormat;
}

#[path = "binder_ndk.rs"]
pub mod binder;
