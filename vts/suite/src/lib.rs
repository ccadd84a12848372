// SPDX-License-Identifier: Apache-2.0
//! What a client sees of the allocator, and the kernel of a buffer: the ground that tests and the
//! demonstration stand on. Runs on the device.

pub mod client;
pub mod dmabuf;
