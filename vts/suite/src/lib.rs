// SPDX-License-Identifier: Apache-2.0
//! What a client sees of the allocator, and the kernel of a buffer: tests of both, and the ground that
//! they and the demonstration stand on. Runs on the device.

pub mod allocator;
/// How long calls take.
pub mod bench {
    pub mod mapper;
}
pub mod client;
pub mod dmabuf;
pub mod imapper;
pub mod mapper;
pub mod v4l2;
