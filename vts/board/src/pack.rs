// SPDX-License-Identifier: Apache-2.0
//! `package`: what a device gets.

use std::path::PathBuf;
use std::process::ExitCode;

use board::package::Package;
use board::{Board, Result};
use clap::Args;

/// What `package` takes.
#[derive(Args)]
pub struct Pack {
    /// Where to: a tar if the name ends in .tar, else a folder
    #[arg(long, value_name = "FILE")]
    out: PathBuf,
}

impl Pack {
    /// Builds, packs and says what to do with it.
    pub fn run(self, board: &Board) -> Result<ExitCode> {
        let package = Package::build(board)?;
        package.write(&self.out)?;
        println!(
            "{}: its MANIFEST says what goes where, its install.sh does it",
            self.out.display()
        );
        Ok(ExitCode::SUCCESS)
    }
}
