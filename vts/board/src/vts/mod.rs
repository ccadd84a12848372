// SPDX-License-Identifier: Apache-2.0
//! `vts`: the device's test programs in a fresh board, with one result for machines and one page
//! for people.

mod page;
pub mod results;

use std::fs;
use std::io;
use std::path::PathBuf;
use std::process::{Command, ExitCode};
use std::time::Instant;

use askama::Template;
use board::{Board, Boot, Error, Guest, Result};
use board_channel::ON_SCREEN;
use board_channel::wire::{Exit, Stream};
use clap::Args;
use dmaheap_see::page::Part;
use dmaheap_see::snapshot::SCRIPT;
use dmaheap_see::{Picture, Snapshot};

use crate::demo::PICTURE;
use crate::exec::pass_on;
use page::{Facts, Page, State};
use results::{Counts, Suite};

/// What the heaps' owner says.
pub const DUMP: &str = "rsb_service dump android.hardware.graphics.allocator.IAllocator/default";

/// The device's test programs, those for any device first.
pub const PROGRAMS: [&str; 5] = [
    "VtsHalGraphicsAllocatorDmaHeap_TargetTest",
    "VtsHalGraphicsMapperDmaHeap_TargetTest",
    HEAPS,
    "suite-allocator",
    "suite-mapper",
];

/// The one that knows the kernel alone.
pub const HEAPS: &str = "VtsDmaHeap_TargetTest";

/// What `vts` takes.
#[derive(Args)]
pub struct Vts {
    /// Run only the tests whose names contain this
    #[arg(long, value_name = "FILTER")]
    filter: Option<String>,
    /// The folder for the reports
    #[arg(long, value_name = "FOLDER", default_value_os_t = board::results())]
    out: PathBuf,
}

impl Vts {
    /// Boots, runs the programs, writes `vts.xml` and `vts.html`; fails with them.
    pub fn run(self, board: &Board, install: bool) -> Result<ExitCode> {
        let boot = Boot { install, ..Boot::default() };
        let (date, start) = (said_here("date", &["-u", "+%F %H:%M UTC"]), Instant::now());
        let mut guest = Guest::boot(board, &boot)?;
        let mut suites = Vec::new();
        for program in PROGRAMS {
            if self.has_tests(&mut guest, program)? {
                suites.push(self.test(&mut guest, program));
                if guest.shell("true").is_err() {
                    eprintln!("the guest died: the other programs run in a fresh one");
                    guest = Guest::boot(board, &boot)?;
                }
            }
        }
        if suites.is_empty() {
            let filter = self.filter.unwrap_or_default();
            return Err(Error::Usage(format!("no test's name contains '{filter}'")));
        }
        let state = self.look(&mut guest)?;
        let mut counts = Counts::default();
        suites.iter().for_each(|suite| counts.add(suite));
        self.write("vts.xml", &results::joined(&suites))?;
        let kernel = guest.shell("uname -rvm")?.stdout;
        let facts = Facts {
            commit: commit(),
            kernel: format!("{}: Linux {}", board.name, kernel.trim()),
            date,
            seconds: start.elapsed().as_secs(),
        };
        let (suites, state, facts) = (&suites, &state, &facts);
        let page = Page { counts: &counts, suites, facts, state };
        self.write("vts.html", &page.render().map_err(|e| Error::Usage(e.to_string()))?)?;
        let shown = self.out.display();
        println!("{counts}: {shown}/vts.xml, {shown}/vts.html");
        Ok(if counts.failed == 0 { ExitCode::SUCCESS } else { ExitCode::FAILURE })
    }

    /// Whether a program has a test that is wanted.
    fn has_tests(&self, guest: &mut Guest, program: &str) -> Result<bool> {
        let Some(filter) = &self.filter else { return Ok(true) };
        let listed = guest.shell(&format!("{program} --list --filter '{filter}'"))?.stdout;
        Ok(listed.contains(": test"))
    }

    /// Runs a program, and shows its progress.
    fn test(&self, guest: &mut Guest, program: &str) -> Suite {
        eprintln!("{program}");
        let filter = self.filter.iter().map(|filter| format!("--filter={filter}"));
        test(guest, program, filter, |text| pass_on(Stream::Stderr, text))
    }

    /// The board after the tests. What it cannot tell any more is part of the picture.
    fn look(&self, guest: &mut Guest) -> Result<State> {
        let mut said = |script: &str| -> Result<String> {
            let output = guest.shell(script)?;
            Ok(match output.exit {
                Exit::Code(0) => output.stdout,
                exit => format!("'{script}' ended with {exit:?}: {}", output.stderr),
            })
        };
        let map = match Snapshot::parse(&said(&on_screen(SCRIPT))?) {
            Ok(snapshot) => Part { picture: &Picture::new(&snapshot) }.render(),
            Err(why) => Ok(results::escaped(&why)),
        };
        let map = map.map_err(|error| Error::Usage(error.to_string()))?;
        let demonstration = said(&format!("demo --picture {PICTURE}"))?;
        fs::create_dir_all(&self.out).map_err(|error| self.cannot_write("", error))?;
        let has_picture = guest.pull(PICTURE, &self.out.join("camera.png")).is_ok();
        Ok(State { map, demonstration, has_picture })
    }

    fn write(&self, name: &str, text: &str) -> Result<()> {
        fs::write(self.out.join(name), text).map_err(|error| self.cannot_write(name, error))
    }

    fn cannot_write(&self, name: &str, source: io::Error) -> Error {
        Error::File { what: "cannot write", path: self.out.join(name), source }
    }
}

/// A script that runs another while the demonstration keeps its last picture on the screen; without it,
/// too, should it fail.
fn on_screen(script: &str) -> String {
    format!(
        "mkfifo /tmp/held; demo --screen < /tmp/held > /tmp/shown 2>&1 & exec 9> /tmp/held; \
         until grep -q '{ON_SCREEN}' /tmp/shown || ! kill -0 $!; do sleep 0.1; done; \
         {script}; exec 9>&-; wait"
    )
}

/// The commit that this is a working tree of, and whether there is more in it.
fn commit() -> String {
    let place = board::repository().display().to_string();
    let hash = said_here("git", &["-C", &place, "rev-parse", "--short=12", "HEAD"]);
    match said_here("git", &["-C", &place, "status", "--porcelain"]).is_empty() {
        true => format!("commit {hash}"),
        false => format!("commit {hash} with changes"),
    }
}

/// What a program of the host prints; a page without it is a page.
fn said_here(program: &str, arguments: &[&str]) -> String {
    let output = Command::new(program).args(arguments).output();
    output.map_or(String::new(), |output| String::from_utf8_lossy(&output.stdout).trim().to_owned())
}

/// Runs a program with these arguments, and hands on what it says of its progress. What it reported
/// counts, however it ends.
pub fn test(
    guest: &mut Guest,
    program: &str,
    arguments: impl IntoIterator<Item = String>,
    mut show: impl FnMut(&[u8]) -> io::Result<()>,
) -> Suite {
    let mut argv = vec![program.to_owned(), "--format=junit".to_owned()];
    argv.extend(arguments);
    let mut xml = Vec::new();
    let end = guest.run(&argv, |stream, bytes| match stream {
        Stream::Stdout => {
            xml.extend_from_slice(bytes);
            Ok(())
        }
        Stream::Stderr => show(bytes),
    });
    let end = end.map_err(|error| error.to_string());
    Suite::read(program, &String::from_utf8_lossy(&xml), end).allowing_only_known_skips()
}
