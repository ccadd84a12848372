// SPDX-License-Identifier: Apache-2.0
//! What is wrong with a board's file, in the form compilers use.

use std::fmt;

use serde::Serialize;

/// How bad it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Severity {
    /// The file cannot be used.
    Error,
    /// The file can be used, but probably does not say what was meant.
    Warning,
}

/// One thing that is wrong.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Finding {
    /// How bad it is.
    pub severity: Severity,
    /// The line it is about, counted from 1.
    pub line: usize,
    /// What is wrong.
    pub message: String,
    /// What to do about it.
    pub hint: String,
}

/// Everything that is wrong with one file.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Findings {
    file: String,
    all: Vec<Finding>,
}

impl Findings {
    /// Nothing wrong yet.
    pub(crate) fn new(file: &str) -> Findings {
        Findings { file: file.to_owned(), all: Vec::new() }
    }

    pub(crate) fn error(
        &mut self,
        line: usize,
        message: impl Into<String>,
        hint: impl Into<String>,
    ) {
        self.push(Severity::Error, line, message.into(), hint.into());
    }

    pub(crate) fn warning(
        &mut self,
        line: usize,
        message: impl Into<String>,
        hint: impl Into<String>,
    ) {
        self.push(Severity::Warning, line, message.into(), hint.into());
    }

    pub(crate) fn push(&mut self, severity: Severity, line: usize, message: String, hint: String) {
        self.all.push(Finding { severity, line, message, hint });
    }

    /// Whether the file cannot be used.
    pub fn has_errors(&self) -> bool {
        self.all.iter().any(|finding| finding.severity == Severity::Error)
    }

    /// The name of the file.
    pub fn file(&self) -> &str {
        &self.file
    }

    /// Everything found, in the order of the checks.
    pub fn iter(&self) -> impl Iterator<Item = &Finding> {
        self.all.iter()
    }
}

impl fmt::Display for Findings {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for finding in &self.all {
            let severity = match finding.severity {
                Severity::Error => "error",
                Severity::Warning => "warning",
            };
            writeln!(f, "{}:{}: {severity}: {}", self.file, finding.line, finding.message)?;
            writeln!(f, "    hint: {}", finding.hint)?;
        }
        Ok(())
    }
}
