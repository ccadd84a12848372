// SPDX-License-Identifier: Apache-2.0
//! `ueventd.rc`: mode and owner of device nodes, a line each.

use super::{Place, Text};

/// The lines of all files, in their order.
#[derive(Debug)]
pub(super) struct Nodes(Vec<Entry>);

/// A line.
#[derive(Debug)]
pub(super) struct Entry {
    /// A path, whose last part may end with a star.
    pub pattern: String,
    /// Permission bits.
    pub mode: u32,
    user: String,
    group: String,
    /// Where it stands.
    pub place: Place,
}

impl Nodes {
    pub fn parse(files: &[Text]) -> Nodes {
        let mut entries = Vec::new();
        for (file, text) in files {
            for (line, content) in (1..).zip(text.lines()) {
                let mut words = content.split_whitespace();
                let (Some(path), Some(mode)) = (words.next(), words.next()) else { continue };
                let Ok(mode) = u32::from_str_radix(mode, 8) else { continue };
                let (Some(user), Some(group)) = (words.next(), words.next()) else { continue };
                entries.push(Entry {
                    pattern: path.to_owned(),
                    mode,
                    user: user.to_owned(),
                    group: group.to_owned(),
                    place: Place { file: file.clone(), line },
                });
            }
        }
        Nodes(entries)
    }

    /// The line that counts for this node: the last that matches.
    pub fn of(&self, path: &str) -> Option<&Entry> {
        self.0.iter().rev().find(|entry| entry.matches(path))
    }
}

impl Entry {
    fn matches(&self, path: &str) -> bool {
        match self.pattern.strip_suffix('*') {
            Some(prefix) => path.starts_with(prefix),
            None => self.pattern == path,
        }
    }

    /// Whether a process of this user and group may read the node.
    pub fn lets_in(&self, user: &str, group: &str) -> bool {
        if self.user == user {
            return self.mode & 0o400 != 0;
        }
        self.group == group && self.mode & 0o040 != 0
    }
}
