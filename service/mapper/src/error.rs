// SPDX-License-Identifier: Apache-2.0
//! Everything that can go wrong, and the one table from there to the codes of
//! the interface.

use dmaheap_buffer::{Type, Usage};
use dmaheap_imapper::Code;
use nix::errno::Errno;

/// What this crate returns.
pub type Result<T> = std::result::Result<T, Error>;

/// Why a call did not do what it was asked.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Error {
    /// The handle is no handle, or describes no buffer.
    #[error("not a buffer: {0}")]
    BadHandle(#[from] dmaheap_buffer::Error),
    /// No handle at all.
    #[error("the handle is null")]
    NoHandle,
    /// The handle's own version or counts are those of no buffer.
    #[error("not a buffer: a handle of version {version}, {fds} descriptors and {ints} integers")]
    BadShape {
        /// Bytes before the descriptors, as the handle has it.
        version: i32,
        /// Descriptors, as the handle has it.
        fds: i32,
        /// Integers, as the handle has it.
        ints: i32,
    },
    /// Not, or no longer, an imported handle.
    #[error("not an imported handle of this process")]
    NotImported,
    /// A client that never frees.
    #[error("this process has imported more buffers than can be kept")]
    TooManyImports,
    /// Unlock, flush or reread without a lock.
    #[error("the buffer is not locked")]
    NotLocked,
    /// More nested locks than anybody needs.
    #[error("the buffer is locked too many times; it must be unlocked first")]
    TooManyLocks,
    /// A usage that no lock can have.
    #[error("a lock is for reading or writing by the CPU and nothing else, not for {0:#x}")]
    BadUsage(u64),
    /// A direction the buffer was not allocated for.
    #[error("a buffer for {buffer} cannot be locked for {lock}")]
    OtherUsage {
        /// What the buffer was allocated for.
        buffer: Usage,
        /// What it was to be locked for.
        lock: Usage,
    },
    /// A region that is empty or reaches beyond the buffer.
    #[error("the region to lock is not inside the buffer")]
    BadRegion,
    /// The acquire fence is no open descriptor, or of something without events.
    #[error("the acquire fence is none")]
    BadFence,
    /// The acquire fence did not signal.
    #[error("the acquire fence did not signal in {0} ms")]
    Late(u16),
    /// A pointer that must not be null is.
    #[error("an argument is null")]
    Null,
    /// Metadata that was fixed when the buffer was allocated.
    #[error("metadata {0:?} never changes")]
    Constant(Type),
    /// Metadata of a type that does not exist here.
    #[error("metadata of this type is unknown")]
    UnknownType,
    /// What only a buffer of several views has.
    #[error("the buffer is one view")]
    OneView,
    /// Bytes that are no value of this metadata.
    #[error("not a value to set: {0}")]
    BadMetadata(dmaheap_buffer::Error),
    /// A descriptor of the handle is not one of a dma-buf, or the kernel
    /// refused something with it.
    #[error(transparent)]
    DmaBuf(#[from] dmaheap_dmabuf::Error),
    /// The kernel refused.
    #[error("{what} failed: {cause}")]
    System {
        /// What was tried.
        what: &'static str,
        /// What the kernel said.
        cause: Errno,
    },
    /// A defect in this library; the client must not die of it.
    #[error("internal error")]
    Panicked,
}

impl Error {
    /// The code that a client sees.
    pub fn code(&self) -> Code {
        use dmaheap_buffer::Error as Buffer;
        use dmaheap_dmabuf::Error as DmaBuf;
        match self {
            Error::BadHandle(_)
            | Error::NoHandle
            | Error::BadShape { .. }
            | Error::DmaBuf(DmaBuf::Closed | DmaBuf::NoDmaBuf)
            | Error::NotImported
            | Error::NotLocked => Code::BAD_BUFFER,
            Error::BadUsage(_)
            | Error::OtherUsage { .. }
            | Error::BadRegion
            | Error::BadFence
            | Error::Null
            | Error::Constant(_) => Code::BAD_VALUE,
            Error::BadMetadata(Buffer::Contended)
            | Error::TooManyLocks
            | Error::TooManyImports
            | Error::Late(_)
            | Error::DmaBuf(DmaBuf::System { .. })
            | Error::System { .. }
            | Error::Panicked => Code::NO_RESOURCES,
            // The interface wants this for malformed values, too.
            Error::UnknownType | Error::OneView | Error::BadMetadata(_) => Code::UNSUPPORTED,
        }
    }
}
