// SPDX-License-Identifier: Apache-2.0
//! The policy file of a board: which heaps there are, and which use of a
//! buffer comes from which of them.
//!
//! Rules are tried in order, the first that matches decides. A rule also says
//! what happens when its heap is missing or exhausted, so nothing degrades
//! silently. A rule's heap is protected exactly when the usage is: neither
//! kind of buffer can come from the other kind of heap.
//!
//! Three steps lead to a [`Policy`]: the file is read as it is written, names
//! are looked up, and the whole is checked for contradictions. Each step notes
//! everything it finds, with its line, and a policy with errors is never used.

pub mod chain;
mod consistency;
mod file;
mod finding;
mod lookup;
mod rule;
mod source;

use std::collections::BTreeMap;
use std::path::Path;
use std::sync::Arc;

use dmaheap_buffer::{Bytes, Constraints, Format, Layout, Usage};

use crate::error::{Error, Result};
use crate::heap::Heap;
use crate::request::Request;
pub use finding::{Finding, Findings, Severity};
pub use rule::{Fallback, Mismatch, Rule, When};
use source::Source;

/// Where a board keeps its policy.
pub const PATH: &str = "/vendor/etc/dmaheap/heaps.toml";

/// Heaps hand out whole pages; this is the smallest page there is.
const PAGE: Bytes = Bytes(4096);

/// A validated policy file.
#[derive(Debug)]
pub struct Policy {
    /// All heaps, in the order of their names.
    pub heaps: Vec<Arc<Heap>>,
    /// All rules, in the order in which they are tried.
    pub rules: Vec<Rule>,
    /// The heap that the small metadata buffers come from.
    pub metadata_heap: Arc<Heap>,
    vendor_usage: BTreeMap<String, Usage>,
    resolutions: Vec<Resolution>,
    alignment: Vec<Alignment>,
    limits: Limits,
}

/// What IMPLEMENTATION_DEFINED means for a use.
#[derive(Debug)]
struct Resolution {
    when: When,
    format: Format,
}

/// What a group of devices asks of layouts.
#[derive(Debug)]
struct Alignment {
    consumers: Usage,
    constraints: Constraints,
}

#[derive(Debug)]
struct Limits {
    buffer: Bytes,
    reserved: Bytes,
}

/// Everything that is decided about a request before memory is touched.
#[derive(Debug)]
pub struct Plan<'p> {
    /// The rule that matched.
    pub rule: &'p Rule,
    /// Where the pixels will be.
    pub layout: Layout,
}

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

    /// The vendor usage bits that the file gives a name.
    pub fn vendor_bits(&self) -> Usage {
        self.vendor_usage.values().fold(Usage::NONE, |all, usage| all | *usage)
    }

    /// The usage of this name, the file's own names included.
    ///
    /// # Errors
    /// If nobody defined it.
    pub fn usage(&self, name: &str) -> Result<Usage> {
        match self.vendor_usage.get(name) {
            Some(usage) => Ok(*usage),
            None => Ok(Usage::from_name(name)?),
        }
    }

    /// Decides layout and rule. Pure: no heap is touched.
    ///
    /// # Errors
    /// Whatever makes the request impossible on this board. If there is no
    /// error, only a lack of resources can keep the request from being served.
    pub fn plan(&self, request: &Request) -> Result<Plan<'_>> {
        let layout = self.layout(request)?;
        let rule = self
            .rules
            .iter()
            .find(|rule| rule.mismatch(request.usage, &layout).is_none())
            .ok_or(Error::NoRule(request.usage))?;
        Ok(Plan { rule, layout })
    }

    /// The layout of a request, whatever rule it falls under.
    ///
    /// # Errors
    /// If the format, the size or a limit forbids it.
    pub fn layout(&self, request: &Request) -> Result<Layout> {
        request.usage.require_fit(request.extent)?;
        let format = self.resolve(request.format, request.usage)?;
        let layout = Layout::new(format, request.extent, &self.constraints(request.usage)?)?;
        within("a buffer", layout.size(), self.limits.buffer)?;
        within("a reserved region", request.reserved, self.limits.reserved)?;
        Ok(layout)
    }

    fn resolve(&self, code: i32, usage: Usage) -> Result<Format> {
        if code != Format::IMPLEMENTATION_DEFINED {
            return Ok(Format::new(code)?);
        }
        self.resolutions
            .iter()
            .find(|resolution| resolution.when.mismatch(usage).is_none())
            .map(|resolution| resolution.format)
            .ok_or(Error::NoFormat(usage))
    }

    /// What all consumers of a buffer ask of its layout together.
    fn constraints(&self, usage: Usage) -> Result<Constraints> {
        let pages = Constraints { size: PAGE, ..Constraints::default() };
        self.alignment
            .iter()
            .filter(|alignment| alignment.consumers.intersects(usage))
            .try_fold(pages, |all, alignment| Ok(all.combine(alignment.constraints)?))
    }
}

/// The text of a file of the board's.
///
/// # Errors
/// [`Error::File`] if it cannot be read.
pub fn read(path: &Path) -> Result<String> {
    std::fs::read_to_string(path).map_err(|cause| Error::File { path: path.to_owned(), cause })
}

fn within(what: &'static str, size: Bytes, limit: Bytes) -> Result<()> {
    if size > limit {
        return Err(Error::TooLarge { what, size, limit });
    }
    Ok(())
}
