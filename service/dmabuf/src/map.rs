// SPDX-License-Identifier: Apache-2.0
//! What lies where in the regions of this project's driver. It says so in debugfs,
//! which root can read, and no production build has; `kernel/README.md` has the
//! format.

use std::fs;
use std::io;
use std::path::Path;

/// A folder for each region.
const REGIONS: &str = "/sys/kernel/debug/dmaheap";

/// What an extent is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum State {
    /// A buffer: its inode, and the name that it has.
    Buffer(u64, String),
    /// The same, of pages that lie elsewhere.
    Small(u64, String),
    /// One that is being made, or given back.
    Pending,
    /// Held, and cleared.
    Clean,
    /// Held, and yet to be cleared.
    Dirty,
    /// Lent, and nobody uses it.
    Free,
    /// Lent to somebody, who has to move before a buffer can be there.
    Busy,
}

/// Memory of one state, by its physical address.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Extent {
    /// Where it begins.
    pub start: u64,
    /// Bytes.
    pub size: u64,
    /// What it is.
    pub state: State,
}

/// The names of all regions.
///
/// # Errors
/// Why they cannot be listed.
pub fn regions() -> io::Result<Vec<String>> {
    let name = |region: fs::DirEntry| region.file_name().into_string().ok();
    let mut names: Vec<_> = fs::read_dir(REGIONS)?.flatten().filter_map(name).collect();
    names.sort();
    Ok(names)
}

/// The map of a region, in the order of addresses.
///
/// # Errors
/// If there is none, or it cannot be read.
pub fn map(region: &str) -> io::Result<Vec<Extent>> {
    parse(&fs::read_to_string(Path::new(REGIONS).join(region).join("map"))?)
}

/// The map in a text.
///
/// # Errors
/// `InvalidData` with the line that is none.
pub fn parse(text: &str) -> io::Result<Vec<Extent>> {
    let malformed = |line| io::Error::new(io::ErrorKind::InvalidData, format!("{line:?}"));
    text.lines().map(|line| extent(line).ok_or_else(|| malformed(line))).collect()
}

fn extent(line: &str) -> Option<Extent> {
    let mut words = line.splitn(5, ' ');
    let start = u64::from_str_radix(words.next()?.strip_prefix("0x")?, 16).ok()?;
    let size = words.next()?.parse().ok()?;
    let state = words.next()?;
    let mut owner = || Some((words.next()?.parse().ok()?, words.next()?.to_owned()));
    let state = match state {
        "buffer" => owner().map(|(inode, name)| State::Buffer(inode, name))?,
        "small" => owner().map(|(inode, name)| State::Small(inode, name))?,
        "pending" => State::Pending,
        "clean" => State::Clean,
        "dirty" => State::Dirty,
        "free" => State::Free,
        "busy" => State::Busy,
        _ => return None,
    };
    Some(Extent { start, size, state })
}

impl Extent {
    /// The inode of the buffer there, if it is one's.
    pub fn inode(&self) -> Option<u64> {
        match &self.state {
            State::Buffer(inode, _) | State::Small(inode, _) => Some(*inode),
            _ => None,
        }
    }

    /// Where it ends.
    pub fn end(&self) -> u64 {
        self.start.saturating_add(self.size)
    }

    /// Whether a buffer could be there, if whoever has lent it moves.
    pub fn has_room(&self) -> bool {
        matches!(self.state, State::Clean | State::Dirty | State::Free | State::Busy)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn map_is_read_line_by_line() {
        let text = "0x54000000 8192 buffer 71 10123 Preview 64x64\n0x54002000 4096 dirty\n\
                    0x54003000 4096 clean\n0x54004000 4096 pending\n0x54005000 4096 busy\n\
                    0x54006000 4096 free\n0x80000000 4096 small 72 \n";
        let map = parse(text).unwrap();
        assert_eq!(map[0].state, State::Buffer(71, "10123 Preview 64x64".to_owned()));
        assert_eq!(
            (map[0].end(), map[0].inode(), map[0].has_room()),
            (0x5400_2000, Some(71), false)
        );
        let states: Vec<_> = map[1..6].iter().map(|extent| extent.state.clone()).collect();
        use State::{Busy, Clean, Dirty, Free, Pending};
        assert_eq!(states, [Dirty, Clean, Pending, Busy, Free]);
        assert!(map[1].has_room() && map[1].inode().is_none());
        assert_eq!(map[6].state, State::Small(72, String::new()));
    }

    #[test]
    fn what_is_no_line_is_named() {
        for line in
            ["", "54000000 1 clean", "0x1 x clean", "0x1 1 odd", "0x1 1 buffer", "0x1 1 small 7"]
        {
            let error = parse(&format!("{line}\n")).unwrap_err();
            assert!(error.to_string().contains(line), "{error}");
        }
    }

    #[test]
    fn region_that_is_not_there_is_an_error() {
        assert!(map("no such region").is_err());
        assert!(regions().is_ok_and(|names| names.is_empty()) || regions().is_err());
    }
}
