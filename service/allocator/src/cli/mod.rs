// SPDX-License-Identifier: Apache-2.0
//! The command line: the service itself, and four commands for people.

mod arguments;
mod check;
mod dump;
mod explain;
mod probe;

use std::convert::Infallible;
use std::error::Error;
use std::io::Write;
use std::path::PathBuf;
use std::process::ExitCode;

use dmaheap_aidl::binder;
use serde::Serialize;

use crate::service::Service;
use crate::{Allocator, Policy, policy, sys};
use arguments::Arguments;

const HELP: &str = "\
usage: allocator [--policy FILE]
           serve IAllocator/default
       allocator explain --usage USAGE,... --format FORMAT --size WIDTHxHEIGHT
                         [--layers N] [--as uid=UID] [--as domain=DOMAIN]
                         [--policy FILE] [--json]
           which rule, heap and layout a buffer would get, and why, if this
           caller asks (else somebody of no class); on a device it also tries
           to allocate one
       allocator explain --budget FILE [--as ...] [--policy FILE]
           how large each region must be for a list of buffers, each
           [[buffers]] with what, usage, format, size and count; not on a device
       allocator explain --pid PID --fd NUMBER [--policy FILE] [--json]
           what the buffer behind a process's descriptor is, who asked for it,
           and why it is where it is
       allocator check [--json] [--sepolicy DIR]... [--ueventd FILE]...
                       [--device-tree FILE]... FILE...
           validate policy files; with a board's other files, which are not on
           it, also that each heap has a region, an owner, a label and the rules
           it needs, and no more of them, and each region a heap; device trees
           are blobs or sources, each laid over those before it
       allocator probe [--out FOLDER]
           a board's first files from what this device has: heaps.toml,
           ueventd.rc, file_contexts and rules, with DECIDE where a person must
       allocator dump [--buffers] [--json]
           the state of the running service, or each buffer that lives: a line
           for each, with its process and address where you may see those
";

/// How a command ended, if it did not fail.
enum Outcome {
    /// As hoped for.
    Good,
    /// The answer is no.
    Bad,
}

type Done = Result<Outcome, Box<dyn Error>>;

/// Runs the command in these arguments (without the program's name).
pub fn run(arguments: impl Iterator<Item = String>) -> ExitCode {
    let mut arguments = Arguments::new(arguments);
    let wants_help = arguments.flag("--help") || arguments.flag("-h");
    let command = if wants_help { Some("help".to_owned()) } else { arguments.command() };
    let done = match command.as_deref() {
        None => serve(arguments).map(|never| match never {}),
        Some("explain") => explain::run(arguments),
        Some("check") => check::run(arguments),
        Some("dump") => dump::run(arguments),
        Some("probe") => probe::run(arguments),
        Some("help") => {
            std::io::stdout().write_all(HELP.as_bytes()).map_err(Into::into).map(|()| Outcome::Good)
        }
        Some(other) => Err(format!("there is no command {other:?}\n{HELP}").into()),
    };
    match done {
        Ok(Outcome::Good) => ExitCode::SUCCESS,
        Ok(Outcome::Bad) => ExitCode::FAILURE,
        Err(error) => {
            log::error!("{error}");
            ExitCode::from(2)
        }
    }
}

fn serve(mut arguments: Arguments) -> Result<Infallible, Box<dyn Error>> {
    log::set_max_level(log::LevelFilter::Info);
    let policy = load_policy(&mut arguments)?;
    arguments.finish()?;
    // Replies hold descriptors until they are delivered.
    sys::raise_descriptor_limit()?;

    let allocator = Allocator::new(policy);
    allocator.start();
    binder::serve(binder::DEFAULT, Service::new(allocator))
}

/// The policy named by `--policy`, or the board's; warnings are logged.
fn load_policy(arguments: &mut Arguments) -> Result<Policy, Box<dyn Error>> {
    let path = arguments.option("--policy")?.map_or(policy::PATH.into(), PathBuf::from);
    let (policy, findings) = Policy::load(&path)?;
    findings.to_string().lines().for_each(|line| log::warn!("{line}"));
    Ok(policy)
}

fn print_json(value: &impl Serialize) -> std::io::Result<()> {
    let mut out = std::io::stdout();
    serde_json::to_writer_pretty(&mut out, value)?;
    writeln!(out)
}
