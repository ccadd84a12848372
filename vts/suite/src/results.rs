// SPDX-License-Identifier: Apache-2.0
//! What the tests of this process found: as JUnit's XML while they run, and for those who read it
//! afterwards.
//!
//! The XML is written piece by piece, a test's name before it begins: where the program or the whole
//! device dies, what was written says what ran before, and what was running then.

use std::io::{self, Write};
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

/// How a test ended.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Verdict {
    /// Well.
    Passed,
    /// It said nothing, for this reason.
    Skipped(String),
    /// Badly, for this reason.
    Failed(String),
}

/// What is kept of all tests.
#[derive(Debug)]
struct Results {
    /// The program, if it writes XML.
    junit: Option<&'static str>,
    /// The tests that said nothing, one a line with its reason.
    skipped: String,
}

static RESULTS: Mutex<Results> = Mutex::new(Results { junit: None, skipped: String::new() });

fn with<T>(act: impl FnOnce(&mut Results) -> T) -> T {
    act(&mut RESULTS.lock().unwrap_or_else(PoisonError::into_inner))
}

/// From now on, XML is written for this program.
pub fn open_junit(program: &'static str) {
    with(|results| results.junit = Some(program));
    put(&opening(program));
}

/// No more tests follow.
pub fn close_junit() {
    if with(|results| results.junit.take()).is_some() {
        put(CLOSING);
    }
}

/// A test begins.
pub fn begin(name: &str) {
    if let Some(program) = with(|results| results.junit) {
        put(&begun(program, name));
    }
}

/// A test is over.
pub fn end(name: &str, verdict: &Verdict, took: Duration) {
    if let Verdict::Skipped(reason) = verdict {
        with(|results| results.skipped += &format!("    {name}: {reason}\n"));
    }
    if with(|results| results.junit).is_some() {
        put(&ended(verdict, took));
    }
}

/// The tests that said nothing, one a line with its reason; empty if there are none.
pub fn skip_list() -> String {
    with(|results| match results.skipped.as_str() {
        "" => String::new(),
        skipped => format!("skipped:\n{skipped}"),
    })
}

/// Nobody may be there to read it any more.
fn put(text: &str) {
    let mut out = io::stdout().lock();
    let _ = out.write_all(text.as_bytes()).and_then(|()| out.flush());
}

fn opening(program: &str) -> String {
    format!(
        "<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n<testsuites>\n<testsuite name=\"{program}\">\n"
    )
}

const CLOSING: &str = "</testsuite>\n</testsuites>\n";

/// A tag that is left open until the test has ended.
fn begun(program: &str, name: &str) -> String {
    format!("<testcase classname=\"{program}\" name=\"{}\"", escaped(name))
}

fn ended(verdict: &Verdict, took: Duration) -> String {
    let time = format!(" time=\"{:.3}\"", took.as_secs_f64());
    let (tag, why) = match verdict {
        Verdict::Passed => return time + "/>\n",
        Verdict::Skipped(why) => ("skipped", why),
        Verdict::Failed(why) => ("failure", why),
    };
    format!("{time}><{tag} message=\"{}\"/></testcase>\n", escaped(why))
}

/// For an attribute. What XML cannot hold at all becomes a question mark.
fn escaped(text: &str) -> String {
    let mut out = String::new();
    for c in text.chars() {
        match c {
            '&' => out.push_str("&amp;"),
            '<' => out.push_str("&lt;"),
            '>' => out.push_str("&gt;"),
            '"' => out.push_str("&quot;"),
            '\n' => out.push_str("&#10;"),
            '\t' => out.push_str("&#9;"),
            '\u{0}'..'\u{20}' | '\u{fffe}' | '\u{ffff}' => out.push('?'),
            other => out.push(other),
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn junit_has_every_case_with_its_words_escaped() {
        let skipped = Verdict::Skipped("no \"<camera>\"".to_owned());
        let failed = Verdict::Failed("1 & 2\n\u{1b}[0m".to_owned());
        let case = |name, verdict| begun("P", name) + &ended(&verdict, Duration::from_millis(1500));
        let open = "<testcase classname=\"P\" name=\"x\"";
        let expected = |rest: &str| format!("{open} time=\"1.500\"{rest}\n");
        assert_eq!(case("x", Verdict::Passed), expected("/>"));
        let message = "><skipped message=\"no &quot;&lt;camera&gt;&quot;\"/></testcase>";
        assert_eq!(case("x", skipped), expected(message));
        let message = "><failure message=\"1 &amp; 2&#10;?[0m\"/></testcase>";
        assert_eq!(case("x", failed), expected(message));
    }
}
