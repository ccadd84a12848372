// SPDX-License-Identifier: Apache-2.0
//! The graphics allocator: from what a buffer is for to the heap it comes
//! from.
//!
//! A request takes two steps. [`Policy::plan`] is pure: it finds the layout
//! and the rule, or says why there is none. [`Allocator::allocate`] takes the
//! memory: all buffers of a request, or none. `isSupported` is the first step
//! alone, so the two can never disagree.
//!
//! | module | what it holds |
//! |---|---|
//! | [`policy`] | the policy file, a value: parsed and validated as a whole, then asked |
//! | [`finding`] | what is wrong with a file |
//! | [`request`] | the border: a descriptor from outside becomes a request |
//! | [`heap`] | one kind of memory behind a device node |
//! | [`stock`] | what is held ready of it |
//! | [`allocation`] | requests become buffers |
//! | [`name`] | by what name the kernel knows a buffer |
//! | [`metadata`] | the second buffer of each, made ahead |
//! | [`refill`] | the thread that makes ready what will be asked for |
//! | [`accounts`] | who holds what, and who may not have more |
//! | [`headroom`] | memory that the system can spare |
//! | [`gate`] | whose calls the threads work for |
//! | [`service`] | binder on one side, the allocator on the other |
//! | [`deadline`] | writing to somebody who may not read |
//! | [`dump`] | what the service and the kernel say about all that |
//! | [`cli`] | the command line |
//! | [`error`] | everything that can go wrong, and its code on the wire |

pub mod accounts;
pub mod allocation;
pub mod cli;
pub mod deadline;
pub mod dump;
pub mod error;
pub mod finding;
pub mod gate;
pub mod headroom;
pub mod heap;
pub mod logging;
pub mod metadata;
pub mod name;
pub mod policy;
pub mod refill;
pub mod request;
pub mod service;
pub mod shortage;
pub mod stock;
mod sys;

pub use allocation::Allocator;
pub use error::Error;
pub use policy::Policy;
pub use request::Request;
