// SPDX-License-Identifier: Apache-2.0
//! What a graphics buffer is, shared by the allocator and the mapper.
//!
//! Pure: no file, no system call, no global state. Numbers from outside are
//! judged once, where they enter ([`Usage::new`], [`Format::new`],
//! [`Handle::decode`], [`Header::parse`], [`Value::decode`]); behind that
//! border the types hold only what is possible.
//!
//! | module | answers |
//! |---|---|
//! | [`usage`] | what a buffer is for |
//! | [`format`](mod@format) | how samples are made of components, per format: one table |
//! | [`layout`] | where every plane and row lies, and how many bytes that takes |
//! | [`handle`] | the integers that travel with a buffer's file descriptors |
//! | [`header`] | the start of the second dma-buf: origin, settable facts |
//! | [`settable`] | the protocol by which processes share the settable facts |
//! | [`standard`] | the standard metadata: what a buffer is, as clients of the mapper ask for it |

#![cfg_attr(test, allow(clippy::arithmetic_side_effects))]

mod checksum;
pub mod format;
pub mod handle;
pub mod header;
pub mod layout;
pub mod settable;
pub mod standard;
pub mod units;
pub mod usage;

pub use format::Format;
pub use handle::Handle;
pub use header::{Header, Origin};
pub use layout::{Constraints, Extent, Layout};
pub use standard::{Type, Value};
pub use units::{Bytes, Pixels, Stride};
pub use usage::Usage;

/// Why a buffer cannot be as asked for, or a handle is not one of ours.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Error {
    /// Bits that no buffer can have; which and why is in [`usage`].
    #[error(
        "usage {usage:#x} has bits {unknown:#x}, which no buffer can have: reserved ones, a chain of mipmaps, or vendor bits that the policy file does not name"
    )]
    UnknownUsage {
        /// The whole usage as it was sent.
        usage: u64,
        /// The part of it that is unknown.
        unknown: u64,
    },
    /// Protected memory has no CPU mapping.
    #[error("protected memory cannot be read or written by the CPU")]
    ProtectedForCpu,
    /// The faces of a cube are six squares.
    #[error(
        "a cube map has square layers, six for each cube; this one has {layers} of {width} x {height}"
    )]
    BadCube {
        /// As it was sent.
        width: u32,
        /// As it was sent.
        height: u32,
        /// As it was sent.
        layers: u32,
    },
    /// No usage bit goes by this name.
    #[error("no usage is called {0:?}")]
    UnknownUsageName(String),
    /// Not a pixel format, or one that says nothing about memory.
    #[error("format {0:#x} is not a pixel format with a layout")]
    UnknownFormat(i32),
    /// No pixel format goes by this name.
    #[error("no pixel format is called {0:?}")]
    UnknownFormatName(String),
    /// Zero, negative or more than the interface can express.
    #[error("a buffer of {width} x {height} pixels and {layers} layers cannot exist")]
    BadExtent {
        /// As it was sent.
        width: i64,
        /// As it was sent.
        height: i64,
        /// As it was sent.
        layers: i64,
    },
    /// A BLOB is a row of bytes.
    #[error(
        "a BLOB has height 1 and as many bytes as its width; this one has height {height} and {layers} layers"
    )]
    BadBlob {
        /// As it was sent.
        height: u32,
        /// As it was sent.
        layers: u32,
    },
    /// The size does not fit into 63 bits, or a row not into 31.
    #[error("the buffer's size overflows")]
    Overflow,
    /// The integers do not describe a buffer of this project.
    #[error("not a handle of this allocator: {0}")]
    BadHandle(&'static str),
    /// The metadata does not belong to a buffer of this project.
    #[error("not the metadata of a buffer of this allocator: {0}")]
    BadMetadata(&'static str),
    /// Bytes that are not the standard metadata they were said to be.
    #[error("not a value of metadata {0:?}")]
    BadValue(Type),
    /// A value that the metadata has no room for.
    #[error("{0:?} is longer than its place in this buffer's metadata, if it has one there")]
    TooLong(Type),
    /// Other processes change a fact all the time.
    #[error("a fact is being changed by others again and again")]
    Contended,
}
