// SPDX-License-Identifier: Apache-2.0
//! Modes and owners of device nodes, from `ueventd.rc` files.
//!
//! The subset is Android's permission lines, `PATTERN MODE USER GROUP`, of which the last that
//! matches a node wins. The board's nodes all exist when init starts, so one pass over them
//! replaces the event loop.

use std::fs::{self, Permissions};
use std::io;
use std::os::unix::fs::{PermissionsExt, chown};
use std::path::Path;

use crate::identity::{group_id, user_id};

#[derive(Debug, PartialEq)]
struct Rule<'a> {
    pattern: &'a str,
    mode: u32,
    user: &'a str,
    group: &'a str,
}

/// Applies the rules of `file` in order.
pub fn apply(file: &Path) -> io::Result<()> {
    let text = fs::read_to_string(file)?;
    for (index, line) in text.lines().enumerate() {
        parse_line(line)
            .and_then(|rule| rule.map_or(Ok(()), |rule| apply_rule(&rule)))
            .map_err(|why| io::Error::other(format!("{}:{}: {why}", file.display(), index + 1)))?;
    }
    Ok(())
}

fn parse_line(line: &str) -> Result<Option<Rule<'_>>, String> {
    let line = line.split('#').next().unwrap_or("").trim();
    if line.is_empty() {
        return Ok(None);
    }
    let words: Vec<&str> = line.split_whitespace().collect();
    let [pattern, mode, user, group] = words[..] else {
        return Err(format!("'{line}' is not PATTERN MODE USER GROUP"));
    };
    let mode = u32::from_str_radix(mode, 8).map_err(|_| format!("'{mode}' is not a mode"))?;
    Ok(Some(Rule { pattern, mode, user, group }))
}

fn apply_rule(rule: &Rule) -> Result<(), String> {
    let (user, group) = (user_id(rule.user)?, group_id(rule.group)?);
    let nodes = glob::glob(rule.pattern).map_err(|e| e.to_string())?;
    for node in nodes.flatten() {
        chown(&node, Some(user.as_raw()), Some(group.as_raw()))
            .and_then(|()| fs::set_permissions(&node, Permissions::from_mode(rule.mode)))
            .map_err(|e| format!("{}: {e}", node.display()))?;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_permission_line_is_pattern_mode_user_group() {
        let rule = parse_line("/dev/dma_heap/camera@5*  0440 system graphics # all").unwrap();
        let expected = Rule {
            pattern: "/dev/dma_heap/camera@5*",
            mode: 0o440,
            user: "system",
            group: "graphics",
        };
        assert_eq!(rule, Some(expected));
        assert_eq!(parse_line("  # nothing").unwrap(), None);
    }

    #[test]
    fn other_lines_are_refused_by_name() {
        assert!(parse_line("subsystem dma_heap").unwrap_err().contains("subsystem dma_heap"));
        assert!(parse_line("/dev/x 0980 root root").unwrap_err().contains("0980"));
    }
}
