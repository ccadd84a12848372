// SPDX-License-Identifier: Apache-2.0
//! The wire interface of the allocator: what the AIDL compiler made of the
//! `.aidl` files in this folder, and [`binder`], the one place that knows
//! which binder library is underneath.
//!
//! AIDL enums are open: a newtype that holds whatever number a client sent.
//! Nothing here judges values; that is the receiver's first step.

pub mod binder;

// Generated, with the names AIDL prescribes; the documentation is in the
// .aidl files.
#[allow(missing_docs, missing_debug_implementations, clippy::all)]
#[allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    clippy::arithmetic_side_effects
)]
mod generated {
    rsbinder::include_aidl!("interfaces");
}

/// `android.hardware.graphics.allocator`, version 3.
pub mod allocator {
    use crate::generated::android::hardware::graphics::allocator as g;
    pub use g::AllocationError::AllocationError;
    pub use g::AllocationResult::AllocationResult;
    pub use g::BufferDescriptorInfo::BufferDescriptorInfo;
    pub use g::IAllocator::{BnAllocator, BpAllocator, HASH, IAllocator, VERSION};

    /// The hash of version 2, for a board that says in its manifest that it has that.
    pub const HASH_OF_V2: &str = "9499fec09c544e9de5be3c87125721600f8ade66";
}

/// The part of `android.hardware.graphics.common` that describes buffers, and
/// `android.hardware.common.NativeHandle`.
pub mod common {
    pub use crate::generated::android::hardware::common::NativeHandle::NativeHandle;
    use crate::generated::android::hardware::graphics::common as g;
    pub use g::BlendMode::BlendMode;
    pub use g::BufferUsage::BufferUsage;
    pub use g::ChromaSiting::ChromaSiting;
    pub use g::Compression::Compression;
    pub use g::Cta861_3::Cta861_3;
    pub use g::Dataspace::Dataspace;
    pub use g::ExtendableType::ExtendableType;
    pub use g::Interlaced::Interlaced;
    pub use g::PixelFormat::PixelFormat;
    pub use g::PlaneLayout::PlaneLayout;
    pub use g::PlaneLayoutComponent::PlaneLayoutComponent;
    pub use g::PlaneLayoutComponentType::PlaneLayoutComponentType;
    pub use g::Rect::Rect;
    pub use g::Smpte2086::Smpte2086;
    pub use g::StandardMetadataType::StandardMetadataType;
    pub use g::XyColor::XyColor;
}
