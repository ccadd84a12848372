// SPDX-License-Identifier: Apache-2.0
//! Lines that can run, and those that have: read from lcov's format, without the tests' own.

use std::collections::BTreeMap;
use std::fs;
use std::iter::Sum;
use std::ops::Add;
use std::path::Path;

use board::{Error, Result};

/// Files that a complaint names.
const WORST: usize = 5;

/// A file of the repository.
pub struct Source {
    /// Its path in the repository.
    pub path: String,
    /// Each line that holds code, and whether it has run.
    lines: BTreeMap<usize, bool>,
}

/// How many lines hold code, and how many of them have run.
#[derive(Debug, Default, Clone, Copy, PartialEq, Eq)]
pub struct Count {
    pub lines: usize,
    pub covered: usize,
}

impl Count {
    /// Per cent, rounded down to a tenth: nothing is called reached that is not.
    pub fn percent(self) -> f64 {
        if self.lines == 0 {
            return 100.0;
        }
        (self.covered * 1000 / self.lines) as f64 / 10.0
    }

    /// Whether at least `floor` per cent have run.
    pub fn reaches(self, floor: f64) -> bool {
        self.covered as f64 * 100.0 >= floor * self.lines as f64
    }
}

impl Add for Count {
    type Output = Count;

    fn add(self, other: Count) -> Count {
        Count { lines: self.lines + other.lines, covered: self.covered + other.covered }
    }
}

impl Sum for Count {
    fn sum<I: Iterator<Item = Count>>(counts: I) -> Count {
        counts.fold(Count::default(), Count::add)
    }
}

impl Source {
    pub fn count(&self) -> Count {
        let covered = self.lines.values().filter(|ran| **ran).count();
        Count { lines: self.lines.len(), covered }
    }

    /// The lines that have not run: `7, 12-15`. Lines without code between two of them do not
    /// part them.
    pub fn missing(&self) -> String {
        let mut ranges: Vec<(usize, usize)> = Vec::new();
        let mut goes_on = false;
        for (&line, &ran) in &self.lines {
            match ranges.last_mut().filter(|_| goes_on && !ran) {
                Some((_, last)) => *last = line,
                None if !ran => ranges.push((line, line)),
                None => {}
            }
            goes_on = !ran;
        }
        let shown = ranges.iter().map(|(first, last)| match first == last {
            true => first.to_string(),
            false => format!("{first}-{last}"),
        });
        shown.collect::<Vec<_>>().join(", ")
    }
}

/// The files that lcov's text tells of, which lie below `root`, without tests.
pub fn read(lcov: &str, root: &Path) -> Result<Vec<Source>> {
    let mut sources = Vec::new();
    for (path, mut lines) in parse(lcov)? {
        let file = Path::new(path);
        let name = file.strip_prefix(root).unwrap_or(file);
        if is_test(name) {
            continue;
        }
        let text = fs::read_to_string(file).map_err(|source| Error::File {
            what: "cannot read",
            path: file.to_owned(),
            source,
        })?;
        if let Some(tests) = tests_of(&text) {
            lines.split_off(&tests);
        }
        if !lines.is_empty() {
            sources.push(Source { path: name.display().to_string(), lines });
        }
    }
    sources.sort_by(|a, b| a.path.cmp(&b.path));
    Ok(sources)
}

/// Each `SF:` file with its `DA:line,count` entries.
fn parse(lcov: &str) -> Result<Vec<(&str, BTreeMap<usize, bool>)>> {
    let mut files: Vec<(&str, BTreeMap<usize, bool>)> = Vec::new();
    for text in lcov.lines() {
        if let Some(path) = text.strip_prefix("SF:") {
            files.push((path, BTreeMap::new()));
        } else if let Some(entry) = text.strip_prefix("DA:") {
            let parsed = entry.split_once(',').and_then(|(line, count)| {
                Some((line.parse::<usize>().ok()?, count.parse::<u64>().ok()?))
            });
            let (Some((line, count)), Some((_, lines))) = (parsed, files.last_mut()) else {
                return Err(Error::Usage(format!("llvm-cov's lcov has a line '{text}'")));
            };
            lines.insert(line, count > 0);
        }
    }
    Ok(files)
}

/// Whether all of a file is tests: `tests.rs`, or what lies in a folder `tests`.
fn is_test(path: &Path) -> bool {
    path.iter().any(|part| part == "tests" || part == "tests.rs")
}

/// The line at which a file's tests begin: they are its last module, below `#[cfg(test)]`.
fn tests_of(text: &str) -> Option<usize> {
    let lines: Vec<&str> = text.lines().collect();
    let begins = |pair: &[&str]| pair[0] == "#[cfg(test)]" && pair[1].starts_with("mod ");
    lines.windows(2).position(begins).map(|index| index + 1)
}

/// What `total` lacks to `floor`, and where most of it is.
pub fn complaint(floor: f64, total: Count, sources: &[Source]) -> String {
    let lacks = |source: &Source| source.count().lines - source.count().covered;
    let mut worst: Vec<&Source> = sources.iter().filter(|source| lacks(source) > 0).collect();
    worst.sort_by_key(|source| std::cmp::Reverse(lacks(source)));
    let worst: Vec<String> = (worst.iter().take(WORST))
        .map(|source| format!("{} ({})", source.path, lacks(source)))
        .collect();
    format!(
        "{:.1} % of the lines have run, and at least {floor:.1} % must; most of those that have \
         not are in {}",
        total.percent(),
        worst.join(", ")
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    fn source(path: &str, lines: &[(usize, bool)]) -> Source {
        Source { path: path.to_owned(), lines: lines.iter().copied().collect() }
    }

    #[test]
    fn lines_of_tests_are_left_out() {
        let here = tempfile::tempdir().unwrap();
        let code =
            "fn a() {}\n#[cfg(test)]\nuse x;\n\n#[cfg(test)]\nmod tests {\n    fn b() {}\n}\n";
        for folder in ["src", "tests"] {
            fs::create_dir_all(here.path().join(folder)).unwrap();
        }
        let mut lcov = String::new();
        for name in ["src/b.rs", "src/a.rs", "src/tests.rs", "tests/cli.rs"] {
            let path = here.path().join(name);
            fs::write(&path, code).unwrap();
            lcov += &format!(
                "SF:{}\nFN:1,a\nFNDA:1,a\nDA:1,18446744073709551615\nDA:3,0\nDA:7,9\nLF:3\nend_of_record\n",
                path.display()
            );
        }
        let sources = read(&lcov, here.path()).unwrap();
        let seen: Vec<_> = sources.iter().map(|one| (one.path.as_str(), one.count())).collect();
        let count = Count { lines: 2, covered: 1 };
        assert_eq!(seen, [("src/a.rs", count), ("src/b.rs", count)]);
    }

    #[test]
    fn what_is_not_lcov_is_refused() {
        for text in ["DA:1,1\n", "SF:a\nDA:1\n", "SF:a\nDA:x,1\n"] {
            assert!(parse(text).is_err(), "{text}");
        }
    }

    #[test]
    fn missing_lines_are_joined_across_what_holds_no_code() {
        let all = [(1, true), (3, false), (7, false), (8, true), (9, false)];
        assert_eq!(source("a", &all).missing(), "3-7, 9");
        assert_eq!(source("a", &[(1, true)]).missing(), "");
    }

    #[test]
    fn a_floor_is_reached_exactly_or_not() {
        let count = |covered, lines| Count { lines, covered };
        assert!(count(9, 10).reaches(90.0) && !count(8999, 10_000).reaches(90.0));
        assert_eq!(count(8999, 10_000).percent(), 89.9);
        assert_eq!(count(0, 0).percent(), 100.0);
    }

    #[test]
    fn a_complaint_names_the_files_that_lack_most() {
        let sources = [
            source("whole", &[(1, true)]),
            source("half", &[(1, true), (2, false)]),
            source("none", &[(1, false), (2, false)]),
        ];
        let total = sources.iter().map(Source::count).sum();
        let said = complaint(90.0, total, &sources);
        assert_eq!(
            said,
            "40.0 % of the lines have run, and at least 90.0 % must; most of those that have not \
             are in none (2), half (1)"
        );
    }
}
