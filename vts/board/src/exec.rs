// SPDX-License-Identifier: Apache-2.0
//! `exec`: one command in a fresh board.

use std::fmt::Display;
use std::fs::File;
use std::io::{self, Write};
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::str::FromStr;
use std::time::Duration;

use board::{Board, Boot, Error, Guest, Result};
use board_channel::wire::{Exit, Input, Stream};
use clap::Args;

use crate::FAILURE;

/// What `exec` takes.
#[derive(Args)]
pub struct Exec {
    /// Copy a file or folder into the guest before the command (repeatable)
    #[arg(long, value_name = "HOST:GUEST")]
    push: Vec<Push>,
    /// Copy a file or folder out of the guest after the command (repeatable)
    #[arg(long, value_name = "GUEST:HOST")]
    pull: Vec<Pull>,
    /// More kernel arguments
    #[arg(long, value_name = "ARGUMENTS", default_value = "", allow_hyphen_values = true)]
    append: String,
    /// A device-tree overlay, compiled or source, in place of the board's
    #[arg(long, value_name = "FILE")]
    dtbo: Option<PathBuf>,
    /// Guest memory
    #[arg(long, value_name = "MiB", value_parser = clap::value_parser!(u32).range(512..=32768))]
    memory: Option<u32>,
    /// Start no services
    #[arg(long)]
    no_services: bool,
    /// End the guest if the command takes longer, and show its console
    #[arg(long, value_name = "SECONDS", value_parser = clap::value_parser!(u64).range(1..))]
    timeout: Option<u64>,
    /// The command and its arguments
    #[arg(required = true, trailing_var_arg = true, allow_hyphen_values = true)]
    command: Vec<String>,
}

#[derive(Clone)]
struct Push {
    host: PathBuf,
    guest: String,
}

#[derive(Clone)]
struct Pull {
    guest: String,
    host: PathBuf,
}

impl Exec {
    /// Boots, pushes, runs, pulls; the code is the command's own.
    pub fn run(self, board: &Board, install: bool) -> Result<ExitCode> {
        self.check()?;
        let boot = Boot {
            install,
            append: self.append,
            overlay: self.dtbo,
            memory: self.memory,
            services: !self.no_services,
            timeout: self.timeout.map(Duration::from_secs),
            ..Boot::default()
        };
        let mut guest = Guest::boot(board, &boot)?;
        for push in &self.push {
            guest.push(&push.host, &push.guest)?;
        }
        let exit = guest.run_with(&self.command, Input::Pipe, io::stdin(), pass_on)?;
        let mut failed = false;
        for pull in &self.pull {
            if let Err(error) = guest.pull(&pull.guest, &pull.host) {
                eprintln!("error: {error}");
                failed = true;
            }
        }
        if failed && exit == Exit::Code(0) {
            eprintln!("the command itself succeeded");
            return Ok(ExitCode::from(FAILURE));
        }
        if failed {
            eprintln!("the command itself ended with {exit:?}");
        }
        Ok(code_of(exit))
    }

    /// What is wrong with the arguments, before minutes are spent on a build.
    fn check(&self) -> Result<()> {
        let refuse = |option: &str, path: &Path, why: &dyn Display| {
            Err(Error::Usage(format!("{option}: {}: {why}", path.display())))
        };
        for Push { host, .. } in &self.push {
            if !host.exists() {
                let shown = host.display();
                return Err(Error::Usage(format!("--push: there is no {shown} on this host")));
            }
            if let Err(error) = File::open(host) {
                return refuse("--push", host, &error);
            }
        }
        for Pull { host, .. } in &self.pull {
            let folder = host.parent().filter(|folder| !folder.as_os_str().is_empty());
            if folder.is_some_and(|folder| !folder.is_dir()) {
                return refuse("--pull", host, &"there is no such folder on this host");
            }
        }
        let Some(overlay) = &self.dtbo else { return Ok(()) };
        match std::fs::read(overlay) {
            Err(error) => refuse("--dtbo", overlay, &error),
            Ok(content) if content.is_empty() => refuse("--dtbo", overlay, &"an empty file"),
            Ok(_) => Ok(()),
        }
    }
}

/// Writes guest output to our own streams at once.
pub fn pass_on(stream: Stream, bytes: &[u8]) -> io::Result<()> {
    match stream {
        Stream::Stdout => io::stdout().write_all(bytes).and_then(|()| io::stdout().flush()),
        Stream::Stderr => io::stderr().write_all(bytes),
    }
}

/// A command's end as a shell would report it.
pub fn code_of(exit: Exit) -> ExitCode {
    let code = match exit {
        Exit::Code(code) => code,
        Exit::Signal(signal) => {
            eprintln!("the command was ended by signal {signal}");
            128 + signal
        }
    };
    ExitCode::from(u8::try_from(code).unwrap_or(u8::MAX))
}

impl FromStr for Push {
    type Err = String;

    fn from_str(text: &str) -> std::result::Result<Self, String> {
        let (host, guest) = text.rsplit_once(':').ok_or("wants HOST:GUEST")?;
        let host = PathBuf::from(host);
        let mut guest = absolute(guest)?;
        if guest.ends_with('/') {
            let name = host.file_name().ok_or("a folder to push into needs a name to push")?;
            guest.push_str(&name.to_string_lossy());
        }
        Ok(Self { host, guest })
    }
}

impl FromStr for Pull {
    type Err = String;

    fn from_str(text: &str) -> std::result::Result<Self, String> {
        let (guest, host) = text.split_once(':').ok_or("wants GUEST:HOST")?;
        let guest = absolute(guest)?;
        let mut path = PathBuf::from(host);
        if host.ends_with('/') || path.is_dir() {
            path.push(guest.rsplit('/').find(|part| !part.is_empty()).unwrap_or("root"));
        }
        Ok(Self { guest, host: path })
    }
}

fn absolute(guest: &str) -> std::result::Result<String, String> {
    if guest.starts_with('/') {
        return Ok(guest.to_owned());
    }
    Err(format!("the guest's path '{guest}' must be absolute"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_push_into_a_folder_keeps_the_name() {
        let push: Push = "a/tool:/tmp/".parse().unwrap();
        assert_eq!((push.host, push.guest.as_str()), (PathBuf::from("a/tool"), "/tmp/tool"));
        let push: Push = "a/tool:/tmp/other".parse().unwrap();
        assert_eq!(push.guest, "/tmp/other");
    }

    #[test]
    fn a_pull_into_a_folder_keeps_the_name() {
        let here = tempfile::tempdir().unwrap();
        let pull: Pull = format!("/data/log:{}", here.path().display()).parse().unwrap();
        assert_eq!(pull.host, here.path().join("log"));
        let pull: Pull = "/data/log:somewhere/new".parse().unwrap();
        assert_eq!(pull.host, PathBuf::from("somewhere/new"));
    }

    #[test]
    fn guest_paths_are_absolute() {
        assert!("a:b".parse::<Push>().is_err());
        assert!("a".parse::<Pull>().is_err());
    }
}
