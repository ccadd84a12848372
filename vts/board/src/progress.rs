// SPDX-License-Identifier: Apache-2.0
//! Long steps, as bars on a terminal and as plain lines elsewhere. All on standard error:
//! standard output belongs to the guest.

use std::io::{IsTerminal, stderr};
use std::time::{Duration, Instant};

use indicatif::{ProgressBar, ProgressStyle};

/// A step under way. Dropped without [`Step::done`], it leaves no claim of success.
#[derive(Debug)]
pub struct Step {
    what: String,
    started: Instant,
    bar: ProgressBar,
}

impl Step {
    /// A step of unknown length.
    pub fn new(what: impl Into<String>) -> Self {
        Self::with(what.into(), ProgressBar::new_spinner(), "{spinner} {msg} [{elapsed}]")
    }

    /// A step of about `length` units, which takes minutes: it is announced without a terminal too.
    pub fn of_length(what: impl Into<String>, length: u64) -> Self {
        let bar = ProgressBar::new(length);
        let what = what.into();
        if !stderr().is_terminal() {
            eprintln!("{what} ...");
        }
        Self::with(what, bar, "{spinner} {msg} [{bar:30}] {percent}% [{elapsed}]")
    }

    fn with(what: String, bar: ProgressBar, template: &str) -> Self {
        if let Ok(style) = ProgressStyle::with_template(template) {
            bar.set_style(style.progress_chars("=> "));
        }
        bar.set_message(what.clone());
        bar.enable_steady_tick(Duration::from_millis(200));
        Self { what, started: Instant::now(), bar }
    }

    /// Moves the bar on.
    pub fn advance(&self, units: u64) {
        self.bar.inc(units);
    }

    /// The step has succeeded. One that took no time to speak of goes unmentioned.
    pub fn done(self) {
        self.bar.finish_and_clear();
        let seconds = self.started.elapsed().as_secs();
        if seconds > 0 {
            eprintln!("{}: done in {seconds} s", self.what);
        }
    }
}
