// SPDX-License-Identifier: Apache-2.0
//! The programs' JUnit: read, counted, and joined.

use std::fmt;

use board::skips;
use board_channel::wire::Exit;
use roxmltree::{Document, Node};

/// What a program reported.
pub struct Suite {
    /// The program.
    pub name: String,
    /// Its tests, in order.
    pub cases: Vec<Case>,
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
    /// Reads what a program printed until it ended so, or with its device. The case that was running
    /// when it died has failed; so has, as a whole, one that contradicts itself.
    pub fn read(name: &str, text: &str, end: Result<Exit, String>) -> Suite {
        let how = match &end {
            Ok(exit) => format!("{name} ended with {exit:?}"),
            Err(why) => why.clone(),
        };
        let (text, died) = completed(text, &how);
        let mut cases = match Document::parse(&text) {
            Ok(document) => document
                .descendants()
                .filter(|node| node.has_tag_name("testcase"))
                .map(Case::read)
                .collect(),
            Err(_) => Vec::new(),
        };
        let any_failed = cases.iter().any(|case| matches!(case.verdict, Verdict::Failed(_)));
        let contradicts = (end == Ok(Exit::Code(0))) == any_failed;
        if cases.is_empty() || contradicts || (died && !any_failed) {
            let why = format!("{how}, which its results do not say");
            let (name, time) = (name.to_owned(), String::new());
            cases.push(Case { name, time, verdict: Verdict::Failed(why) });
        }
        Suite { name: name.to_owned(), cases }
    }

    /// As JUnit's XML.
    fn xml(&self) -> String {
        let mut counts = Counts::default();
        counts.add(self);
        let Counts { skipped, failed, .. } = counts;
        let cases: String = self.cases.iter().map(|case| case.xml(&self.name)).collect();
        format!(
            "<testsuite name=\"{}\" tests=\"{}\" failures=\"{failed}\" errors=\"0\" \
             skipped=\"{skipped}\">\n{cases}</testsuite>\n",
            self.name,
            self.cases.len()
        )
    }

    /// Takes what this board must not skip for a failure.
    pub fn allowing_only_known_skips(mut self) -> Suite {
        for case in &mut self.cases {
            if let Verdict::Skipped(why) = &case.verdict
                && !skips::is_allowed(&case.name, why)
            {
                case.verdict = Verdict::Failed(format!("must not be skipped here: {why}"));
            }
        }
        self
    }
}

/// XML that its writer came to the end of, and whether it needed that: what is open is closed, and a
/// test that was running has failed so.
fn completed(text: &str, how: &str) -> (String, bool) {
    if text.trim_end().ends_with("</testsuites>") {
        return (text.to_owned(), false);
    }
    let running = text.rfind('<').filter(|at| {
        let tag = &text[*at..];
        tag.starts_with("<testcase") && !tag.contains('>') && tag.ends_with('"')
    });
    let text = match (running, text.rfind(">\n")) {
        (Some(_), _) => format!("{text}><failure message=\"{}\"/></testcase>\n", escaped(how)),
        // Not even its name was whole.
        (None, Some(end)) => text[..end + 2].to_owned(),
        (None, None) => return (String::new(), true),
    };
    (text + "</testsuite></testsuites>\n", true)
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

    fn xml(&self, program: &str) -> String {
        let (name, time) = (escaped(&self.name), escaped(&self.time));
        let open = format!("<testcase classname=\"{program}\" name=\"{name}\" time=\"{time}\"");
        let (tag, why) = match &self.verdict {
            Verdict::Passed => return format!("{open}/>\n"),
            Verdict::Skipped(why) => ("skipped", why),
            Verdict::Failed(why) => ("failure", why),
        };
        format!("{open}><{tag} message=\"{}\"/></testcase>\n", escaped(why))
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
    let all: String = suites.iter().map(Suite::xml).collect();
    format!("<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n<testsuites>\n{all}</testsuites>\n")
}

/// For text and attributes of XML and HTML.
pub fn escaped(text: &str) -> String {
    let text = text.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;");
    text.replace('"', "&quot;").replace('\n', "&#10;").replace(|c: char| c.is_control(), "?")
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
        let suite = Suite::read("P", RESULTS, Ok(Exit::Code(0)));
        assert_eq!(counts(&suite), (1, 1, 0));
        let joined = joined(&[suite, Suite::read("P", RESULTS, Ok(Exit::Code(0)))]);
        let document = Document::parse(&joined).unwrap();
        let cases = document.descendants().filter(|node| node.has_tag_name("testcase"));
        assert_eq!(cases.count(), 4);
    }

    #[test]
    fn a_program_that_contradicts_itself_has_failed() {
        for (text, exit) in [("", 0), ("<a", 0), ("<a/>", 0), (RESULTS, 101)] {
            let suite = Suite::read("P", text, Ok(Exit::Code(exit)));
            assert_eq!(counts(&suite).2, 1, "{text}");
            assert!(Document::parse(&joined(&[suite])).is_ok());
        }
    }

    #[test]
    fn what_ran_before_a_death_is_kept_and_what_was_running_has_failed() {
        let whole = "<?xml version=\"1.0\"?>\n<testsuites>\n<testsuite name=\"P\">\n\
                     <testcase classname=\"P\" name=\"good\" time=\"0.5\"/>\n";
        let running = "<testcase classname=\"P\" name=\"fatal\"";
        let end = Err("the guest died".to_owned());
        let suite = Suite::read("P", &format!("{whole}{running}"), end);
        assert_eq!(counts(&suite), (1, 0, 1));
        assert_eq!(suite.cases[1].name, "fatal");
        assert!(joined(&[suite]).contains("the guest died"));
        // Between two tests, or within a name.
        for rest in ["", "<testcase classname=\"P\" name=\"fa"] {
            let suite = Suite::read("P", &format!("{whole}{rest}"), Ok(Exit::Signal(11)));
            assert_eq!(counts(&suite), (1, 0, 1), "{rest}");
            assert_eq!(suite.cases[1].name, "P");
        }
    }

    #[test]
    fn a_skip_that_nobody_allowed_is_a_failure() {
        let suite = Suite::read("P", RESULTS, Ok(Exit::Code(0))).allowing_only_known_skips();
        assert_eq!(counts(&suite), (1, 0, 1));
    }
}
