// SPDX-License-Identifier: Apache-2.0
//! The chain from a heap of the policy file to the right to use it.
//!
//! A board grants access to memory in five files, and nobody compares them:
//! the device tree makes the node, `ueventd.rc` gives it mode and owner,
//! `file_contexts` a label, a `.te` file an allow rule for that label, and the
//! policy file counts on all of it. Each heap is followed along the chain;
//! what is missing, and what is open to more than it should be, is a finding
//! in the file where it would be mended.

mod blob;
mod contexts;
mod regions;
mod rules;
mod statement;
mod tree;
mod ueventd;

use std::collections::{BTreeMap, BTreeSet};
use std::path::PathBuf;

use dmaheap_dmabuf::node::{FOLDER, UNLABELLED, is_systems};

use super::heaps::Spec;
use super::model::Policy;
use super::read;
use super::source::{self, Source};
use crate::error::Result;
use crate::finding::{Findings, Severity};
use contexts::Contexts;
use rules::Rules;
use tree::Tree;
use ueventd::{Entry, Nodes};

/// The allocator's domain, and who it runs as: those of its `.rc` file.
const DOMAIN: &str = "hal_graphics_allocator_default";
const USER: &str = "system";
const GROUP: &str = "graphics";

/// What every node of a heap carries.
const ATTRIBUTE: &str = "dmabuf_heap_device_type";

/// To allocate takes these.
const NEEDED: [&str; 3] = ["open", "read", "ioctl"];

/// Heaps that the kernel has without a region in the device tree.
const BUILT_IN: [&str; 3] = ["system", "system-uncached", "default_cma_region"];

/// Whether a label is the platform's: of its own heaps' nodes, and of what has no other.
fn is_platforms(label: &str) -> bool {
    label == UNLABELLED || label.starts_with("dmabuf_system")
}

/// The files of a board besides its policy file. What is not given is not
/// checked.
#[derive(Debug, Default)]
pub struct Board {
    /// Folders with `file_contexts` and `.te` files; those of the platform's
    /// policy first.
    pub sepolicy: Vec<PathBuf>,
    /// `ueventd.rc` files; later lines win.
    pub ueventd: Vec<PathBuf>,
    /// The device tree and its overlays, blobs or sources; each is laid over those before it.
    pub device_tree: Vec<PathBuf>,
}

/// Follows every heap of `policy`, which is that of this `text` of `file`.
///
/// # Errors
/// If one of the board's other files cannot be read.
pub fn check(policy: &Policy, file: &str, text: &str, board: &Board) -> Result<Vec<Findings>> {
    let mut chain = Chain { source: Source(text), file: file.to_owned(), found: BTreeMap::new() };
    if !board.device_tree.is_empty() {
        chain.device_tree(policy, &Tree::read(&board.device_tree)?);
    }
    if !board.ueventd.is_empty() {
        chain.modes(policy, &Nodes::parse(&read_all(&board.ueventd)?));
    }
    if !board.sepolicy.is_empty() {
        let contexts = Contexts::parse(&read_all(&contexts_in(&board.sepolicy))?);
        let rules = Rules::read(&board.sepolicy)?;
        chain.labels(policy, &contexts, &rules);
        chain.rules(&rules);
    }
    Ok(chain.found.into_values().collect())
}

/// A place in a file: its name, and a line counted from 1.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
struct Place {
    file: String,
    line: usize,
}

/// A file's name and content.
type Text = (String, String);

fn read_all(paths: &[PathBuf]) -> Result<Vec<Text>> {
    paths.iter().map(|path| Ok((path.display().to_string(), read(path)?))).collect()
}

fn contexts_in(folders: &[PathBuf]) -> Vec<PathBuf> {
    let files = folders.iter().map(|folder| folder.join("file_contexts"));
    files.filter(|file| file.exists()).collect()
}

/// The nodes of all heaps, each with the heap that names it.
fn nodes(policy: &Policy) -> impl Iterator<Item = (&Spec, &str)> {
    let heaps = policy.heaps.iter().map(|(_, heap)| heap);
    heaps.flat_map(|heap| heap.nodes.iter().map(move |node| (heap, node.as_str())))
}

struct Chain<'t> {
    source: Source<'t>,
    file: String,
    found: BTreeMap<String, Findings>,
}

impl Chain<'_> {
    fn error(&mut self, place: Place, message: String, hint: String) {
        self.note(Severity::Error, place, message, hint);
    }

    fn note(&mut self, severity: Severity, place: Place, message: String, hint: String) {
        let findings = self.found.entry(place.file.clone());
        let findings = findings.or_insert_with(|| Findings::new(&place.file));
        findings.push(severity, place.line, message, hint);
    }

    /// Where the policy file has this of a heap.
    fn place(&self, heap: &Spec, key: &str) -> Place {
        let line = self.source.line(&source::heap(&heap.name), 0, key);
        Place { file: self.file.clone(), line }
    }

    fn modes(&mut self, policy: &Policy, files: &Nodes) {
        let mut seen = BTreeSet::new();
        for (heap, node) in nodes(policy) {
            let path = format!("{FOLDER}/{node}");
            match files.of(&path) {
                None if is_systems(node) => {}
                None => self.error(
                    self.place(heap, "nodes"),
                    format!("no ueventd.rc gives {path} an owner: only root can open it"),
                    format!("add `{path} 0440 {USER} {GROUP}`"),
                ),
                // One line may be about several nodes.
                Some(entry) => {
                    if let Some((message, hint)) = wrong_rights(heap, node, entry)
                        && seen.insert(entry.place.clone())
                    {
                        self.error(entry.place.clone(), message, hint);
                    }
                }
            }
        }
    }

    fn labels(&mut self, policy: &Policy, contexts: &Contexts, rules: &Rules) {
        let mut seen = BTreeSet::new();
        for (heap, node) in nodes(policy) {
            let path = format!("{FOLDER}/{node}");
            let Some((label, place)) = contexts.label(&path) else {
                self.error(
                    self.place(heap, "nodes"),
                    format!("no file_contexts labels {path}"),
                    format!("give it a type of its own with the attribute {ATTRIBUTE}"),
                );
                continue;
            };
            if !seen.insert((label.to_owned(), heap.name.clone())) {
                continue;
            }
            if label == UNLABELLED {
                self.error(
                    self.place(heap, "nodes"),
                    format!("{path} has the platform's default label, which opens no heap"),
                    "add a line for it to the vendor's file_contexts".to_owned(),
                );
                continue;
            }
            self.label(heap, label, place, rules);
        }
    }

    /// What holds of the rules whatever the policy says: each is understood, and no heap's type is
    /// left for a later rule to open.
    fn rules(&mut self, rules: &Rules) {
        for (statement, place) in &rules.unknown {
            self.note(
                Severity::Warning,
                place.clone(),
                format!("this may be a rule, and is not understood: {}", statement.trim_end()),
                "mend it; of a macro, name the folder that defines it before this one".to_owned(),
            );
        }
        for (label, place) in rules.having(ATTRIBUTE) {
            if !is_platforms(label) && !rules.is_guarded(label) {
                self.error(
                    place.clone(),
                    format!(
                        "no neverallow rule guards {label}: a later rule may open it to anybody"
                    ),
                    format!(
                        "neverallow {{ domain -{DOMAIN} }} {label}:chr_file {{ open read ioctl }};"
                    ),
                );
            }
        }
    }

    /// One type of a heap's nodes: is it one, and who may use it?
    fn label(&mut self, heap: &Spec, label: &str, place: &Place, rules: &Rules) {
        let name = &heap.name;
        if !rules.has_type(label) {
            let hint = format!("declare it: type {label}, {ATTRIBUTE}, dev_type;");
            self.error(place.clone(), format!("there is no type {label}"), hint);
            return;
        }
        if !rules.is(label, ATTRIBUTE) {
            let hint = format!("type {label}, {ATTRIBUTE}, dev_type;");
            self.error(place.clone(), format!("type {label} lacks {ATTRIBUTE}"), hint);
        }
        let granted = rules.granted(DOMAIN, label);
        if !NEEDED.iter().all(|needed| granted.contains(*needed)) {
            self.error(
                place.clone(),
                format!("no rule lets {DOMAIN} use {label}, the nodes of heap {name}"),
                format!("allow {DOMAIN} {label}:chr_file {{ {} }};", NEEDED.join(" ")),
            );
        }
        // The platform shares its own heaps as it likes.
        if is_platforms(label) {
            if heap.contiguous {
                self.error(
                    place.clone(),
                    format!("{label} is the platform's, and open to many; heap {name} is scarce"),
                    format!("give its nodes a type of their own with {ATTRIBUTE}"),
                );
            }
            return;
        }
        for (domain, place) in rules.users(label) {
            if domain != DOMAIN && !heap.domains.contains(domain) {
                self.error(
                    place.clone(),
                    format!("{domain} may use {label}, the nodes of heap {name}, as well"),
                    format!("remove the rule, or add {domain} to the heap's `domains`"),
                );
            }
        }
        for (unknown, place) in rules.unknown_users(label) {
            if unknown != DOMAIN && !heap.domains.contains(unknown) {
                self.error(
                    place.clone(),
                    format!("{unknown} may use {label}, the nodes of heap {name}: nothing here says who that is"),
                    format!("name the domains in the rule, or add {unknown} to the heap's `domains`"),
                );
            }
        }
    }
}

/// What is wrong with the rights that a line gives a heap's node, and what
/// would be right.
fn wrong_rights(heap: &Spec, node: &str, entry: &Entry) -> Option<(String, String)> {
    let (pattern, mode) = (&entry.pattern, entry.mode);
    let path = format!("{FOLDER}/{node}");
    if is_systems(node) && mode & 0o444 != 0o444 {
        return Some((
            format!("{pattern} has mode {mode:04o}: {path} is locked to others"),
            "leave it to the platform's line, 0444 system system".to_owned(),
        ));
    }
    if heap.contiguous && mode & 0o007 != 0 {
        return Some((
            format!("{pattern} has mode {mode:04o}: every process gets past it"),
            format!("0440 {USER} {GROUP} lets the allocator in, and nobody else"),
        ));
    }
    if !entry.lets_in(USER, GROUP) {
        return Some((
            format!("the allocator, {USER} and {GROUP}, may not read {path}"),
            format!("0440 {USER} {GROUP} lets it"),
        ));
    }
    (mode & 0o222 != 0).then(|| {
        (
            format!("{path} has mode {mode:04o}: nothing is ever written to it"),
            format!("0440 {USER} {GROUP} is enough to allocate"),
        )
    })
}
