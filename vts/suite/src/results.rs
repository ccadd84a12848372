// SPDX-License-Identifier: Apache-2.0
//! What the tests of this process found, for those who read it afterwards.

use std::fmt::Write;
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

/// A test that is over.
#[derive(Debug)]
pub struct Case {
    name: String,
    verdict: Verdict,
    took: Duration,
}

static CASES: Mutex<Vec<Case>> = Mutex::new(Vec::new());

/// Keeps a result.
pub fn keep(name: String, verdict: Verdict, took: Duration) {
    let mut cases = CASES.lock().unwrap_or_else(PoisonError::into_inner);
    cases.push(Case { name, verdict, took });
}

/// All that was kept, in order.
pub fn taken() -> Vec<Case> {
    std::mem::take(&mut CASES.lock().unwrap_or_else(PoisonError::into_inner))
}

/// The tests that said nothing, one a line with its reason; empty if there are none.
pub fn skip_list(cases: &[Case]) -> String {
    let line = |case: &Case| match &case.verdict {
        Verdict::Skipped(reason) => Some(format!("    {}: {reason}\n", case.name)),
        _ => None,
    };
    let lines: String = cases.iter().filter_map(line).collect();
    if lines.is_empty() { lines } else { format!("skipped:\n{lines}") }
}

/// The results as JUnit's XML.
pub fn junit(program: &str, cases: &[Case], took: Duration) -> String {
    let count = |of: fn(&Verdict) -> bool| cases.iter().filter(|case| of(&case.verdict)).count();
    let failed = count(|verdict| matches!(verdict, Verdict::Failed(_)));
    let skipped = count(|verdict| matches!(verdict, Verdict::Skipped(_)));
    let mut xml = format!(
        "<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n<testsuites>\n\
         <testsuite name=\"{program}\" tests=\"{}\" failures=\"{failed}\" errors=\"0\" \
         skipped=\"{skipped}\" time=\"{:.3}\">\n",
        cases.len(),
        took.as_secs_f64(),
    );
    for case in cases {
        let (name, time) = (escaped(&case.name), case.took.as_secs_f64());
        // Writing to a String cannot fail.
        let _ = write!(xml, "<testcase classname=\"{program}\" name=\"{name}\" time=\"{time:.3}\"");
        xml.push_str(&match &case.verdict {
            Verdict::Passed => "/>\n".to_owned(),
            Verdict::Skipped(why) => {
                format!("><skipped message=\"{}\"/></testcase>\n", escaped(why))
            }
            Verdict::Failed(why) => {
                format!("><failure message=\"{}\"/></testcase>\n", escaped(why))
            }
        });
    }
    xml + "</testsuite>\n</testsuites>\n"
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
        let case = |name: &str, verdict| Case {
            name: name.to_owned(),
            verdict,
            took: Duration::from_millis(1500),
        };
        let cases = [
            case("good", Verdict::Passed),
            case("absent", Verdict::Skipped("no \"<camera>\"".to_owned())),
            case("bad", Verdict::Failed("1 & 2\n\u{1b}[0m".to_owned())),
        ];
        let xml = junit("Program", &cases, Duration::from_secs(2));
        assert!(
            xml.contains("tests=\"3\" failures=\"1\" errors=\"0\" skipped=\"1\" time=\"2.000\"")
        );
        assert!(xml.contains("name=\"good\" time=\"1.500\"/>"), "{xml}");
        assert!(xml.contains("<skipped message=\"no &quot;&lt;camera&gt;&quot;\"/>"), "{xml}");
        assert!(xml.contains("<failure message=\"1 &amp; 2&#10;?[0m\"/>"), "{xml}");
        assert_eq!(skip_list(&cases), "skipped:\n    absent: no \"<camera>\"\n");
        assert_eq!(skip_list(&cases[..1]), "");
    }
}
