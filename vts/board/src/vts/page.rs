// SPDX-License-Identifier: Apache-2.0
//! The page for people: what passed, of what and when, and where memory was.

use askama::Template;
use dmaheap_see::page::STYLE as STRIPS;

use super::results::{Case, Counts, Suite, Verdict};

/// All of it; the picture is beside it.
#[derive(Template)]
#[template(path = "vts.html")]
pub struct Page<'a> {
    /// All programs together.
    pub counts: &'a Counts,
    /// The programs.
    pub suites: &'a [Suite],
    /// What it is about.
    pub facts: &'a Facts,
    /// The board after the tests.
    pub state: &'a State,
}

/// What was tested, where and when.
pub struct Facts {
    /// The commit, and whether there was more than that.
    pub commit: String,
    /// The board's name and its kernel.
    pub kernel: String,
    /// When the tests began.
    pub date: String,
    /// Seconds that they took, all together.
    pub seconds: u64,
}

/// The board after the tests, in its own words.
pub struct State {
    /// Where memory was while a camera's picture was on the screen: a part of the page.
    pub map: String,
    /// What the demonstration shows.
    pub demonstration: String,
    /// Whether it left a picture.
    pub has_picture: bool,
}

/// A program's tests by how they ended.
fn counts(suite: &Suite) -> Counts {
    let mut counts = Counts::default();
    counts.add(suite);
    counts
}

/// Its duration, in seconds.
fn seconds(suite: &Suite) -> String {
    let times = suite.cases.iter().filter_map(|case| case.time.parse::<f64>().ok());
    format!("{:.1}", times.sum::<f64>())
}

/// What needs attention comes first.
fn sorted(suite: &Suite) -> Vec<&Case> {
    let mut cases: Vec<_> = suite.cases.iter().collect();
    cases.sort_by_key(|case| match case.verdict {
        Verdict::Failed(_) => 0,
        Verdict::Skipped(_) => 1,
        Verdict::Passed => 2,
    });
    cases
}

/// A verdict's word, and the reason.
fn verdict(case: &Case) -> (&'static str, &str) {
    match &case.verdict {
        Verdict::Failed(why) => ("failed", why),
        Verdict::Skipped(why) => ("skipped", why),
        Verdict::Passed => ("passed", ""),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn failures_come_first_and_names_are_no_markup() {
        let case =
            |name: &str, verdict| Case { name: name.to_owned(), time: "0.5".to_owned(), verdict };
        let cases = vec![
            case("good<i>", Verdict::Passed),
            case("absent", Verdict::Skipped("no camera".to_owned())),
            case("bad", Verdict::Failed("1 < 2".to_owned())),
        ];
        let suites = [Suite { name: "P".to_owned(), cases }];
        let facts = Facts {
            commit: "abc".to_owned(),
            kernel: "virt: Linux 6.12".to_owned(),
            date: "today".to_owned(),
            seconds: 7,
        };
        let map = "<ol class=\"strip\"></ol>".to_owned();
        let state = State { map, demonstration: "a table".to_owned(), has_picture: true };
        let (counts, facts, state) = (&counts(&suites[0]), &facts, &state);
        let page = Page { counts, suites: &suites, facts, state }.render().unwrap();
        let place =
            |part: &str| page.find(part).unwrap_or_else(|| panic!("{part} is not in {page}"));
        assert!(place("bad") < place("no camera") && place("no camera") < place("good"));
        for part in ["abc", "Linux 6.12", "today", "7 s", "1.5", "camera.png", "class=\"strip\""] {
            place(part);
        }
        assert!(!page.contains("<i>"), "{page}");
    }
}
