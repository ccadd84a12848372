// SPDX-License-Identifier: Apache-2.0
//! `allocator check`: is this policy file usable, and do the board's other
//! files agree with it?

use std::io::Write;
use std::path::Path;
#[cfg(feature = "host")]
use std::path::PathBuf;

use serde::Serialize;

use super::{Arguments, Done, Outcome, print_json};
use crate::finding::{Findings, Severity};
use crate::policy;
#[cfg(feature = "host")]
use crate::policy::chain::{self, Board};
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
    #[cfg(feature = "host")]
    let board = board(&mut arguments)?;
    let files = arguments.rest()?;
    if files.is_empty() {
        return Err("which file? see `allocator help`".into());
    }
    let mut all = Vec::new();
    for file in &files {
        let text = policy::read(Path::new(file))?;
        match Policy::parse(file, &text) {
            #[cfg(feature = "host")]
            Ok((policy, findings)) => {
                all.push(findings);
                all.extend(chain::check(&policy, file, &text, &board)?);
            }
            #[cfg(not(feature = "host"))]
            Ok((_, findings)) => all.push(findings),
            Err(Error::Policy(findings)) => all.push(findings),
            Err(other) => return Err(other.into()),
        }
    }
    if json {
        print_json(&all.iter().flat_map(reports).collect::<Vec<_>>())?;
    } else {
        let mut out = std::io::stdout();
        all.iter().try_for_each(|findings| write!(out, "{findings}"))?;
        writeln!(out, "{}", summary(files.len(), &all))?;
    }
    Ok(if all.iter().any(Findings::has_errors) { Outcome::Bad } else { Outcome::Good })
}

/// The board's other files. They lie where it is built, and so does this.
#[cfg(feature = "host")]
fn board(arguments: &mut Arguments) -> Result<Board, String> {
    let mut paths = |name| -> Result<Vec<PathBuf>, String> {
        let each = std::iter::from_fn(|| arguments.option(name).transpose());
        each.map(|path| path.map(PathBuf::from)).collect()
    };
    Ok(Board {
        sepolicy: paths("--sepolicy")?,
        ueventd: paths("--ueventd")?,
        device_tree: paths("--device-tree")?,
    })
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

fn summary(files: usize, all: &[Findings]) -> String {
    let count = |severity| {
        all.iter().flat_map(Findings::iter).filter(|finding| finding.severity == severity).count()
    };
    let (errors, warnings) = (count(Severity::Error), count(Severity::Warning));
    format!("files: {files}, errors: {errors}, warnings: {warnings}")
}
