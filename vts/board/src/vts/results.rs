// SPDX-License-Identifier: Apache-2.0
//! The programs' JUnit: read, counted, and joined.

use std::fmt;

use board_channel::wire::Exit;
use roxmltree::{Document, Node};

/// What a program reported.
pub struct Suite {
    /// The program.
    pub name: String,
    /// Its tests, in order.
    pub cases: Vec<Case>,
    /// Its element as it goes into the joined file.
    xml: String,
}

/// A test's result.
pub struct Case {
    /// Its name.
    pub name: String,
    /// Its time in seconds, as reported.
    pub time: String,
    /// How it ended.
    pub verdict: Verdict,
}

/// How a test ended; where it did not pass, why.
pub enum Verdict {
    Passed,
    Skipped(String),
    Failed(String),
}

/// Tests by how they ended.
#[derive(Debug, Default, PartialEq, Eq)]
pub struct Counts {
    pub passed: usize,
    pub skipped: usize,
    pub failed: usize,
}

impl Suite {
    /// Reads what a program printed. One that did not come to its end, or contradicts itself, has
    /// failed as a whole.
    pub fn read(name: &str, text: &str, exit: Exit) -> Suite {
        let failed = |why: String| {
            let why = format!("{name} ended with {exit:?}: {why}");
            let xml = format!(
                "<testsuite name=\"{name}\" tests=\"1\" failures=\"0\" errors=\"1\" skipped=\"0\">\n\
                 <testcase classname=\"{name}\" name=\"{name}\"><error message=\"{}\"/></testcase>\n\
                 </testsuite>\n",
                escaped(&why)
            );
            let verdict = Verdict::Failed(why);
            let case = Case { name: name.to_owned(), time: "-".to_owned(), verdict };
            Suite { name: name.to_owned(), cases: vec![case], xml }
        };
        let document = match Document::parse(text) {
            Ok(document) => document,
            Err(error) => return failed(format!("no results, {error}")),
        };
        let Some(suite) = document.descendants().find(|node| node.has_tag_name("testsuite")) else {
            return failed("no results".to_owned());
        };
        let cases: Vec<Case> =
            suite.children().filter(|node| node.has_tag_name("testcase")).map(Case::read).collect();
        let any_failed = cases.iter().any(|case| matches!(case.verdict, Verdict::Failed(_)));
        if (exit == Exit::Code(0)) == any_failed {
            return failed("which its results do not say".to_owned());
        }
        Suite { name: name.to_owned(), cases, xml: format!("{}\n", &text[suite.range()]) }
    }
}

impl Case {
    fn read(node: Node<'_, '_>) -> Case {
        let why = |tag| {
            let child = node.children().find(|child| child.has_tag_name(tag))?;
            Some(child.attribute("message").unwrap_or_default().to_owned())
        };
        let verdict = match (why("failure"), why("skipped")) {
            (Some(why), _) => Verdict::Failed(why),
            (_, Some(why)) => Verdict::Skipped(why),
            _ => Verdict::Passed,
        };
        let text = |name| node.attribute(name).unwrap_or_default().to_owned();
        Case { name: text("name"), time: text("time"), verdict }
    }
}

impl Counts {
    /// Counts a program's tests too.
    pub fn add(&mut self, suite: &Suite) {
        for case in &suite.cases {
            match case.verdict {
                Verdict::Passed => self.passed += 1,
                Verdict::Skipped(_) => self.skipped += 1,
                Verdict::Failed(_) => self.failed += 1,
            }
        }
    }
}

impl fmt::Display for Counts {
    fn fmt(&self, f: &mut fmt::Formatter) -> fmt::Result {
        write!(f, "{} passed, {} failed, {} skipped", self.passed, self.failed, self.skipped)
    }
}

/// One JUnit file of all programs.
pub fn joined(suites: &[Suite]) -> String {
    let all: String = suites.iter().map(|suite| suite.xml.as_str()).collect();
    format!("<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n<testsuites>\n{all}</testsuites>\n")
}

/// For text and attributes of XML and HTML.
pub fn escaped(text: &str) -> String {
    let text = text.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;");
    text.replace('"', "&quot;")
}

#[cfg(test)]
mod tests {
    use super::*;

    const RESULTS: &str = "<?xml version=\"1.0\"?><testsuites><testsuite name=\"P\" tests=\"2\">\
        <testcase name=\"good\" time=\"0.5\"/>\
        <testcase name=\"absent\" time=\"0\"><skipped message=\"no &lt;camera&gt;\"/></testcase>\
        </testsuite></testsuites>";

    fn counts(suite: &Suite) -> (usize, usize, usize) {
        let mut counts = Counts::default();
        counts.add(suite);
        (counts.passed, counts.skipped, counts.failed)
    }

    #[test]
    fn results_are_read_and_joined() {
        let suite = Suite::read("P", RESULTS, Exit::Code(0));
        assert_eq!(counts(&suite), (1, 1, 0));
        let joined = joined(&[suite, Suite::read("P", RESULTS, Exit::Code(0))]);
        let document = Document::parse(&joined).unwrap();
        let cases = document.descendants().filter(|node| node.has_tag_name("testcase"));
        assert_eq!(cases.count(), 4);
    }

    #[test]
    fn a_program_that_dies_or_contradicts_itself_has_failed() {
        for (text, exit) in [
            ("", Exit::Code(0)),
            ("<a", Exit::Signal(11)),
            ("<a/>", Exit::Code(0)),
            (RESULTS, Exit::Code(101)),
        ] {
            let suite = Suite::read("P", text, exit);
            assert_eq!(counts(&suite), (0, 0, 1), "{text}");
            assert!(Document::parse(&joined(&[suite])).is_ok());
        }
    }
}
