// SPDX-License-Identifier: Apache-2.0
//! The mapper is in every client's process, and on a device a panic ends that: `catch_unwind` does
//! nothing there. So no call's path has one, as the compiler and the linker's optimiser left it.
//!
//! All that the library is made of, Rust's own code with it, is compiled into one archive, a section for
//! each function; what a section refers to is what its function may call. From the exported function on,
//! each reference of this project's functions to what may end in a panic must have a reason.

use std::collections::{HashMap, HashSet};
use std::fs;

use board::android;
use object::read::archive::ArchiveFile;
use object::{File, Object, ObjectSection, ObjectSymbol, RelocationTarget};

/// Parts of the compiler's names of what may be referred to, and why.
const REASONS: [(&str, &str); 8] = [
    ("7raw_vec", "memory that is not there ends a process on Android anyway"),
    ("spec_from_iter", "makes a vector: as before"),
    ("from_utf8_lossy", "makes a string: as before"),
    ("7CString", "makes a string: as before"),
    ("9once_lock", "android_logger's, set once"),
    ("fmt..Display", "a message's text: fails where its writer does, and strings do not"),
    ("Lanon", "the table of android_logger's functions"),
    ("MergedGlobals", "android_logger's own state, and the thread's"),
];

/// Of whom it is asked.
const OURS: [&str; 2] = ["dmaheap_", "AIMapper_loadIMapper"];

/// Sections and what they refer to, by their names; a symbol of another object is that symbol.
#[derive(Default)]
struct References {
    from: HashMap<String, HashSet<String>>,
    /// Where a global symbol is.
    symbols: HashMap<String, String>,
}

impl References {
    fn read(archive: &[u8]) -> References {
        let mut all = References::default();
        for (number, member) in ArchiveFile::parse(archive).unwrap().members().enumerate() {
            // Aligned, as an object must be.
            let member = member.unwrap().data(archive).unwrap().to_vec();
            // Its list of names, and Rust's metadata, are no objects.
            let Ok(file) = File::parse(member.as_slice()) else { continue };
            all.add(number, &file);
        }
        all
    }

    fn add(&mut self, number: usize, file: &File) {
        let name_of = |index| {
            let section = file.section_by_index(index).unwrap();
            format!("{number}:{}", section.name().unwrap())
        };
        for symbol in file.symbols().filter(|symbol| symbol.is_global()) {
            if let Some(index) = symbol.section_index() {
                self.symbols.insert(symbol.name().unwrap().to_owned(), name_of(index));
            }
        }
        for section in file.sections() {
            let name = section.name().unwrap();
            // What only unwinding reads.
            if name.starts_with(".eh_frame") || name.starts_with(".gcc_except") {
                continue;
            }
            let targets = section.relocations().filter_map(|(_, relocation)| {
                let RelocationTarget::Symbol(index) = relocation.target() else { return None };
                let symbol = file.symbol_by_index(index).ok()?;
                let place = symbol.section_index().map(name_of);
                Some(place.unwrap_or_else(|| symbol.name().unwrap_or_default().to_owned()))
            });
            self.from.entry(name_of(section.index())).or_default().extend(targets);
        }
    }

    /// What this section refers to.
    fn of(&self, section: &str) -> impl Iterator<Item = &str> {
        let targets = self.from.get(section).into_iter().flatten();
        targets.map(|target| self.symbols.get(target).unwrap_or(target).as_str())
    }

    /// All that can be reached from a function.
    fn reached(&self, root: &str) -> HashSet<&str> {
        let mut reached = HashSet::new();
        let mut left = vec![self.symbols[root].as_str()];
        while let Some(section) = left.pop() {
            if reached.insert(section) && !is_panic(section) {
                left.extend(self.of(section));
            }
        }
        reached
    }

    /// Which of these may end in a panic.
    fn panicking<'a>(&self, reached: &HashSet<&'a str>) -> HashSet<&'a str> {
        let mut bad: HashSet<&str> = reached.iter().copied().filter(|s| is_panic(s)).collect();
        loop {
            let more = reached.iter().copied().filter(|section| !bad.contains(section));
            let more: Vec<&str> =
                more.filter(|section| self.of(section).any(|to| bad.contains(to))).collect();
            if more.is_empty() {
                return bad;
            }
            bad.extend(more);
        }
    }
}

fn is_panic(section: &str) -> bool {
    section.contains("9panicking")
}

fn is_ours(section: &str) -> bool {
    OURS.iter().any(|ours| section.contains(ours))
}

#[test]
fn no_call_of_the_mapper_can_panic() {
    let archive = fs::read(android::mapper_archive().unwrap()).unwrap();
    let references = References::read(&archive);
    let reached = references.reached("AIMapper_loadIMapper");
    let ours: Vec<&str> = reached.iter().copied().filter(|section| is_ours(section)).collect();
    // Inlining leaves few: at the least the functions of the table.
    assert!(ours.len() > 15, "{ours:?}");
    let bad = references.panicking(&reached);
    assert!(bad.iter().any(|section| is_panic(section)), "allocation can, and is not seen");
    let mut unexplained = Vec::new();
    for from in ours {
        for to in references.of(from).filter(|to| bad.contains(to) && !is_ours(to)) {
            if !REASONS.iter().any(|(part, _)| to.contains(part)) {
                unexplained.push(format!("{from}\n    refers to {to}"));
            }
        }
    }
    assert!(unexplained.is_empty(), "may panic:\n{}", unexplained.join("\n"));
}
