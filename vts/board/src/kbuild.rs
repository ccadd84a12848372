// SPDX-License-Identifier: Apache-2.0
//! The kernel's own build system: one source tree, one folder for objects.

use std::collections::BTreeMap;
use std::fs;
use std::path::PathBuf;

use crate::boards::Board;
use crate::error::{Error, OnFile, Result};
use crate::tool;

const HINT: &str = "an error in kernel/*.c or in the board's fragment is mended there; for any \
                    other, remove the build folder that holds the log";

/// Builds for a board, out of the source tree.
pub struct Kbuild<'a> {
    pub board: &'a Board,
    pub tree: PathBuf,
    pub folder: PathBuf,
}

impl Kbuild<'_> {
    /// Nothing but the fragment and what it selects; a line of it that did not survive is an error.
    /// `origin` is where it stands, for the error. What is configured so already is left alone.
    pub fn configure(&self, fragment: &str, origin: &str) -> Result<()> {
        let wish = self.folder.join("fragment.config");
        let config = self.folder.join(".config");
        if config.exists() && fs::read_to_string(&wish).is_ok_and(|old| old == fragment) {
            return Ok(());
        }
        let making = wish.with_extension("making");
        fs::write(&making, fragment).on("cannot write", &making)?;
        self.make(&["allnoconfig", &format!("KCONFIG_ALLCONFIG={}", making.display())], |_| ())?;
        let got = fs::read_to_string(&config).on("cannot read", &config)?;
        let got: Vec<&str> = got.lines().collect();
        let lost: Vec<&str> = wanted(fragment)
            .into_iter()
            .filter(|(option, line)| match line.starts_with('#') {
                // What this kernel does not know is not set either.
                true => got.iter().any(|got| got.starts_with(&format!("CONFIG_{option}="))),
                false => !got.contains(line),
            })
            .map(|(_, line)| line)
            .collect();
        if !lost.is_empty() {
            return Err(Error::LostConfig { fragment: origin.to_owned(), lines: lost.join("\n") });
        }
        // It has this name only once it is known to have been followed.
        fs::rename(&making, &wish).on("cannot rename to", &wish)
    }

    /// Makes the goals, which may set variables; `on_line` gets each line that make prints.
    pub fn make(&self, goals: &[&str], on_line: impl FnMut(&str)) -> Result<()> {
        let jobs = std::thread::available_parallelism().map_or(1, |n| n.get());
        // TERM: make then removes the targets it was at.
        let mut command = tool::bound_to_us("make", "TERM");
        command
            .arg("-C")
            .arg(&self.tree)
            .arg(format!("-j{jobs}"))
            .arg(format!("O={}", self.folder.display()))
            .arg(format!("ARCH={}", self.board.target.arch))
            .arg(format!("CROSS_COMPILE={}", self.board.target.cross_compile))
            .args(goals)
            // What is built does not say who built it.
            .envs([("KBUILD_BUILD_USER", "dmaheap"), ("KBUILD_BUILD_HOST", "board")])
            .env_remove("MAKEFLAGS");
        let what = format!("kernel make {}", goals.join(" "));
        tool::run(&what, HINT, command, &self.folder.join("build.log"), on_line)
    }
}

/// The lines that set an option, by its name; of two for one option the later counts.
fn wanted(fragment: &str) -> BTreeMap<&str, &str> {
    let lines = fragment.lines().filter_map(|line| {
        let option = line.strip_prefix("# ").unwrap_or(line).strip_prefix("CONFIG_")?;
        Some((option.split(['=', ' ']).next()?, line))
    });
    lines.collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_later_fragment_has_the_last_word() {
        let fragment = "# Heaps.\n# CONFIG_A is not set\nCONFIG_B=\"x y\"\nCONFIG_A=y\n";
        let lines: Vec<&str> = wanted(fragment).into_values().collect();
        assert_eq!(lines, ["CONFIG_A=y", "CONFIG_B=\"x y\""]);
    }
}
