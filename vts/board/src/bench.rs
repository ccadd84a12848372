// SPDX-License-Identifier: Apache-2.0
//! `bench`: the device program `suite-bench` in several fresh boots, its measurements pooled.
//!
//! The guest's clock counts the instructions that it executes. A busy machine does not change them,
//! and what is cleared by a host's fast memory counts as much as on a board. What they cannot show is
//! waiting; `--wall` measures time.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use board::boards::{self, ALLOCATOR, POLICY};
use board::{Boot, Error, Guest, Result, results};
use board_channel::wire::Exit;
use clap::Args;
use comfy_table::{Table, presets};
use serde::Deserialize;
use serde_json::{Value, json};

use crate::floor;

/// What gives the installed policy a reserve: screens, and their metadata.
const RESERVES: [(&str, &str); 2] =
    [("framebuffer", "reserve = [\"3 x 8100 KiB\"]"), ("system", "reserve = [\"8 x 4 KiB\"]")];

/// How much a median may rise, in per cent: more than two runs of the same program differ by.
const MOST_WORSE: f64 = 1.0;

/// One operation, done by ours and by what it is compared to, as suite-bench prints it.
#[derive(Debug, Clone, Deserialize)]
pub struct Comparison {
    pub name: String,
    pub ours: Series,
    pub baseline: Series,
    /// How large the ratio of the medians may be.
    pub target: Option<f64>,
}

/// Measurements of one operation by what it was done: nanoseconds of the guest's clock.
#[derive(Debug, Clone, Deserialize)]
pub struct Series {
    pub label: String,
    pub nanos: Vec<u64>,
}

/// What `bench` takes.
#[derive(Args)]
pub struct Bench {
    /// Measure time instead of instructions
    #[arg(long)]
    wall: bool,
    /// Boots whose measurements are pooled
    #[arg(long, default_value_t = 3, value_parser = clap::value_parser!(u32).range(1..))]
    boots: u32,
    /// An earlier bench.json: fail if a median of ours is more than 1 % above what it was there
    #[arg(long, value_name = "FILE")]
    compare: Option<PathBuf>,
    /// Groups to measure
    #[arg(default_values = ["heaps", "allocator", "mapper", "callers", "reserve"])]
    groups: Vec<String>,
}

impl Bench {
    /// Measures, prints a table, writes `target/board/bench.json`. A missed target is shown and
    /// does not fail.
    pub fn run(self, install: bool) -> Result<ExitCode> {
        let before = self.compare.as_deref().map(medians).transpose()?;
        let mut pooled: Vec<Comparison> = Vec::new();
        let mut floor = None;
        for boot in 1..=self.boots {
            eprintln!("boot {boot} of {}", self.boots);
            let boot = Boot { install, counting: !self.wall, ..Boot::default() };
            let mut guest = Guest::boot(&boards::VIRT_BENCH, &boot)?;
            for group in &self.groups {
                let measured = measure(&mut guest, group)?;
                if group == "allocator" {
                    let built = match floor.take() {
                        Some(built) => built,
                        None => floor::build(&boards::VIRT_BENCH)?,
                    };
                    let beside = floor::measure(&mut guest, floor.insert(built), &measured)?;
                    pool(&mut pooled, beside);
                }
                pool(&mut pooled, measured);
            }
        }
        let unit = if self.wall { "µs" } else { "thousand instructions" };
        println!("{}", table(&pooled, unit));
        let folder = results();
        let file = folder.join("bench.json");
        write(&folder, &file, &pooled)
            .map_err(|e| Error::Usage(format!("cannot write {}: {e}", file.display())))?;
        println!("{} boots; all measurements: target/board/bench.json", self.boots);
        let worse = before.map_or(Vec::new(), |before| worse(&pooled, &before));
        worse.iter().for_each(|line| println!("{line}"));
        Ok(if worse.is_empty() { ExitCode::SUCCESS } else { ExitCode::FAILURE })
    }
}

/// The median of ours in each row of an earlier run, by its name and who did it.
fn medians(file: &Path) -> Result<BTreeMap<(String, String), u64>> {
    let wrong = |why: String| Error::Usage(format!("{}: {why}", file.display()));
    let text = fs::read_to_string(file).map_err(|error| wrong(error.to_string()))?;
    let rows: Vec<Value> = serde_json::from_str(&text).map_err(|error| wrong(error.to_string()))?;
    let row = |row: &Value| {
        let name = row["name"].as_str()?.to_owned();
        Some(((name, row["ours"]["label"].as_str()?.to_owned()), row["ours"]["p50"].as_u64()?))
    };
    rows.iter()
        .map(|one| row(one).ok_or_else(|| wrong(format!("no row of bench: {one}"))))
        .collect()
}

/// What is slower than it was, a line each.
fn worse(all: &[Comparison], before: &BTreeMap<(String, String), u64>) -> Vec<String> {
    let line = |one: &Comparison| {
        let then = *before.get(&(one.name.clone(), one.ours.label.clone()))?;
        let now = Spread::new(&one.ours).p50;
        let rise = (ratio(now, then) - 1.0) * 100.0;
        (rise > MOST_WORSE)
            .then(|| format!("{}, {}: {then} → {now}, +{rise:.1} %", one.name, one.ours.label))
    };
    let mut lines: Vec<String> = all.iter().filter_map(line).collect();
    lines.dedup();
    lines
}

/// Measures a group; the service keeps its reserve from then on.
pub fn measure(guest: &mut Guest, group: &str) -> Result<Vec<Comparison>> {
    if group == "reserve" {
        give_reserve(guest)?;
    }
    let output = guest.shell(&format!("suite-bench {group}"))?;
    if output.exit != Exit::Code(0) {
        return Err(Error::Refused(output.stderr));
    }
    serde_json::from_str(&output.stdout)
        .map_err(|e| Error::Refused(format!("suite-bench {group} printed no results: {e}")))
}

/// Restarts the service with a policy that keeps buffers ready.
fn give_reserve(guest: &mut Guest) -> Result<()> {
    let edits: Vec<String> = RESERVES
        .iter()
        .map(|(heap, line)| format!("sed -i '/^\\[heaps.{heap}\\]/a {line}' {POLICY}"))
        .collect();
    // The dead one may still have its name for a moment.
    let script = format!(
        "{} && old=$(pidof {ALLOCATOR}) && kill $old && \
         while now=$(pidof {ALLOCATOR}); [ -z \"$now\" ] || [ $now = $old ]; do sleep 0.1; done",
        edits.join(" && ")
    );
    let output = guest.shell(&script)?;
    if output.exit == Exit::Code(0) { Ok(()) } else { Err(Error::Refused(output.stderr)) }
}

/// Adds the measurements of another boot.
fn pool(pooled: &mut Vec<Comparison>, more: Vec<Comparison>) {
    for new in more {
        let labels = |of: &Comparison| (of.ours.label.clone(), of.baseline.label.clone());
        let same = |old: &&mut Comparison| old.name == new.name && labels(old) == labels(&new);
        match pooled.iter_mut().find(same) {
            Some(old) => {
                old.ours.nanos.extend(&new.ours.nanos);
                old.baseline.nanos.extend(&new.baseline.nanos);
            }
            None => pooled.push(new),
        }
    }
}

/// Of a series: the median, the 99th percentile and the worst.
struct Spread {
    p50: u64,
    p99: u64,
    max: u64,
}

impl Spread {
    fn new(series: &Series) -> Self {
        let mut nanos = series.nanos.clone();
        nanos.sort_unstable();
        let at = |percent: usize| {
            let index = (nanos.len() * percent / 100).min(nanos.len().saturating_sub(1));
            nanos.get(index).copied().unwrap_or(0)
        };
        Self { p50: at(50), p99: at(99), max: at(100) }
    }

    fn in_thousands(&self) -> String {
        [self.p50, self.p99, self.max].map(|n| format!("{:.1}", n as f64 / 1000.0)).join(" / ")
    }
}

fn ratio(ours: u64, baseline: u64) -> f64 {
    ours as f64 / baseline.max(1) as f64
}

fn table(all: &[Comparison], unit: &str) -> Table {
    let spread = format!("p50 / p99 / max, {unit}");
    let mut table = Table::new();
    table.load_style(presets::UTF8_HORIZONTAL_ONLY);
    table.set_header([
        "operation",
        "ours",
        &spread,
        "compared to",
        &spread,
        "rounds",
        "p50 ratio",
        "target",
    ]);
    for one in all {
        let (ours, baseline) = (Spread::new(&one.ours), Spread::new(&one.baseline));
        let ratio = ratio(ours.p50, baseline.p50);
        let verdict = one.target.map_or("-".to_owned(), |target| {
            format!("{target:.2}{}", if ratio <= target { "" } else { "  missed" })
        });
        table.add_row([
            one.name.clone(),
            one.ours.label.clone(),
            ours.in_thousands(),
            one.baseline.label.clone(),
            baseline.in_thousands(),
            one.ours.nanos.len().to_string(),
            format!("{ratio:.3}"),
            verdict,
        ]);
    }
    table
}

fn write(folder: &Path, file: &Path, all: &[Comparison]) -> std::io::Result<()> {
    fs::create_dir_all(folder)?;
    let spread = |series: &Series| {
        let Spread { p50, p99, max } = Spread::new(series);
        json!({ "label": series.label, "p50": p50, "p99": p99, "max": max, "nanos": series.nanos })
    };
    let rows: Vec<_> = all
        .iter()
        .map(|one| {
            json!({
                "name": one.name,
                "ours": spread(&one.ours),
                "baseline": spread(&one.baseline),
                "ratio": ratio(Spread::new(&one.ours).p50, Spread::new(&one.baseline).p50),
                "target": one.target,
            })
        })
        .collect();
    fs::write(file, serde_json::to_string_pretty(&rows)?)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn series(nanos: impl IntoIterator<Item = u64>) -> Series {
        Series { label: "x".into(), nanos: nanos.into_iter().collect() }
    }

    #[test]
    fn percentiles_are_of_the_sorted_times() {
        let Spread { p50, p99, max } = Spread::new(&series((0..200).rev()));
        assert_eq!((p50, p99, max), (100, 198, 199));
        let Spread { p50, p99, max } = Spread::new(&series([7]));
        assert_eq!((p50, p99, max), (7, 7, 7));
    }

    #[test]
    fn what_is_slower_than_before_is_named() {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("bench.json");
        let one = |nanos| Comparison {
            name: "a".into(),
            ours: series([nanos]),
            baseline: series([2]),
            target: None,
        };
        write(folder.path(), &file, &[one(1000)]).unwrap();
        let before = medians(&file).unwrap();
        assert_eq!(worse(&[one(1009)], &before), Vec::<String>::new());
        assert_eq!(worse(&[one(1100)], &before), ["a, x: 1000 → 1100, +10.0 %"]);
        fs::write(&file, "[{}]").unwrap();
        assert!(medians(&file).unwrap_err().to_string().contains("no row of bench"));
    }

    #[test]
    fn boots_are_pooled_by_what_was_done_and_by_whom() {
        let one = |name: &str| Comparison {
            name: name.into(),
            ours: series([1]),
            baseline: series([2]),
            target: None,
        };
        let mut pooled = vec![one("a")];
        pool(&mut pooled, vec![one("a"), one("b")]);
        assert_eq!(pooled.len(), 2);
        assert_eq!(pooled[0].ours.nanos, [1, 1]);
    }
}
