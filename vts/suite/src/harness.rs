// SPDX-License-Identifier: Apache-2.0
//! A test program on the device: it runs its tests, and itself again where a test needs somebody
//! else, or a process to kill.

use std::any::Any;
use std::env;
use std::error::Error;
use std::fmt;
use std::fs;
use std::io::{self, BufRead, BufReader};
use std::os::unix::process::CommandExt;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::process::{Child, Command, ExitCode, Stdio};
use std::sync::OnceLock;
use std::time::Instant;

use clap::{Parser, ValueEnum};
use dmaheap_aidl::binder::DEFAULT;
use libtest_mimic::{Arguments, Completion, Failed, FormatSetting, Trial};

use crate::results::{self, Verdict};

/// A test's result, or a role's.
pub type Outcome = Result<(), Box<dyn Error>>;

/// A program: its name on the device, what it is about, its tests, and its roles.
#[derive(Debug, Clone, Copy)]
pub struct Program {
    /// The file's name.
    pub name: &'static str,
    /// What its tests are about, in one word.
    pub topic: &'static str,
    /// Its tests; their names alone need no device.
    pub trials: fn() -> Vec<Trial>,
    /// Plays a role that a test needs somebody else for.
    pub play: fn(role: &str) -> Outcome,
}

/// Names the role that a process is started in, with its arguments.
const ROLE: &str = "SUITE_ROLE";
/// Names the instance of the service to processes in a role.
const INSTANCE: &str = "SUITE_INSTANCE";

/// Plays the role that this process was started in, if in any.
pub fn in_role(play: fn(role: &str) -> Outcome) -> Option<ExitCode> {
    let role = env::var(ROLE).ok()?;
    Some(match play(&role) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("{role}: {error}");
            ExitCode::FAILURE
        }
    })
}

/// From here on this process is of another SELinux domain; it must not have threads yet.
pub fn take_on(context: &str) -> Outcome {
    fs::write("/proc/self/attr/current", context)
        .map_err(|error| format!("cannot become {context}: {error}").into())
}

static CHOSEN: OnceLock<String> = OnceLock::new();

/// The instance of the service under test.
pub fn instance() -> &'static str {
    CHOSEN.get_or_init(|| env::var(INSTANCE).unwrap_or_else(|_| DEFAULT.to_owned()))
}

/// What libtest's programs take, as far as it has a meaning here, and what they do not.
#[derive(Parser)]
struct Options {
    /// The instance of the service
    #[arg(long, value_name = "NAME", default_value = DEFAULT)]
    instance: String,
    /// Run the tests whose names contain this (repeatable)
    #[arg(long = "filter", value_name = "FILTER")]
    filters: Vec<String>,
    /// The same
    #[arg(value_name = "FILTER")]
    words: Vec<String>,
    /// A filter is the whole name
    #[arg(long)]
    exact: bool,
    /// Leave out the tests whose names contain this (repeatable)
    #[arg(long, value_name = "FILTER")]
    skip: Vec<String>,
    /// List the tests
    #[arg(long)]
    list: bool,
    /// How to report; with junit, progress goes to standard error
    #[arg(long, value_enum, default_value = "pretty")]
    format: Format,
    // Test harnesses pass these to every program of libtest's. The tests share one device, so that
    // they run one after the other whatever is asked.
    #[arg(long, hide = true)]
    nocapture: bool,
    #[arg(long, hide = true)]
    show_output: bool,
    #[arg(long, hide = true)]
    report_time: bool,
    #[arg(long, hide = true, value_name = "N")]
    test_threads: Option<usize>,
    #[arg(short = 'Z', hide = true, value_name = "FLAG")]
    unstable: Vec<String>,
}

#[derive(Clone, Copy, PartialEq, Eq, ValueEnum)]
enum Format {
    Pretty,
    Terse,
    Json,
    Junit,
}

impl Options {
    /// Whether a test is among those that are asked for. The harness below takes one filter only.
    fn ask_for(&self, name: &str) -> bool {
        let mut filters = self.filters.iter().chain(&self.words).peekable();
        filters.peek().is_none()
            || filters.any(|filter| if self.exact { name == filter } else { name.contains(filter) })
    }
}

impl Program {
    /// Runs the tests one after the other, or plays the role that this process was started in.
    pub fn main(&self) -> ExitCode {
        in_role(self.play).unwrap_or_else(|| self.run(Options::parse()))
    }

    fn run(&self, options: Options) -> ExitCode {
        let mut trials = (self.trials)();
        trials.retain(|trial| options.ask_for(trial.name()));
        CHOSEN.get_or_init(|| options.instance);
        let arguments = Arguments {
            test_threads: Some(1),
            exact: options.exact,
            skip: options.skip,
            list: options.list,
            format: Some(match options.format {
                Format::Pretty | Format::Junit => FormatSetting::Pretty,
                Format::Terse => FormatSetting::Terse,
                Format::Json => FormatSetting::Json,
            }),
            logfile: (options.format == Format::Junit).then(|| "/dev/stderr".to_owned()),
            ..Arguments::default()
        };
        if options.format == Format::Junit && !options.list {
            results::open_junit(self.name);
        }
        let conclusion = libtest_mimic::run(&arguments, trials);
        results::close_junit();
        eprint!("{}", results::skip_list());
        conclusion.exit_code()
    }
}

/// How much of something a test does: a variable of the environment says, or this is enough.
pub fn effort(variable: &str, enough: u64) -> Result<u64, Box<dyn Error>> {
    match env::var(variable) {
        Ok(value) => value.parse().map_err(|_| format!("{variable}={value}: no number").into()),
        Err(_) => Ok(enough),
    }
}

/// Why a test says nothing about this device.
#[derive(Debug)]
struct Skip(String);

impl fmt::Display for Skip {
    fn fmt(&self, f: &mut fmt::Formatter) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl Error for Skip {}

/// Ends a test: the device lacks something that it may lack.
pub fn skip<T>(reason: impl Into<String>) -> Result<T, Box<dyn Error>> {
    Err(Skip(reason.into()).into())
}

/// A test under this name, whose result is kept.
pub fn case(name: impl Into<String>, test: impl FnOnce() -> Outcome + Send + 'static) -> Trial {
    let name = name.into();
    Trial::ignorable_test(name.clone(), move || {
        results::begin(&name);
        let started = Instant::now();
        let verdict = match catch_unwind(AssertUnwindSafe(test)) {
            Ok(Ok(())) => Verdict::Passed,
            Ok(Err(error)) if error.is::<Skip>() => Verdict::Skipped(error.to_string()),
            Ok(Err(error)) => Verdict::Failed(error.to_string()),
            Err(panic) => Verdict::Failed(words_of(&*panic)),
        };
        results::end(&name, &verdict, started.elapsed());
        match verdict {
            Verdict::Passed => Ok(Completion::Completed),
            Verdict::Skipped(reason) => Ok(Completion::ignored_with(reason)),
            Verdict::Failed(why) => Err(Failed::from(why)),
        }
    })
}

fn words_of(panic: &(dyn Any + Send)) -> String {
    let text = panic.downcast_ref::<&str>().map(|text| (*text).to_owned());
    text.or_else(|| panic.downcast_ref::<String>().cloned()).unwrap_or("it panicked".to_owned())
}

/// This program in a role, to be started.
pub fn again(role: &str) -> io::Result<Command> {
    let mut command = Command::new(env::current_exe()?);
    command.env(ROLE, role).env(INSTANCE, instance()).stdout(Stdio::piped());
    Ok(command)
}

/// Starts this program in a role, under this uid and gid, with its output in a pipe.
pub fn start(role: &str, uid: u32, gid: u32) -> io::Result<Child> {
    again(role)?.uid(uid).gid(gid).spawn()
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
