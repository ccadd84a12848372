// SPDX-License-Identifier: Apache-2.0
//! `see`: where a device's memory is, and who has it.

use std::error::Error;
use std::io::Read;
use std::path::PathBuf;
use std::process::{Command, ExitCode};
use std::time::Duration;
use std::{fs, io};

use clap::{Args, Parser, Subcommand};
use dmaheap_see::snapshot::SCRIPT;
use dmaheap_see::top::Top;
use dmaheap_see::{Picture, Snapshot, page};
use ratatui::crossterm::event::{self, Event, KeyCode, KeyEventKind};

/// Where a device's memory is, and who has it.
#[derive(Parser)]
struct Arguments {
    #[command(subcommand)]
    verb: Verb,
}

#[derive(Subcommand)]
enum Verb {
    /// Each region as a strip of physical addresses, with its buffers and holes
    Map {
        /// Write one page, which needs no network, instead of text
        #[arg(long, value_name = "FILE")]
        html: Option<PathBuf>,
        #[command(flatten)]
        source: Source,
    },
    /// Who takes more and more
    Top {
        /// Print one frame and end
        #[arg(long)]
        once: bool,
        /// Time between two looks
        #[arg(long, value_name = "SECONDS", default_value_t = 2)]
        every: u64,
        #[command(flatten)]
        source: Source,
    },
    /// Print the script that a device's shell is asked to run
    Script,
}

#[derive(Args)]
struct Source {
    /// A command that runs a script, its last argument, as root on the device
    #[arg(long, value_name = "COMMAND", default_value = "adb shell")]
    shell: String,
    /// Read what the script printed from a file, or from standard input if it is "-"
    #[arg(long, value_name = "FILE", conflicts_with = "shell")]
    from: Option<PathBuf>,
}

impl Source {
    fn look(&self) -> Result<Picture, Box<dyn Error>> {
        let text = match &self.from {
            Some(file) if file.as_os_str() == "-" => {
                let mut text = String::new();
                io::stdin().read_to_string(&mut text)?;
                text
            }
            Some(file) => {
                fs::read_to_string(file).map_err(|e| format!("{}: {e}", file.display()))?
            }
            None => self.ask()?,
        };
        Ok(Picture::new(&Snapshot::parse(&text)?))
    }

    /// What the device cannot tell is not there; what it said is shown.
    fn ask(&self) -> Result<String, Box<dyn Error>> {
        let mut words = self.shell.split_whitespace();
        let program = words.next().ok_or("--shell names no program")?;
        let output = Command::new(program).args(words).arg(SCRIPT).output();
        let output = output.map_err(|error| format!("{}: {error}", self.shell))?;
        let text = String::from_utf8_lossy(&output.stdout).into_owned();
        if !text.contains("= ") {
            return Err(
                format!("{}: {}", self.shell, String::from_utf8_lossy(&output.stderr)).into()
            );
        }
        Ok(text)
    }
}

fn main() -> ExitCode {
    match run(Arguments::parse().verb) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("error: {error}");
            ExitCode::FAILURE
        }
    }
}

fn run(verb: Verb) -> Result<(), Box<dyn Error>> {
    match verb {
        Verb::Script => println!("{SCRIPT}"),
        Verb::Map { html: None, source } => print!("{}", source.look()?),
        Verb::Map { html: Some(file), source } => {
            fs::write(&file, page::html("a device", &source.look()?)?)
                .map_err(|error| format!("{}: {error}", file.display()))?;
        }
        Verb::Top { once: true, source, .. } => {
            let mut top = Top::default();
            top.step(source.look()?);
            print!("{}", top.once());
        }
        Verb::Top { once: false, every, source } => watch(&source, Duration::from_secs(every))?,
    }
    Ok(())
}

/// Until somebody presses q.
fn watch(source: &Source, every: Duration) -> Result<(), Box<dyn Error>> {
    let mut top = Top::default();
    let mut terminal = ratatui::try_init()?;
    let outcome = loop {
        match source.look() {
            Ok(picture) => top.step(picture),
            Err(error) => break Err(error),
        }
        terminal.draw(|frame| top.draw(frame))?;
        if quits_within(every)? {
            break Ok(());
        }
    };
    ratatui::restore();
    outcome
}

fn quits_within(time: Duration) -> io::Result<bool> {
    if !event::poll(time)? {
        return Ok(false);
    }
    Ok(matches!(event::read()?, Event::Key(key)
        if key.kind == KeyEventKind::Press && matches!(key.code, KeyCode::Char('q') | KeyCode::Esc)))
}
