// SPDX-License-Identifier: Apache-2.0
//! The kernel's side of a buffer: DMA-BUF heaps, the dma-bufs they give, and
//! what the kernel tells of both. Allocator, mapper and tests share it.
//!
//! | module | what it holds |
//! |---|---|
//! | [`sys`] | the ioctls as the kernel defines them, each with its permission and errors; unsafe |
//! | [`node`] | a heap's device node: opened, known to be one, allocated from |
//! | [`buffer`] | a dma-buf: size, name, the CPU's access |
//! | [`mapping`] | its memory in this process |
//! | [`watch`] | weak references to dma-bufs: which of them still live |
//! | [`map`] | what lies where in the regions of this project's driver |
//! | [`kernel`] | what is read of `/proc` and `/sys` |
//!
//! Nothing here decides anything: which heap, how much and for whom is the
//! allocator's, what a handle means is `dmaheap-buffer`'s.

pub mod buffer;
mod error;
pub mod kernel;
pub mod map;
pub mod mapping;
pub mod node;
pub mod sys;
pub mod watch;

pub use buffer::{Access, DmaBuf};
pub use error::{Error, Result};
pub use mapping::{LateMapping, Mapping};
pub use node::{Node, Refusal};
pub use watch::Watch;
