// SPDX-License-Identifier: Apache-2.0
//! `.te` files as statements: what m4 makes of them, cut into words.

use std::io::{self, Write};
use std::path::PathBuf;
use std::process::{Command, Stdio};

use super::Place;

/// What stands for the platform's macros where its folder is not given.
const PRELUDE: &str = "
define(`r_file_perms', `{ open read ioctl map lock }')dnl
define(`w_file_perms', `{ open append write map lock }')dnl
define(`rw_file_perms', `{ r_file_perms w_file_perms }')dnl
define(`create_file_perms', `{ rw_file_perms }')dnl
define(`userdebug_or_eng', `$1')dnl
define(`hal_server_domain', `typeattribute $1 $2, $2_server;')dnl
define(`hal_client_domain', `typeattribute $1 $2_client;')dnl
";

/// Of the build whose policy it is: the one that has the most rules.
const BUILD: [&str; 3] =
    ["-Dtarget_build_variant=userdebug", "-Dandroid_version=16", "-Dtarget_board_api_level=202504"];

/// Words, some with a dash before them, or all but those.
#[derive(Debug, Default)]
pub(super) struct Set {
    pub words: Vec<String>,
    pub complement: bool,
}

/// What m4 makes of the files, behind one another, with the places of its lines.
pub(super) fn expanded(files: &[PathBuf]) -> io::Result<String> {
    let mut m4 = Command::new("m4");
    m4.arg("--synclines").args(BUILD).arg("-").args(files);
    m4.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
    let mut m4 = m4.spawn().map_err(|error| {
        io::Error::other(format!("m4, of Debian's package of that name, reads rules: {error}"))
    })?;
    if let Some(mut prelude) = m4.stdin.take() {
        prelude.write_all(PRELUDE.as_bytes())?;
    }
    let output = m4.wait_with_output()?;
    match output.status.success() {
        true => Ok(String::from_utf8_lossy(&output.stdout).into_owned()),
        false => Err(io::Error::other(String::from_utf8_lossy(&output.stderr).into_owned())),
    }
}

/// Statements, with where they begin. One ends with its semicolon, and the call of
/// a macro that nobody defines with its last parenthesis.
pub(super) fn statements(expanded: &str) -> Vec<(String, Place)> {
    let mut statements = Vec::new();
    let mut here = Place { file: String::new(), line: 1 };
    let mut open: Option<(String, Place)> = None;
    for content in expanded.lines() {
        if let Some(place) = content.strip_prefix("#line ") {
            let (line, file) = place.split_once(' ').unwrap_or((place, ""));
            if !file.is_empty() {
                // A statement does not go on in the next file.
                statements.extend(open.take());
                here.file = file.trim_matches('"').to_owned();
            }
            here.line = line.parse().unwrap_or(here.line);
            continue;
        }
        let content = content.split('#').next().unwrap_or_default();
        for part in content.split_inclusive(';') {
            let (statement, _) = match &mut open {
                None if part.trim().is_empty() => continue,
                None => open.insert((String::new(), here.clone())),
                Some(open) => open,
            };
            statement.push_str(part.trim());
            statement.push(' ');
            if part.ends_with(';') || is_call(statement) {
                statements.extend(open.take());
            }
        }
        here.line = here.line.saturating_add(1);
    }
    statements.extend(open);
    statements
}

/// Whether this is a name with all that its parentheses hold, and no statement.
fn is_call(text: &str) -> bool {
    let count = |wanted| text.matches(wanted).count();
    let name = text.split('(').next().unwrap_or_default().trim();
    count('(') > 0 && count('(') == count(')') && !name.contains(char::is_whitespace)
}

/// Words and what stands between them.
pub(super) fn tokens(statement: &str) -> Vec<String> {
    let mut tokens: Vec<String> = Vec::new();
    let mut word = String::new();
    for c in statement.chars() {
        let divides = c.is_whitespace() || "{}:~,;".contains(c);
        if !divides {
            word.push(c);
            continue;
        }
        if !word.is_empty() {
            tokens.push(std::mem::take(&mut word));
        }
        if "{}:~".contains(c) {
            tokens.push(c.to_string());
        }
    }
    tokens
}

/// A word, or words in braces, which may be in braces again; all but them with `~`.
pub(super) fn set<'t>(tokens: &mut impl Iterator<Item = &'t str>) -> Option<Set> {
    let mut set = Set::default();
    let mut depth = 0usize;
    loop {
        match tokens.next()? {
            "~" if depth == 0 => {
                set.complement = true;
                continue;
            }
            "{" => depth = depth.saturating_add(1),
            "}" => depth = depth.checked_sub(1)?,
            ":" => return None,
            word => set.words.push(word.to_owned()),
        }
        if depth == 0 {
            return Some(set);
        }
    }
}
