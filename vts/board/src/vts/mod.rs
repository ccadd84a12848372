// SPDX-License-Identifier: Apache-2.0
//! `vts`: the device's test programs in a fresh board, with one result for machines and one page
//! for people.

mod page;
pub mod results;

use std::fs;
use std::io;
use std::process::ExitCode;

use board::{Board, Boot, Error, Guest, Result, results as folder};
use board_guest::wire::{Exit, Stream};
use clap::Args;
use dmaheap_suite::program::{PROGRAMS, Program};

use crate::demo::PICTURE;
use crate::exec::pass_on;
use page::State;
use results::{Counts, Suite};

/// What the heaps' owner says, and what the kernel says.
pub const DUMP: &str = "rsb_service dump android.hardware.graphics.allocator.IAllocator/default";
const HEAPS: &str = "cd /sys/kernel/debug/dma_heap && grep . *";
const CMA: &str = "cd /sys/kernel/mm/cma && grep . */*";

/// What `vts` takes.
#[derive(Args)]
pub struct Vts {
    /// Run only the tests whose names contain this
    #[arg(long, value_name = "FILTER")]
    filter: Option<String>,
}

impl Vts {
    /// Boots, runs the programs, writes `target/board/vts.xml` and `vts.html`; fails with them.
    pub fn run(self, board: &Board, install: bool) -> Result<ExitCode> {
        let chosen: Vec<&Program> = PROGRAMS.iter().filter(|one| self.is_about(one)).collect();
        if chosen.is_empty() {
            let filter = self.filter.unwrap_or_default();
            return Err(Error::Usage(format!("no test's name contains '{filter}'")));
        }
        let mut guest = Guest::boot(board, &Boot { install, ..Boot::default() })?;
        let suites = chosen
            .iter()
            .map(|program| self.test(&mut guest, program))
            .collect::<Result<Vec<_>>>()?;
        let state = look(&mut guest)?;
        let mut counts = Counts::default();
        suites.iter().for_each(|suite| counts.add(suite));
        write("vts.xml", &results::joined(&suites))?;
        write("vts.html", &page::html(&suites, &counts, &state))?;
        println!("{counts}: target/board/vts.xml, target/board/vts.html");
        Ok(if counts.failed == 0 { ExitCode::SUCCESS } else { ExitCode::FAILURE })
    }

    /// Whether a program has a test that is wanted.
    fn is_about(&self, program: &Program) -> bool {
        let Some(filter) = &self.filter else { return true };
        (program.trials)().iter().any(|trial| trial.name().contains(filter))
    }

    /// Runs a program, and shows its progress.
    fn test(&self, guest: &mut Guest, program: &Program) -> Result<Suite> {
        eprintln!("{}", program.name);
        let filter = self.filter.iter().map(|filter| format!("--filter={filter}"));
        test(guest, program, filter, |text| pass_on(Stream::Stderr, text))
    }
}

/// Runs a program with these arguments, and hands on what it says of its progress.
pub fn test(
    guest: &mut Guest,
    program: &Program,
    arguments: impl IntoIterator<Item = String>,
    mut show: impl FnMut(&[u8]) -> io::Result<()>,
) -> Result<Suite> {
    let mut argv = vec![program.name.to_owned(), "--format=junit".to_owned()];
    argv.extend(arguments);
    let mut xml = Vec::new();
    let exit = guest.run(&argv, |stream, bytes| match stream {
        Stream::Stdout => {
            xml.extend_from_slice(bytes);
            Ok(())
        }
        Stream::Stderr => show(bytes),
    })?;
    Ok(Suite::read(program.name, &String::from_utf8_lossy(&xml), exit))
}

/// The board after the tests. What it cannot tell any more is part of the picture.
fn look(guest: &mut Guest) -> Result<State> {
    let mut said = |script: &str| -> Result<String> {
        let output = guest.shell(script)?;
        Ok(match output.exit {
            Exit::Code(0) => output.stdout,
            exit => format!("'{script}' ended with {exit:?}: {}", output.stderr),
        })
    };
    let (dump, heaps, cma) = (said(DUMP)?, said(HEAPS)?, said(CMA)?);
    let demonstration = said(&format!("demo --picture {PICTURE}"))?;
    let has_picture = guest.pull(PICTURE, &folder().join("camera.png")).is_ok();
    Ok(State { dump, heaps, cma, demonstration, has_picture })
}

fn write(name: &str, text: &str) -> Result<()> {
    let path = folder().join(name);
    fs::write(&path, text).map_err(|source| Error::File { what: "cannot write", path, source })
}
