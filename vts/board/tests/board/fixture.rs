// SPDX-License-Identifier: Apache-2.0
//! The shared guests, and the board tool as a user runs it.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::{Mutex, MutexGuard, PoisonError};

use board::guest::Output;
use board::{Board, Boot, Error, Guest, boards};
use board_channel::wire::Exit;
use libtest_mimic::Failed;

use crate::Outcome;

/// Fails the test with a text.
pub fn fail<T>(why: impl Into<String>) -> Result<T, Failed> {
    Err(Failed::from(why.into()))
}

/// Fails the test unless `got` is `expected`.
pub fn expect_eq<T: PartialEq + std::fmt::Debug>(
    what: &str,
    got: T,
    expected: T,
) -> Result<(), Failed> {
    if got == expected {
        return Ok(());
    }
    fail(format!("{what}: got {got:?}, expected {expected:?}"))
}

/// Fails the test, and shows the text, unless it contains `part`.
pub fn expect_contains(text: &str, part: &str) -> Result<(), Failed> {
    if text.contains(part) { Ok(()) } else { fail(format!("'{part}' is not in:\n{text}")) }
}

/// A guest of the test's own.
pub fn boot(boot: &Boot) -> Result<Guest, Failed> {
    Guest::boot(&boards::VIRT, boot).map_err(Failed::from)
}

/// The shared guests that no test has at the moment.
static IDLE: Mutex<Vec<(&Board, Guest)>> = Mutex::new(Vec::new());

/// Lends a shared guest of the plain board.
pub fn with_guest<T>(test: impl FnOnce(&mut Guest) -> Result<T, Failed>) -> Result<T, Failed> {
    with_guest_of(&boards::VIRT, test)
}

/// Lends a shared guest, as another test left it; boots one if all are lent, and so after a test
/// that killed its guest.
pub fn with_guest_of<T>(
    board: &'static Board,
    test: impl FnOnce(&mut Guest) -> Result<T, Failed>,
) -> Result<T, Failed> {
    let idle = {
        let mut idle = lock(&IDLE);
        let one = idle.iter().position(|(its, _)| std::ptr::eq(*its, board));
        one.map(|at| idle.swap_remove(at).1)
    };
    let mut guest = match idle {
        Some(guest) => guest,
        None => Guest::boot(board, &Boot::default())?,
    };
    let result = test(&mut guest);
    if guest.shell("true").is_ok() {
        lock(&IDLE).push((board, guest));
    }
    result
}

/// Looks at every shared guest, of which no test has one any more.
pub fn with_every_guest(mut look: impl FnMut(&mut Guest) -> Outcome) -> Outcome {
    let mut idle = lock(&IDLE);
    if idle.is_empty() {
        idle.push((&*boards::VIRT, boot(&Boot::default())?));
    }
    idle.iter_mut().try_for_each(|(_, guest)| look(guest))
}

/// The lock, whichever test failed while it had it.
pub fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

/// A shell command in the shared guest that must succeed; its standard output.
pub fn sh(script: &str) -> Result<String, Failed> {
    with_guest(|guest| succeed(guest, script))
}

/// A shell command that must succeed; its standard output.
pub fn succeed(guest: &mut Guest, script: &str) -> Result<String, Failed> {
    let output: Output = guest.shell(script)?;
    match output.exit {
        Exit::Code(0) => Ok(output.stdout),
        exit => fail(format!("'{script}' ended with {exit:?}\n{}{}", output.stdout, output.stderr)),
    }
}

/// The board tool, as `cargo run --` starts it.
pub fn tool(arguments: &[&str]) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_board"));
    command.args(arguments);
    command
}

/// What the board tool did.
pub struct Ran {
    pub code: Option<i32>,
    pub stdout: String,
    pub stderr: String,
}

/// Runs the board tool to its end.
pub fn run_tool(arguments: &[&str]) -> Result<Ran, Failed> {
    ran(&mut tool(arguments))
}

/// Runs any prepared command to its end.
pub fn ran(command: &mut Command) -> Result<Ran, Failed> {
    let output = command.output().map_err(Failed::from)?;
    let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
    Ok(Ran {
        code: output.status.code(),
        stdout: text(&output.stdout),
        stderr: text(&output.stderr),
    })
}

static SCRATCH: Mutex<Option<tempfile::TempDir>> = Mutex::new(None);

/// A folder of this test run's.
pub fn scratch(name: &str) -> Result<PathBuf, Failed> {
    let mut scratch = lock(&SCRATCH);
    if scratch.is_none() {
        // What a killed run leaves is below target/ at least.
        *scratch = Some(tempfile::tempdir_in(env!("CARGO_TARGET_TMPDIR"))?);
    }
    let Some(folder) = scratch.as_ref() else { return fail("no temporary folder") };
    let path = folder.path().join(name);
    fs::create_dir_all(&path)?;
    Ok(path)
}

/// Ends all guests, and removes what the tests wrote: nobody drops what is static.
pub fn tidy_up() {
    lock(&IDLE).clear();
    lock(&SCRATCH).take();
}

/// A device-tree overlay with these regions: a node's name, and what it has besides being a
/// reusable pool.
pub fn overlay(regions: &[(&'static str, &str)]) -> Result<PathBuf, Failed> {
    let pool = |(name, properties): &(&'static str, &str)| {
        (*name, format!("compatible = \"shared-dma-pool\"; reusable; {properties}"))
    };
    reserved_memory(regions.iter().map(pool))
}

/// A device-tree overlay with these nodes below `/reserved-memory`: a name, and the properties.
pub fn reserved_memory(
    nodes: impl Iterator<Item = (&'static str, String)>,
) -> Result<PathBuf, Failed> {
    let nodes: String =
        nodes.map(|(name, properties)| format!("{name} {{ {properties} }};\n")).collect();
    let text = format!(
        "/dts-v1/;\n/plugin/;\n/ {{ fragment@0 {{ target-path = \"/\"; __overlay__ {{\n\
         reserved-memory {{\n#address-cells = <2>;\n#size-cells = <2>;\nranges;\n{nodes}}};\n\
         }}; }}; }};\n"
    );
    static NUMBER: AtomicU32 = AtomicU32::new(0);
    let number = NUMBER.fetch_add(1, Ordering::Relaxed);
    let path = scratch("overlay")?.join(format!("{number}.dtso"));
    fs::write(&path, text)?;
    Ok(path)
}

/// Compiles a C program for the board with `flags`.
pub fn compile(name: &str, source: &str, flags: &[&str]) -> Result<PathBuf, Failed> {
    let file = scratch("c")?.join(format!("{name}.c"));
    fs::write(&file, source)?;
    compile_file("gcc", name, &file, flags)
}

/// Compiles a file for the board with this compiler.
pub fn compile_file(
    compiler: &str,
    name: &str,
    file: &Path,
    flags: &[&str],
) -> Result<PathBuf, Failed> {
    let program = scratch("c")?.join(name);
    // The compiler is there once a board could boot.
    with_guest(|_| Ok(()))?;
    cross(compiler, |command| command.args(flags).arg("-o").arg(&program).arg(file))?;
    Ok(program)
}

/// Runs a tool for the board's binaries, which must succeed; its output.
pub fn cross(
    tool: &str,
    arguments: impl FnOnce(&mut Command) -> &mut Command,
) -> Result<String, Failed> {
    let mut command = Command::new(format!("{}{tool}", boards::VIRT.target.cross_compile));
    let result = ran(arguments(&mut command))?;
    if result.code == Some(0) { Ok(result.stdout) } else { fail(result.stderr) }
}

/// An error of the board that must be `Refused`; its text.
pub fn refusal<T>(result: Result<T, Error>) -> Result<String, Failed> {
    match result {
        Ok(_) => fail("it worked, and must not"),
        Err(error @ (Error::Refused(_) | Error::Usage(_))) => Ok(error.to_string()),
        Err(other) => fail(format!("another error: {other}")),
    }
}
