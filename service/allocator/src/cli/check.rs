// SPDX-License-Identifier: Apache-2.0
//! `allocator check`: is this policy file usable?

use std::io::Write;
use std::path::Path;

use serde::Serialize;

use super::{Arguments, Done, Outcome, print_json};
use crate::policy::{Findings, Severity};
use crate::{Error, Policy};

/// One finding, with its file.
#[derive(Serialize)]
struct Report<'f> {
    file: &'f str,
    line: usize,
    severity: Severity,
    message: &'f str,
    hint: &'f str,
}

pub(super) fn run(mut arguments: Arguments) -> Done {
    let json = arguments.flag("--json");
    let files = arguments.rest()?;
    if files.is_empty() {
        return Err("which file? see `allocator help`".into());
    }
    let mut all = Vec::new();
    for file in &files {
        all.push(match Policy::load(Path::new(file)) {
            Ok((_, findings)) | Err(Error::Policy(findings)) => findings,
            Err(other) => return Err(other.into()),
        });
    }
    if json {
        print_json(&all.iter().flat_map(reports).collect::<Vec<_>>())?;
    } else {
        let mut out = std::io::stdout();
        all.iter().try_for_each(|findings| write!(out, "{findings}"))?;
        writeln!(out, "{}", summary(&all))?;
    }
    Ok(if all.iter().any(Findings::has_errors) { Outcome::Bad } else { Outcome::Good })
}

fn reports(findings: &Findings) -> impl Iterator<Item = Report<'_>> {
    findings.iter().map(|finding| Report {
        file: findings.file(),
        line: finding.line,
        severity: finding.severity,
        message: &finding.message,
        hint: &finding.hint,
    })
}

fn summary(all: &[Findings]) -> String {
    let count = |severity| {
        all.iter().flat_map(Findings::iter).filter(|finding| finding.severity == severity).count()
    };
    let (errors, warnings) = (count(Severity::Error), count(Severity::Warning));
    format!("files: {}, errors: {errors}, warnings: {warnings}", all.len())
}
