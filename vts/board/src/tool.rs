// SPDX-License-Identifier: Apache-2.0
//! Programs of the host.

use std::ffi::OsStr;
use std::fs::File;
use std::io::{self, BufRead, BufReader, Read, Write};
use std::path::Path;
use std::process::{Child, Command, ExitStatus, Stdio};
use std::sync::{LazyLock, mpsc};

use crate::error::{Error, OnFile, Result};

/// Lines shown of a failed program's output.
const TAIL_LINES: usize = 15;

/// A command that the kernel ends with `signal` when this process dies, however it dies.
pub fn bound_to_us(program: impl AsRef<OsStr>, signal: &str) -> Command {
    let mut command = Command::new("setpriv");
    command.args(["--pdeathsig", signal]).arg(program);
    command
}

/// Starts a command that is bound to us on a thread that ends with this process: the kernel would end
/// it with the thread that started it.
pub fn spawn_for_life(command: Command) -> io::Result<Child> {
    type Order = (Command, mpsc::Sender<io::Result<Child>>);
    static SPAWNER: LazyLock<mpsc::Sender<Order>> = LazyLock::new(|| {
        let (orders, taken) = mpsc::channel::<Order>();
        std::thread::spawn(move || {
            for (mut command, reply) in taken {
                // Whoever ordered it is waiting.
                let _ = reply.send(command.spawn());
            }
        });
        orders
    });
    let gone = || io::Error::other("the thread that starts programs is gone");
    let (reply, child) = mpsc::channel();
    SPAWNER.send((command, reply)).map_err(|_| gone())?;
    child.recv().map_err(|_| gone())?
}

/// Runs `command`, keeps its output in `log`, and calls `on_line` for each line of it.
pub fn run(
    what: &str,
    hint: &'static str,
    mut command: Command,
    log: &Path,
    mut on_line: impl FnMut(&str),
) -> Result<()> {
    let (reader, writer) = io::pipe().on("cannot make a pipe for", log)?;
    let writer_too = writer.try_clone().on("cannot make a pipe for", log)?;
    let mut log_file = File::create(log).on("cannot write", log)?;
    let child = command.stdin(Stdio::null()).stdout(writer).stderr(writer_too).spawn();
    // The command holds the pipe's write ends, and reading ends only when all are closed.
    drop(command);
    let mut child = child.map_err(|e| failure(what, hint, e.to_string(), log))?;
    for line in BufReader::new(reader).split(b'\n') {
        let line = line.on("cannot read the output for", log)?;
        log_file
            .write_all(&line)
            .and_then(|()| log_file.write_all(b"\n"))
            .on("cannot write", log)?;
        on_line(&String::from_utf8_lossy(&line));
    }
    let status = child.wait().on("cannot wait for the writer of", log)?;
    check(what, hint, status, log)
}

/// Runs a short program and returns what it prints.
pub fn output(what: &str, command: &mut Command) -> Result<String> {
    let shown = format!("{command:?}");
    let fail = |why: String| Error::Usage(format!("{what} failed: {shown}: {why}"));
    let output = command.stdin(Stdio::null()).output().map_err(|e| fail(e.to_string()))?;
    if !output.status.success() {
        let said = String::from_utf8_lossy(&output.stderr);
        return Err(fail(format!("{}\n{}", output.status, said.trim_end())));
    }
    Ok(String::from_utf8_lossy(&output.stdout).into_owned())
}

/// An error unless `status` is success, with what matters of the log.
pub fn check(what: &str, hint: &'static str, status: ExitStatus, log: &Path) -> Result<()> {
    if status.success() { Ok(()) } else { Err(failure(what, hint, status.to_string(), log)) }
}

fn failure(what: &str, hint: &'static str, why: String, log: &Path) -> Error {
    let mut text = Vec::new();
    // The log may be what is missing; then there is nothing to show of it.
    let _ = File::open(log).and_then(|mut f| f.read_to_end(&mut text));
    let tail = what_matters(&String::from_utf8_lossy(&text));
    Error::Tool { what: what.to_owned(), why, tail, log: log.to_owned(), hint }
}

/// The lines that say "error" with what is indented below them, or the last ones where none does.
fn what_matters(log: &str) -> String {
    let lines: Vec<&str> = log.lines().collect();
    // Of compilers, rustc, make, apt-get and dpkg.
    let signs = ["error:", "error[", "Error ", "E: ", "dpkg: error"];
    let mut errors = Vec::new();
    let mut below = false;
    for line in &lines {
        below = signs.iter().any(|sign| line.contains(sign)) || below && line.starts_with(' ');
        if below && errors.len() < TAIL_LINES {
            errors.push(*line);
        }
    }
    let shown = if errors.is_empty() {
        &lines[lines.len().saturating_sub(TAIL_LINES)..]
    } else {
        &errors[..]
    };
    shown.iter().map(|line| format!("  {line}\n")).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_failed_program_is_reported_with_its_errors_log_and_hint() {
        let here = tempfile::tempdir().unwrap();
        let log = here.path().join("log");
        let mut command = Command::new("sh");
        command.args(["-c", "echo one; echo 'x.c:3: error: no such thing' >&2; echo two; exit 3"]);
        let mut lines = 0;
        let error =
            run("building x", "mend x.c", command, &log, |_| lines += 1).unwrap_err().to_string();
        assert_eq!(lines, 3);
        assert!(error.contains("building x failed: exit status: 3"), "{error}");
        assert!(error.contains("x.c:3: error") && !error.contains("two"), "{error}");
        assert!(error.contains("mend x.c") && error.contains(log.to_str().unwrap()), "{error}");
    }

    #[test]
    fn a_program_for_life_outlives_the_thread_that_asked_for_it() {
        let ask = || {
            let mut command = bound_to_us("cat", "KILL");
            command.stdin(Stdio::piped()).stdout(Stdio::piped());
            spawn_for_life(command).unwrap()
        };
        let mut cat = std::thread::spawn(ask).join().unwrap();
        cat.stdin.take().unwrap().write_all(b"alive").unwrap();
        assert_eq!(cat.wait_with_output().unwrap().stdout, b"alive");
    }

    #[test]
    fn dpkgs_error_is_shown_with_its_reason() {
        let log = "Setting up a\ndpkg: error processing package a (--configure):\n \
                   a's script returned error exit status 1\nErrors were encountered:\n a\n\
                   E: Sub-process /usr/bin/dpkg returned an error code (1)\n";
        let shown = what_matters(log);
        assert!(shown.contains("dpkg: error processing package a"), "{shown}");
        assert!(shown.contains("script returned") && shown.contains("E: Sub-process"), "{shown}");
        assert!(!shown.contains("Setting up"), "{shown}");
    }

    #[test]
    fn a_bound_program_dies_with_its_parent() {
        // The shell is killed once the sleep is under way; the sleep must go with it.
        let script = "setpriv --pdeathsig KILL sleep 1000 >/dev/null & \
                      until grep -q sleep /proc/$!/comm; do :; done; echo $!; kill -9 $$";
        let output = Command::new("sh").args(["-c", script]).output().unwrap();
        let pid = String::from_utf8(output.stdout).unwrap();
        let proc = Path::new("/proc").join(pid.trim());
        for _ in 0..100 {
            if !proc.exists() {
                return;
            }
            std::thread::sleep(std::time::Duration::from_millis(20));
        }
        panic!("{} outlived its parent", proc.display());
    }
}
