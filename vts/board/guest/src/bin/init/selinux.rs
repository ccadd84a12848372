// SPDX-License-Identifier: Apache-2.0
//! SELinux, as Android's init brings it up.
//!
//! Process 1 starts in the domain `kernel`. It loads the policy while nothing is enforced, labels
//! every file of the image by the two `file_contexts`, and executes itself again: the policy
//! takes it into the domain `init`. There, once the nodes have their modes, it enforces. Boot with
//! `enforcing=0` to see the denials without their effect.

use std::fs;
use std::io;
use std::path::Path;

use regex_lite::Regex;
use walkdir::WalkDir;

const POLICY: &str = "/vendor/etc/selinux/precompiled_sepolicy";
const CONTEXTS: [&str; 2] =
    ["/system/etc/selinux/plat_file_contexts", "/vendor/etc/selinux/vendor_file_contexts"];
const LOAD: &str = "/sys/fs/selinux/load";
const ENFORCE: &str = "/sys/fs/selinux/enforce";
/// Zero for no limit: no denial goes unreported.
const LOG_LIMIT: &str = "/proc/sys/kernel/printk_ratelimit";
const ATTRIBUTE: &str = "security.selinux";

/// Their contents have labels by path from the policy itself.
const SELF_LABELLED: [&str; 5] = ["/proc", "/sys", "/dev/pts", "/dev/shm", "/dev/binderfs"];

/// Loads the policy and labels everything.
pub fn load() -> io::Result<()> {
    fs::write(LOG_LIMIT, "0")?;
    fs::write(LOAD, fs::read(POLICY)?)
        .map_err(|e| io::Error::new(e.kind(), format!("loading the SELinux policy: {e}")))?;
    label_below("/")
}

/// Enforces, unless the kernel's command line says otherwise.
pub fn enforce() -> io::Result<()> {
    if fs::read_to_string("/proc/cmdline")?.split_whitespace().any(|word| word == "enforcing=0") {
        return Ok(());
    }
    fs::write(ENFORCE, "1")
}

/// Gives all files below `root` their labels.
fn label_below(root: &str) -> io::Result<()> {
    let contexts = Contexts::read()?;
    let own = |path: &Path| !SELF_LABELLED.iter().any(|other| path == Path::new(other));
    for entry in WalkDir::new(root).into_iter().filter_entry(|e| own(e.path())) {
        let entry = entry.map_err(io::Error::from)?;
        let path = entry.path();
        if let Some(label) = contexts.label(&path.to_string_lossy()) {
            xattr::set(path, ATTRIBUTE, label.as_bytes()).map_err(|e| {
                io::Error::new(e.kind(), format!("labelling {} {label}: {e}", path.display()))
            })?;
        }
    }
    Ok(())
}

/// Which label a path gets: that of the last pattern that matches all of it, and of a pattern
/// without special characters before any other.
struct Contexts(Vec<(Pattern, String)>);

enum Pattern {
    Path(String),
    Expression(Regex),
}

impl Contexts {
    fn read() -> io::Result<Self> {
        let mut lines = Vec::new();
        for file in CONTEXTS {
            lines.extend(fs::read_to_string(file)?.lines().map(str::to_owned));
        }
        Self::parse(&lines)
    }

    fn parse(lines: &[String]) -> io::Result<Self> {
        let mut entries = Vec::new();
        for line in lines.iter().map(|line| line.trim()) {
            if line.is_empty() || line.starts_with('#') {
                continue;
            }
            let mut words = line.split_whitespace();
            let (Some(pattern), Some(label)) = (words.next(), words.next_back()) else {
                return Err(io::Error::other(format!("file_contexts: no label in '{line}'")));
            };
            let pattern = Pattern::new(pattern)
                .map_err(|e| io::Error::other(format!("file_contexts: '{line}': {e}")))?;
            entries.push((pattern, label.to_owned()));
        }
        Ok(Self(entries))
    }

    fn label(&self, path: &str) -> Option<&str> {
        let exact = |(pattern, _): &&(Pattern, String)| matches!(pattern, Pattern::Path(exact) if exact == path);
        let matches = |(pattern, _): &&(Pattern, String)| matches!(pattern, Pattern::Expression(regex) if regex.is_match(path));
        let entries = || self.0.iter().rev();
        entries().find(exact).or_else(|| entries().find(matches)).map(|(_, label)| label.as_str())
    }
}

impl Pattern {
    fn new(text: &str) -> Result<Self, regex_lite::Error> {
        let plain = text.replace("\\.", "");
        if plain.contains(['.', '^', '$', '?', '*', '+', '|', '[', '(', '{', '\\']) {
            return Regex::new(&format!("^(?:{text})$")).map(Pattern::Expression);
        }
        Ok(Pattern::Path(text.replace("\\.", ".")))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_last_pattern_decides_and_a_whole_path_comes_first() {
        let lines = ["# none", "/dev(/.*)? all", "/dev/heap/a exact", "/dev/heap/.* heaps", ""];
        let contexts = Contexts::parse(&lines.map(str::to_owned)).unwrap();
        assert_eq!(contexts.label("/dev"), Some("all"));
        assert_eq!(contexts.label("/dev/heap/a"), Some("exact"));
        assert_eq!(contexts.label("/dev/heap/ab"), Some("heaps"));
        assert_eq!(contexts.label("/devil"), None);
        assert!(Contexts::parse(&["/alone".to_owned()]).is_err());
    }
}
