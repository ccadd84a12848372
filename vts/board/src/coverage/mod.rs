// SPDX-License-Identifier: Apache-2.0
//! `coverage`: which lines of `service/` the host's tests and the board's run, in one table.

mod exercise;
mod lines;
mod table;

use std::process::ExitCode;

use board::instrumented::{Instrumented, PATTERN, VARIABLE};
use board::{Board, Boot, Guest, Result, repository, results};
use clap::Args;

use lines::{Count, Source};

/// Where the board's programs count.
const FOLDER: &str = "/tmp/coverage";

/// What `coverage` takes.
#[derive(Args)]
pub struct Coverage {
    /// Fail if less of service/ has run
    #[arg(long, value_name = "PERCENT")]
    at_least: Option<f64>,
}

impl Coverage {
    /// Runs the host's tests, then the board's, prints the table, and writes the source with its
    /// counts to `target/board/coverage/`.
    pub fn run(self, board: &Board, install: bool) -> Result<ExitCode> {
        let mut instrumented = Instrumented::new(board, install)?;
        instrumented.test_on_host()?;
        let boot = Boot {
            install,
            replace: instrumented.for_board(board)?,
            // The kernel hands this on to init, and init to all others. The policy lets the
            // service write no files.
            append: format!("enforcing=0 {VARIABLE}={FOLDER}/{PATTERN}"),
            ..Boot::default()
        };
        let mut guest = Guest::boot(board, &boot)?;
        exercise::run(&mut guest)?;
        guest.pull(FOLDER, &instrumented.from_board())?;
        drop(guest);

        let sources = lines::read(&instrumented.lcov()?, repository())?;
        instrumented.write_html(&results().join("coverage"))?;
        println!("{}", table::of(&sources));
        println!("the source with its counts: target/board/coverage/index.html");
        Ok(self.verdict(&sources))
    }

    /// Whether enough has run; says what is missing if not.
    fn verdict(&self, sources: &[Source]) -> ExitCode {
        let total: Count = sources.iter().map(Source::count).sum();
        match self.at_least.filter(|floor| !total.reaches(*floor)) {
            None => ExitCode::SUCCESS,
            Some(floor) => {
                eprintln!("error: {}", lines::complaint(floor, total, sources));
                ExitCode::FAILURE
            }
        }
    }
}
