// SPDX-License-Identifier: Apache-2.0
//! Long steps, as bars on a terminal and as plain lines elsewhere, one a minute. All on standard
//! error: standard output belongs to the guest.

use std::io::{IsTerminal, stderr};
use std::sync::mpsc::{self, RecvTimeoutError};
use std::time::{Duration, Instant};

use indicatif::{ProgressBar, ProgressStyle};

/// How often a step says that it lives, where there is no bar to be seen moving.
const SIGN_OF_LIFE: Duration = Duration::from_secs(60);

/// A step under way. Dropped without [`Step::done`], it leaves no claim of success.
#[derive(Debug)]
pub struct Step {
    what: String,
    started: Instant,
    bar: ProgressBar,
    /// Ends the signs of life.
    _under_way: mpsc::Sender<()>,
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
        let started = Instant::now();
        let (under_way, over) = mpsc::channel();
        if !stderr().is_terminal() {
            let (what, bar) = (what.clone(), bar.clone());
            std::thread::spawn(move || {
                while over.recv_timeout(SIGN_OF_LIFE) == Err(RecvTimeoutError::Timeout) {
                    eprintln!("{}", sign_of_life(&what, &bar, started));
                }
            });
        }
        Self { what, started, bar, _under_way: under_way }
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

fn sign_of_life(what: &str, bar: &ProgressBar, started: Instant) -> String {
    let percent = bar.length().map(|all| bar.position() * 100 / all.max(1));
    let percent = percent.map_or(String::new(), |percent| format!(", {percent} %"));
    format!("{what}: still at it after {} s{percent}", started.elapsed().as_secs())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_sign_of_life_tells_how_far_it_has_come() {
        let bar = ProgressBar::hidden();
        assert_eq!(sign_of_life("x", &bar, Instant::now()), "x: still at it after 0 s");
        bar.set_length(200);
        bar.inc(50);
        assert_eq!(sign_of_life("x", &bar, Instant::now()), "x: still at it after 0 s, 25 %");
    }
}
