// SPDX-License-Identifier: Apache-2.0
//! Everything that can go wrong, and the one table from there to the codes of
//! `AllocationError`.

use std::path::PathBuf;

use dmaheap_aidl::allocator::AllocationError;
use dmaheap_buffer::{Bytes, Usage};
use dmaheap_dmabuf::Refusal;
use nix::errno::Errno;

use crate::finding::Findings;
use crate::shortage::Shortage;

/// What this crate returns.
pub type Result<T> = std::result::Result<T, Error>;

/// Why there is no buffer, or no service.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The descriptor is impossible, or asks for something unknown.
    #[error(transparent)]
    Descriptor(#[from] dmaheap_buffer::Error),
    /// An option that must not be ignored.
    #[error("additional option {0:?} is not known here, or not with that value, or came twice")]
    UnknownOption(String),
    /// A negative reserved region.
    #[error("a reserved region of {0} bytes cannot exist")]
    BadReserved(i64),
    /// A call that only clients of mapper 4 make.
    #[error(
        "allocate is for clients of mapper 4, and this allocator's mapper is version 5; use allocate2"
    )]
    OldInterface,
    /// Buffers of several views.
    #[error("no device of this board shares a buffer of several views; none is allocated")]
    MultiView,
    /// No buffers, or less than none.
    #[error("{0} buffers cannot be allocated")]
    BadCount(i32),
    /// More buffers than one reply may carry.
    #[error("{count} buffers are more than the {limit} that one call can return")]
    TooMany {
        /// As it was asked for.
        count: i32,
        /// The most that is possible.
        limit: u32,
    },
    /// Beyond a limit of the policy file.
    #[error("{what} of {size} is larger than the {limit} that the policy file allows")]
    TooLarge {
        /// Buffer or reserved region.
        what: &'static str,
        /// As it was asked for.
        size: Bytes,
        /// As the policy says.
        limit: Bytes,
    },
    /// More than a heap has in all.
    #[error("{size} can never come from heap {heap}, which has {all} in all")]
    LargerThanHeap {
        /// The heap's logical name.
        heap: String,
        /// As it was asked for.
        size: Bytes,
        /// As the policy says.
        all: Bytes,
    },
    /// More than one caller may ever hold of a heap.
    #[error("{size} of heap {heap} are more than the {limit} that {whose} may hold")]
    AboveLimit {
        /// The heap's logical name.
        heap: String,
        /// Whose buffers the limit counts.
        whose: String,
        /// As it was asked for.
        size: Bytes,
        /// As the policy says.
        limit: Bytes,
    },
    /// No rule covers this use.
    #[error(
        "no rule of the policy file covers usage {0}; `allocator explain` tells why each was passed over"
    )]
    NoRule(Usage),
    /// The client left the format to the board, and the board has none.
    #[error("the policy file resolves IMPLEMENTATION_DEFINED for no usage like {0}")]
    NoFormat(Usage),
    /// The heap has no device here.
    #[error("heap {heap} is missing: {}", list(refusals))]
    HeapMissing {
        /// Its logical name.
        heap: String,
        /// Why each of its nodes could not be opened.
        refusals: Vec<Refusal>,
    },
    /// Too much is held.
    #[error(
        "{size} more of heap {heap} would exceed the {limit} that {whose} may hold: {held} are \
         held, {own} of them by uid {uid}"
    )]
    Limit {
        /// The heap's logical name.
        heap: String,
        /// Whose buffers the limit counts.
        whose: String,
        /// What was asked for, with the metadata if that is from the same heap.
        size: Bytes,
        /// As the policy says.
        limit: Bytes,
        /// What is held of that already, or about to be.
        held: Bytes,
        /// The caller.
        uid: u32,
        /// What it holds of the heap.
        own: Bytes,
    },
    /// The system cannot spare the memory.
    #[error(
        "{size} of scattered memory are more than the system can spare: {available} are \
         available, {in_flight} of them promised to other requests, and {margin} must be left"
    )]
    NoMemory {
        /// What was asked for.
        size: Bytes,
        /// What can be had without ending a process.
        available: Bytes,
        /// What others were admitted for and may not have taken yet.
        in_flight: Bytes,
        /// What nobody gets.
        margin: Bytes,
    },
    /// Nobody knows what the system can spare.
    #[error(
        "{size} of scattered memory are not given while nobody can tell what is available: {cause}"
    )]
    Blind {
        /// What was asked for.
        size: Bytes,
        /// Why not.
        cause: String,
    },
    /// Too many calls at once.
    #[error("{whose} already keep {busy} of the {threads} threads busy; try again later")]
    Busy {
        /// Whose calls are counted together.
        whose: String,
        /// How many are at work.
        busy: usize,
        /// How many threads there are.
        threads: usize,
    },
    /// The heap has a device, but gave no memory.
    #[error("heap {heap} ({node}) could not give {size}: {cause}{}", left(shortage.as_ref()))]
    HeapExhausted {
        /// Its logical name.
        heap: String,
        /// Its device node.
        node: String,
        /// What was asked of it.
        size: Bytes,
        /// What the kernel said.
        cause: Errno,
        /// What was left of it, where that is known.
        shortage: Option<Shortage>,
    },
    /// Something other than a heap refused.
    #[error("{what} failed: {cause}")]
    System {
        /// What was tried.
        what: &'static str,
        /// What the kernel said.
        cause: Errno,
    },
    /// A file of the board's could not be read.
    #[error("cannot read {path}: {cause}")]
    File {
        /// The file.
        path: PathBuf,
        /// What the kernel said.
        cause: std::io::Error,
    },
    /// The policy file is not valid.
    #[error("the policy file cannot be used\n{0}")]
    Policy(Findings),
}

impl Error {
    /// For the log: with those who hold what the heap has not.
    pub fn in_full(&self) -> String {
        match self {
            Error::HeapExhausted { shortage: Some(shortage), .. } => {
                let holders = shortage.holders().map(|holders| format!("; {holders}"));
                format!("{self}{}", holders.unwrap_or_default())
            }
            _ => self.to_string(),
        }
    }

    /// The code that a client sees.
    ///
    /// | code | when | clients do |
    /// |---|---|---|
    /// | BAD_DESCRIPTOR | the request contradicts itself | fix it |
    /// | UNSUPPORTED | this board will never do it | ask for something else |
    /// | NO_RESOURCES | it might work later | give up or wait |
    ///
    /// BAD_DESCRIPTOR is 0, and conformance tests want another number for
    /// unknown usage bits and options: those are UNSUPPORTED. So is a buffer
    /// beyond a limit of the board, larger than all that its heap has, or for
    /// a caller that no rule is for. A missing heap is a fault that may be
    /// repaired while the service runs, hence NO_RESOURCES.
    pub fn code(&self) -> AllocationError {
        use dmaheap_buffer::Error as Buffer;
        match self {
            Error::Descriptor(
                Buffer::BadExtent { .. }
                | Buffer::BadBlob { .. }
                | Buffer::BadCube { .. }
                | Buffer::Overflow,
            )
            | Error::BadReserved(_)
            | Error::BadCount(_) => AllocationError::BAD_DESCRIPTOR,
            Error::Descriptor(_)
            | Error::UnknownOption(_)
            | Error::OldInterface
            | Error::MultiView
            | Error::TooLarge { .. }
            | Error::LargerThanHeap { .. }
            | Error::AboveLimit { .. }
            | Error::NoRule(_)
            | Error::NoFormat(_) => AllocationError::UNSUPPORTED,
            Error::TooMany { .. }
            | Error::HeapMissing { .. }
            | Error::HeapExhausted { .. }
            | Error::Limit { .. }
            | Error::NoMemory { .. }
            | Error::Blind { .. }
            | Error::Busy { .. }
            | Error::System { .. }
            | Error::File { .. }
            | Error::Policy(_) => AllocationError::NO_RESOURCES,
        }
    }
}

fn left(shortage: Option<&Shortage>) -> String {
    shortage.map_or_else(String::new, |shortage| format!("; {shortage}"))
}

fn list(refusals: &[Refusal]) -> String {
    let texts: Vec<String> = refusals.iter().map(ToString::to_string).collect();
    texts.join("; ")
}
