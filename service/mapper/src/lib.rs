// SPDX-License-Identifier: Apache-2.0
//! The mapper: how a process gets at a graphics buffer it was given.
//!
//! A passthrough library in the process of every client: SurfaceFlinger, apps,
//! camera HALs. It opens no device, starts no thread, and keeps nothing but
//! the imports of this process. What a handle or the shared metadata says is
//! believed only after it was held against the buffers themselves; what is
//! believed never changes afterwards, because it was copied.
//!
//! An import lives from `importBuffer` to `freeBuffer`. It owns its own
//! descriptors, the native handle that its client holds, one mapping of the
//! metadata, and one of the pixels from the first lock on. Several imports of
//! one buffer share nothing but the buffer.
//!
//! | module | what it holds |
//! |---|---|
//! | [`abi`] | the C interface: types, the table, the exported symbols |
//! | `copies` | one table for all copies of this library in a process |
//! | `registry` | which handles are imports of this process |
//! | `slab` | how they are found without a lock |
//! | `import` | one import: validation, locks, reserved region |
//! | `values` | metadata: get, set, dump |
//! | `views` | buffers of several views, of which there is none |
//! | [`error`] | everything that can go wrong, and its code |
//!
//! There is no lock in it, and nothing else that one thread waits for another
//! to leave: a child that was forked in the middle of any call can make all of
//! them. All unsafe code is in [`abi`], where pointers come from a client, in
//! `sys`, where a fence is waited for, in `slab` and in `copies`.

pub mod abi;
mod copies;
pub mod error;
mod import;
mod locks;
mod registry;
mod slab;
mod sys;
mod values;
mod views;

pub use error::Error;
