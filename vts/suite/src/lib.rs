// SPDX-License-Identifier: Apache-2.0
//! What a client sees of the allocator, and the kernel of a buffer: tests of both, and the ground that
//! they and the demonstration stand on. Runs on the device.

pub mod allocator;
mod baseline;
// By rsbinder's own calls.
#[cfg(not(soong))]
pub mod bench;
pub mod client;
pub mod compositor;
pub mod display;
pub mod dmabuf;
pub mod drm;
pub mod harness;
pub mod heap;
pub mod heaps;
pub mod imapper;
pub mod mapper;
mod pressure;
pub mod program;
mod results;
pub mod service;
pub mod v4l2;
