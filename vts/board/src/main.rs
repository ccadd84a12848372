// SPDX-License-Identifier: Apache-2.0
//! `cargo run`: boots the virtual board, and shows or runs something in it.

mod bench;
mod check;
mod clean;
mod coverage;
mod demo;
mod exec;
mod floor;
mod pack;
mod shell;
mod vts;

use std::process::ExitCode;
use std::sync::Arc;

use board::{Board, Error, Result};
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
    /// The board: virt, virt-next with another kernel, hikey…, or a folder with a board.toml
    #[arg(long, global = true, default_value = "virt", value_parser = found)]
    board: Arc<Board>,
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
    /// Hold the board's policy, overlay, ueventd lines and SELinux rules against one another
    Check,
    /// Boot, run the device's test programs, and report
    Vts(vts::Vts),
    /// Count which lines of service/ the tests run, on the host and in the board
    Coverage(coverage::Coverage),
    /// Build for a device, and pack what it gets
    Package(pack::Pack),
    /// Remove all that was built or fetched into the cache folder
    Clean,
}

fn main() -> ExitCode {
    let arguments = Arguments::parse();
    let install = !arguments.no_install && board::may_install();
    match run(arguments.command, &arguments.board, install) {
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

/// The board that `--board` means.
fn found(name: &str) -> Result<Arc<Board>> {
    Board::find(name).map(Arc::new)
}

fn run(command: Option<Verb>, board: &Board, install: bool) -> Result<ExitCode> {
    match command {
        None => demo::show(board, install),
        Some(Verb::Exec(exec)) => exec.run(board, install),
        Some(Verb::Shell) => shell::open(board, install),
        Some(Verb::Bench(bench)) => bench.run(install),
        Some(Verb::Check) => check::run(board, install),
        Some(Verb::Vts(vts)) => vts.run(board, install),
        Some(Verb::Coverage(coverage)) => coverage.run(board, install),
        Some(Verb::Package(pack)) => pack.run(board),
        Some(Verb::Clean) => clean::run(),
    }
}
