// SPDX-License-Identifier: Apache-2.0
//! Everything that can go wrong between the command line and the guest.

use std::io;
use std::path::{Path, PathBuf};

/// This crate's result.
pub type Result<T> = std::result::Result<T, Error>;

/// What failed, on what, why, and what to do about it.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// A file or folder on the host.
    #[error("{what} {path}: {source}", path = path.display())]
    File {
        /// What was being done, as "cannot read".
        what: &'static str,
        /// With which file.
        path: PathBuf,
        /// The system's answer.
        source: io::Error,
    },
    /// Something the host needs is not installed.
    #[error("missing: {names}\n{hint}")]
    Missing {
        /// Packages or programs.
        names: String,
        /// How to get them.
        hint: String,
    },
    /// A program on the host failed.
    #[error("{what} failed: {why}\n{tail}whole log: {log}\n{hint}", log = log.display())]
    Tool {
        /// What was being done, as "building the kernel".
        what: String,
        /// Exit status, or why it could not be started.
        why: String,
        /// The lines of its output that matter.
        tail: String,
        /// Where all of its output is.
        log: PathBuf,
        /// What to do.
        hint: &'static str,
    },
    /// The cache's file system is too small.
    #[error(
        "{free} MiB free at {path}, and the kernel build takes about {needed} MiB; free some, \
         or point XDG_CACHE_HOME at a larger disk", path = path.display()
    )]
    DiskFull {
        /// The cache folder.
        path: PathBuf,
        /// Free, in MiB.
        free: u64,
        /// Needed, in MiB.
        needed: u64,
    },
    /// A line of the kernel configuration fragment did not survive.
    #[error(
        "the kernel's configuration dropped these lines of {fragment}:\n{lines}\n\
         an option they depend on is missing there"
    )]
    LostConfig {
        /// The fragments.
        fragment: String,
        /// The dropped lines.
        lines: String,
    },
    /// The guest died, hung or never came up.
    #[error("{what}\n--- end of the guest's console ---\n{tail}\n--- whole console: {log}", log = log.display())]
    Guest {
        /// What happened, and while doing what.
        what: String,
        /// The console's last lines, or those from a panic on.
        tail: String,
        /// The saved console log.
        log: PathBuf,
    },
    /// The board is up, but not all of its services.
    #[error(
        "the board came up without all of its services:\n{0}\nboot with --no-services to look \
         around; the console log is in target/board/console.log"
    )]
    Services(String),
    /// There is no such program in the guest, or it cannot be run.
    #[error("in the guest: {why}")]
    CannotRun {
        /// What a shell exits with in this case.
        code: u8,
        /// Why, with the program.
        why: String,
    },
    /// The guest refused a request: no such file.
    #[error("in the guest: {0}")]
    Refused(String),
    /// The command line is wrong.
    #[error("{0}")]
    Usage(String),
}

/// Names the file that an I/O error is about.
pub(crate) trait OnFile<T> {
    /// `what` reads as in "cannot read".
    fn on(self, what: &'static str, path: &Path) -> Result<T>;
}

impl<T> OnFile<T> for io::Result<T> {
    fn on(self, what: &'static str, path: &Path) -> Result<T> {
        self.map_err(|source| Error::File { what, path: path.to_owned(), source })
    }
}
