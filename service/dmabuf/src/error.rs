// SPDX-License-Identifier: Apache-2.0
//! What can go wrong with a descriptor that is said to be a dma-buf's.

use nix::errno::Errno;

/// What this crate returns where more than the kernel's number is known.
pub type Result<T> = std::result::Result<T, Error>;

/// Why a descriptor is no use.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum Error {
    /// The number is that of no open descriptor.
    #[error("the descriptor is not open")]
    Closed,
    /// It is open, and of something else.
    #[error("the descriptor is not one of a dma-buf")]
    NoDmaBuf,
    /// The kernel refused.
    #[error("{what} failed: {cause}")]
    System {
        /// What was tried.
        what: &'static str,
        /// What the kernel said.
        cause: Errno,
    },
}
