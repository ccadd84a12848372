// SPDX-License-Identifier: Apache-2.0
//! Measurements: each operation of ours beside what it is compared to, in turns within one boot, so
//! that whatever slows the machine down slows both. Where the guest's clock counts instructions, a nanosecond is
//! one.

mod allocator;
mod callers;
mod heaps;
mod mapper;

use std::error::Error;
use std::io;
use std::thread::sleep;
use std::time::{Duration, Instant};

use serde::{Deserialize, Serialize};

/// What a measurement, or the way to it, returns.
pub type Result<T> = std::result::Result<T, Box<dyn Error>>;

/// One operation and what it is compared to.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Comparison {
    /// What is done.
    pub name: String,
    /// Ours.
    pub ours: Series,
    /// The other.
    pub baseline: Series,
    /// How large the ratio of the medians may be.
    pub target: Option<f64>,
}

/// Times of one operation.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Series {
    /// By what it was done.
    pub label: String,
    /// Nanoseconds, in the order they were measured.
    pub nanos: Vec<u64>,
}

/// Takes the measurements of a group.
pub type Measure = fn() -> Result<Vec<Comparison>>;

/// Groups of measurements by name. `reserve` wants a policy with one, and is asked for by name.
pub const GROUPS: [(&str, Measure); 5] = [
    ("heaps", heaps::measure),
    ("allocator", allocator::measure),
    ("mapper", mapper::measure),
    ("callers", callers::measure),
    ("reserve", allocator::reserve),
];

/// What is compared, and how often.
struct Match<'a> {
    name: String,
    ours: &'a str,
    baseline: &'a str,
    rounds: usize,
    /// Between two operations: what they left to be done in the background is not theirs.
    rest: Duration,
    target: Option<f64>,
}

impl Match<'_> {
    /// Takes turns; who goes first changes from round to round.
    fn play(
        &self,
        mut ours: impl FnMut() -> io::Result<Duration>,
        mut baseline: impl FnMut() -> io::Result<Duration>,
    ) -> Result<Comparison> {
        let (mut a, mut b) = (Vec::new(), Vec::new());
        let turn = |of: &mut dyn FnMut() -> io::Result<Duration>, to: &mut Vec<u64>| {
            let time = of().map_err(|e| format!("{}: {e}", self.name))?;
            to.push(u64::try_from(time.as_nanos())?);
            sleep(self.rest);
            Ok::<(), Box<dyn Error>>(())
        };
        for round in 0..self.rounds {
            if round % 2 == 0 {
                turn(&mut ours, &mut a)?;
                turn(&mut baseline, &mut b)?;
            } else {
                turn(&mut baseline, &mut b)?;
                turn(&mut ours, &mut a)?;
            }
        }
        Ok(Comparison {
            name: self.name.clone(),
            ours: Series { label: self.ours.to_owned(), nanos: a },
            baseline: Series { label: self.baseline.to_owned(), nanos: b },
            target: self.target,
        })
    }
}

/// How long `operation` takes, and what it made: dropping that is not part of it.
fn timed<T>(operation: impl FnOnce() -> io::Result<T>) -> io::Result<Duration> {
    let started = Instant::now();
    let made = operation()?;
    let time = started.elapsed();
    drop(made);
    Ok(time)
}

fn kib(bytes: usize) -> String {
    match bytes / 1024 {
        kib if kib >= 1024 && kib % 1024 == 0 => format!("{} MiB", kib / 1024),
        kib => format!("{kib} KiB"),
    }
}
