// SPDX-License-Identifier: Apache-2.0
//! `file_contexts`: which label a path gets.

use dmaheap_dmabuf::node::selinux_type;
use regex::Regex;

use super::{Place, Text};

/// The lines of all files, in their order.
#[derive(Debug)]
pub(super) struct Contexts(Vec<Entry>);

#[derive(Debug)]
struct Entry {
    /// As it is written, to tell a whole path from an expression.
    pattern: String,
    expression: Regex,
    label: String,
    place: Place,
}

impl Contexts {
    pub fn parse(files: &[Text]) -> Contexts {
        let mut entries = Vec::new();
        for (file, text) in files {
            for (line, content) in (1..).zip(text.lines().map(str::trim)) {
                let mut words = content.split_whitespace();
                let (Some(pattern), Some(context)) = (words.next(), words.next_back()) else {
                    continue;
                };
                let label = selinux_type(context);
                let expression = Regex::new(&format!("^(?:{pattern})$"));
                // Comments and what is none of ours are not worth a word here:
                // the platform's own tools check them.
                let (Some(label), Ok(expression)) = (label, expression) else { continue };
                entries.push(Entry {
                    pattern: pattern.to_owned(),
                    expression,
                    label: label.to_owned(),
                    place: Place { file: file.clone(), line },
                });
            }
        }
        Contexts(entries)
    }

    /// The type that a path gets, and where that is said: by a line that is
    /// the path itself, or else by the last that matches.
    pub fn label(&self, path: &str) -> Option<(&str, &Place)> {
        let exact = |entry: &&Entry| entry.pattern == path;
        let matches = |entry: &&Entry| entry.expression.is_match(path);
        let entries = || self.0.iter().rev();
        let entry = entries().find(exact).or_else(|| entries().find(matches))?;
        Some((&entry.label, &entry.place))
    }
}
