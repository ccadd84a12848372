// SPDX-License-Identifier: Apache-2.0
//! Where memory is, and who has it. For a developer's machine: what a device's own programs say is
//! read through a shell there, `adb shell` or another, and shown here.
//!
//! | module | what it holds |
//! |---|---|
//! | [`snapshot`] | what the device says at one moment |
//! | [`picture`] | regions with their buffers and holes, by holder |
//! | [`page`] | that as one page without network |
//! | [`text`] | that as text |
//! | `top` | what changes, in a terminal |

pub mod page;
pub mod picture;
pub mod snapshot;
pub mod text;
#[cfg(feature = "terminal")]
pub mod top;

pub use picture::Picture;
pub use snapshot::Snapshot;
