// SPDX-License-Identifier: Apache-2.0
//! A test program on the device: it runs its tests, and itself again where a test needs somebody
//! else, or a process to kill.

use std::env;
use std::error::Error;
use std::io::{self, BufRead, BufReader};
use std::os::unix::process::CommandExt;
use std::process::{Child, Command, ExitCode, Stdio};

use libtest_mimic::{Arguments, Trial};

/// A test's result, or a role's.
pub type Outcome = Result<(), Box<dyn Error>>;

/// Names the role that a process is started in, with its arguments.
const ROLE: &str = "SUITE_ROLE";

/// Runs the tests one after the other, or `play`s the role this process was started in.
pub fn run(trials: Vec<Trial>, play: fn(role: &str) -> Outcome) -> ExitCode {
    let Ok(role) = env::var(ROLE) else {
        let arguments = Arguments { test_threads: Some(1), ..Arguments::from_args() };
        return libtest_mimic::run(&arguments, trials).exit_code();
    };
    match play(&role) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("{role}: {error}");
            ExitCode::FAILURE
        }
    }
}

/// Starts this program in a role, under this uid and gid, with its output in a pipe.
pub fn start(role: &str, uid: u32, gid: u32) -> io::Result<Child> {
    let mut command = Command::new(env::current_exe()?);
    command.env(ROLE, role).stdout(Stdio::piped());
    command.uid(uid).gid(gid).spawn()
}

/// Waits until a role has printed a line.
pub fn wait_for_line(child: &mut Child) -> Outcome {
    let output = child.stdout.take().ok_or("the output is piped")?;
    let mut line = String::new();
    match BufReader::new(output).read_line(&mut line)? {
        0 => Err(format!("it ended early: {}", child.wait()?).into()),
        _ => Ok(()),
    }
}
