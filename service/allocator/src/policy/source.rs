// SPDX-License-Identifier: Apache-2.0
//! Where in the text of a policy file something stands. The parser forgets
//! that, and a message without a line is of little use.

/// The text of a policy file.
#[derive(Debug, Clone, Copy)]
pub(super) struct Source<'a>(pub &'a str);

/// Header of the table of all heaps, rules and resolutions.
pub(super) const RULES: &str = "[[rules]]";
pub(super) const RESOLUTIONS: &str = "[[implementation_defined]]";

/// Header of one class's table.
pub(super) fn class(name: &str) -> String {
    format!("[classes.{name}]")
}

/// Header of one heap's table.
pub(super) fn heap(name: &str) -> String {
    format!("[heaps.{name}]")
}

impl Source<'_> {
    /// The line, counted from 1, of `key` in the `nth` table with this header.
    /// If the key is not there, the line of the header; if that is not there
    /// either, 1. An empty header stands for the top of the file.
    pub fn line(self, header: &str, nth: usize, key: &str) -> usize {
        let mut seen = 0usize;
        let mut inside = header.is_empty();
        let mut found = 1;
        for (number, line) in (1..).zip(self.0.lines().map(str::trim)) {
            if line.starts_with('[') {
                if inside {
                    break;
                }
                if line.starts_with(header) {
                    inside = seen == nth;
                    seen = seen.saturating_add(1);
                    found = number;
                }
            } else if inside && is_key(line, key) {
                return number;
            }
        }
        found
    }

    /// The line, counted from 1, where a key or a table of this name comes first.
    pub fn line_of_key(self, key: &str) -> Option<usize> {
        let is_table = |line: &str| line.trim_start_matches('[').starts_with(key);
        (1..)
            .zip(self.0.lines().map(str::trim))
            .find(|(_, line)| is_key(line, key) || (line.starts_with('[') && is_table(line)))
            .map(|(number, _)| number)
    }
}

fn is_key(line: &str, key: &str) -> bool {
    line.strip_prefix(key).is_some_and(|rest| rest.trim_start().starts_with('='))
}
