// SPDX-License-Identifier: Apache-2.0
//! Builds of `service/` that count what runs of them, and LLVM's tools that read the counts.
//!
//! A counting program keeps its counts in a file that it maps ([`PATTERN`] says which), so that
//! they outlive a process that is killed, and all processes of one program add to one file. The
//! host's tests and the board's programs are of different architectures and optimised differently;
//! LLVM joins their counts by the line of source.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use crate::boards::Board;
use crate::cache::Cache;
use crate::error::{Error, OnFile, Result};
use crate::place::{repository, results};
use crate::progress::Step;
use crate::{packages, tool, userland};

/// The variable that tells a counting program where its counts go.
pub const VARIABLE: &str = "LLVM_PROFILE_FILE";
/// One file for each program, whichever process of it counts; kept up to date all the time.
pub const PATTERN: &str = "%m%c.profraw";

/// The second makes PATTERN's `%c` possible; the third loses no count between threads, or between
/// processes that share a file.
const FLAGS: [&str; 3] = [
    "-Cinstrument-coverage",
    "-Cllvm-args=-runtime-counter-relocation",
    "-Cllvm-args=-instrprof-atomic-counter-update-all",
];

/// The programs of `service/`, as the board runs them.
const PROGRAMS: [&str; 3] = ["--no-default-features", "-pdmaheap-allocator", "-pdmaheap-mapper"];

/// Tests on the host that run code of `service/`.
const TESTS: [&[&str]; 2] = [
    &[
        "-p=dmaheap-buffer",
        "-p=dmaheap-dmabuf",
        "-p=dmaheap-allocator",
        "-p=dmaheap-mapper",
        "--lib",
        "--bins",
        "--tests",
    ],
    &["-p=board", "--test=chain"],
];

const HINT: &str = "`cargo test` says more of a test that fails";

/// Builds, profiles and tools of one measurement.
#[derive(Debug)]
pub struct Instrumented {
    /// Cargo's target folder of the counting builds: ordinary builds stay what they are.
    target: PathBuf,
    /// Where the counts of this measurement go.
    profiles: PathBuf,
    /// LLVM's major version, which is part of its tools' names.
    llvm: String,
    /// The programs that have counted.
    objects: Vec<PathBuf>,
}

impl Instrumented {
    /// Provides the tools that fit this compiler, and forgets earlier counts.
    pub fn new(board: &Board, install: bool) -> Result<Self> {
        let llvm = llvm_of_rustc()?;
        packages::provide(board, &[&format!("llvm-{llvm}")], &Cache::open()?, install)?;
        let target = repository().join("target/coverage");
        let profiles = target.join("profiles");
        if profiles.exists() {
            fs::remove_dir_all(&profiles).on("cannot remove", &profiles)?;
        }
        fs::create_dir_all(&profiles).on("cannot make", &profiles)?;
        let logs = results();
        fs::create_dir_all(&logs).on("cannot make", &logs)?;
        Ok(Self { target, profiles, llvm, objects: Vec::new() })
    }

    /// Runs the host's tests; what they print goes to a log.
    pub fn test_on_host(&mut self) -> Result<()> {
        let step = Step::new("running the host's tests of service/");
        let host = rustc("host: ")?;
        for (number, tests) in TESTS.into_iter().enumerate() {
            let log = |what| results().join(format!("coverage-{what}-{number}.log"));
            let test = |arguments: &[&str]| {
                let mut cargo = self.cargo("test", &host);
                cargo.args(tests).args(arguments);
                cargo.env(VARIABLE, self.profiles.join("host").join(PATTERN));
                cargo
            };
            let build = test(&["--no-run"]);
            let built =
                userland::build("building the host's tests", userland::HINT, build, &log("build"))?;
            tool::run("running the host's tests", HINT, test(&[]), &log("test"), |_| ())?;
            self.objects.extend(built.into_iter().map(|(_, path)| path));
        }
        step.done();
        Ok(())
    }

    /// Builds the board's programs of `service/`; name and place of each.
    pub fn for_board(&mut self, board: &Board) -> Result<Vec<(String, PathBuf)>> {
        userland::require_target(&board.target.rust)?;
        let step = Step::new("building service/ with counters for the guest");
        let mut cargo = self.cargo("build", &board.target.rust);
        cargo.args(["--release", "--bins", "--lib"]).args(PROGRAMS);
        let log = results().join("coverage-guest.log");
        let built = userland::build("building the guest's programs", userland::HINT, cargo, &log)?;
        step.done();
        self.objects.extend(built.iter().map(|(_, path)| path.clone()));
        Ok(built)
    }

    /// Where counts from the board go.
    pub fn from_board(&self) -> PathBuf {
        self.profiles.join("board")
    }

    /// How often each line of `service/` has run, in lcov's format.
    pub fn lcov(&self) -> Result<String> {
        let merged = self.merged();
        let mut merge = Command::new(format!("llvm-profdata-{}", self.llvm));
        merge.args(["merge", "--sparse", "-o"]).arg(&merged).arg(&self.profiles);
        tool::output("joining the counts", &mut merge)?;
        let mut export = self.cov("export");
        tool::output("reading the counts", export.arg("--format=lcov"))
    }

    /// Writes the source with its counts as pages below `folder`.
    pub fn write_html(&self, folder: &Path) -> Result<()> {
        let mut show = self.cov("show");
        show.args(["--format=html", "--output-dir"]).arg(folder);
        tool::output("writing the source with its counts", &mut show).map(drop)
    }

    fn merged(&self) -> PathBuf {
        self.target.join("merged.profdata")
    }

    /// `llvm-cov VERB` over all that has counted.
    fn cov(&self, verb: &str) -> Command {
        let mut cov = Command::new(format!("llvm-cov-{}", self.llvm));
        cov.arg(verb).arg("--instr-profile").arg(self.merged());
        for object in &self.objects {
            cov.arg("--object").arg(object);
        }
        cov.arg("--sources").arg(repository().join("service"));
        cov
    }

    /// `cargo VERB` for a target. That it is named keeps the counters out of build scripts and
    /// macros, which run in the compiler.
    fn cargo(&self, verb: &str, target: &str) -> Command {
        let mut cargo = userland::cargo();
        cargo.current_dir(repository());
        cargo.args([verb, "--target", target, "--target-dir"]).arg(&self.target);
        cargo.env("CARGO_ENCODED_RUSTFLAGS", FLAGS.join("\x1f"));
        cargo
    }
}

/// The major version of the LLVM in rustc, whose format of counts only tools of that version read.
fn llvm_of_rustc() -> Result<String> {
    let version = rustc("LLVM version: ")?;
    Ok(version.split('.').next().unwrap_or_default().to_owned())
}

/// What rustc says behind `key` of itself.
fn rustc(key: &str) -> Result<String> {
    let mut rustc = Command::new("rustc");
    rustc.current_dir(repository()).arg("-vV");
    let said = tool::output("asking rustc for its version", &mut rustc)?;
    let value = said.lines().find_map(|line| line.strip_prefix(key)).map(str::to_owned);
    value.ok_or_else(|| Error::Usage(format!("rustc -vV does not say '{key}':\n{said}")))
}
