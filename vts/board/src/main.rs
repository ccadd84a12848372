// SPDX-License-Identifier: Apache-2.0
//! `cargo run`: boots the virtual board, and shows or runs something in it.

mod bench;
mod clean;
mod coverage;
mod demo;
mod exec;
mod shell;
mod vts;

use std::process::ExitCode;

use board::{Board, Error, Result, boards};
use clap::{Parser, Subcommand};

/// This tool's own failures, as `env` and `docker` report theirs.
const FAILURE: u8 = 125;

/// The virtual board of dmaheap-gralloc. Without a command: boot it and show where buffers come
/// from.
#[derive(Parser)]
#[command(name = "board")]
struct Arguments {
    /// Install nothing; name the Debian packages that are missing (also: DMAHEAP_NO_INSTALL=1)
    #[arg(long, global = true)]
    no_install: bool,
    /// The board: virt, or virt-next with another kernel, or virt-bench (bench takes its own)
    #[arg(long, global = true, default_value = "virt", value_parser = boards::by_name)]
    board: &'static Board,
    #[command(subcommand)]
    command: Option<Verb>,
}

#[derive(Subcommand)]
enum Verb {
    /// Boot, run a command, pass on its output and exit with its status
    Exec(exec::Exec),
    /// Boot and give an interactive shell
    Shell,
    /// Measure against the kernel's own heap and against bare system calls
    Bench(bench::Bench),
    /// Boot, run the device's test programs, and report
    Vts(vts::Vts),
    /// Count which lines of service/ the tests run, on the host and in the board
    Coverage(coverage::Coverage),
    /// Remove all that was built or fetched into the cache folder
    Clean,
}

fn main() -> ExitCode {
    let arguments = Arguments::parse();
    let install = !arguments.no_install && board::may_install();
    match run(arguments.command, arguments.board, install) {
        Ok(code) => code,
        Err(error) => {
            eprintln!("error: {error}");
            ExitCode::from(match error {
                Error::CannotRun { code, .. } => code,
                _ => FAILURE,
            })
        }
    }
}

fn run(command: Option<Verb>, board: &Board, install: bool) -> Result<ExitCode> {
    match command {
        None => demo::show(board, install),
        Some(Verb::Exec(exec)) => exec.run(board, install),
        Some(Verb::Shell) => shell::open(board, install),
        Some(Verb::Bench(bench)) => bench.run(install),
        Some(Verb::Vts(vts)) => vts.run(board, install),
        Some(Verb::Coverage(coverage)) => coverage.run(board, install),
        Some(Verb::Clean) => clean::run(),
    }
}
