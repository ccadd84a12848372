// SPDX-License-Identifier: Apache-2.0
//! The policy file of a board: which heaps there are, and which use of a
//! buffer comes from which of them.
//!
//! Rules are tried in order, the first that matches decides. A rule also says
//! what happens when its heap is missing or exhausted, so nothing degrades
//! silently. A rule's heap is protected exactly when the usage is: neither
//! kind of buffer can come from the other kind of heap.
//!
//! The file says as well who may have how much ([`Limit`]), in classes of
//! callers ([`Classes`]): what a node's label forbids to an app the allocator
//! would fetch for it otherwise.
//!
//! Three steps lead to a [`Policy`]: the file is read as it is written, names
//! are looked up, and the whole is checked for contradictions. Each step notes
//! everything it finds, with its line, and a policy with errors is never used.
//! A policy is a value: it opens nothing and counts nothing.

mod caller;
#[cfg(feature = "host")]
pub mod chain;
mod consistency;
mod file;
mod heaps;
mod limits;
mod lookup;
mod model;
mod rule;
mod source;

use std::path::Path;

use crate::error::{Error, Result};
use crate::finding::Findings;
pub use caller::{APPS, Callers, Class, ClassId, ClassSet, Classes, Who};
pub use heaps::{HeapId, PerHeap, Reserve, Spec};
pub use limits::{Amount, Keep, Limit, Machine, Scope};
pub use model::{Interface, Need, Plan, Policy};
pub use rule::{Fallback, Mismatch, Rule, RuleId, When};
use source::Source;

/// Where a board keeps its policy.
pub const PATH: &str = "/vendor/etc/dmaheap/heaps.toml";

impl Policy {
    /// Reads and validates a policy file; warnings come along.
    ///
    /// # Errors
    /// [`Error::File`] if it cannot be read, [`Error::Policy`] if it has
    /// any error.
    pub fn load(path: &Path) -> Result<(Policy, Findings)> {
        Policy::parse(&path.display().to_string(), &read(path)?)
    }

    /// Validates the text of a policy file.
    ///
    /// # Errors
    /// [`Error::Policy`] if it has any error.
    pub fn parse(name: &str, text: &str) -> Result<(Policy, Findings)> {
        let source = Source(text);
        let mut findings = Findings::new(name);
        let policy = file::read(source, &mut findings)
            .and_then(|file| lookup::build(&file, source, &mut findings));
        if let Some(policy) = &policy {
            consistency::check(policy, source, &mut findings);
        }
        match policy {
            Some(policy) if !findings.has_errors() => Ok((policy, findings)),
            _ => Err(Error::Policy(findings)),
        }
    }
}

/// The text of a file of the board's.
///
/// # Errors
/// [`Error::File`] if it cannot be read.
pub fn read(path: &Path) -> Result<String> {
    std::fs::read_to_string(path).map_err(|cause| Error::File { path: path.to_owned(), cause })
}
