// SPDX-License-Identifier: Apache-2.0
//! A board that is up: boot it, run commands, move files.

use std::fs::{self, File};
use std::io::{self, BufReader, Write};
use std::path::{Path, PathBuf};
use std::process::{ChildStdin, ChildStdout};
use std::time::{Duration, Instant};

use board_guest::files;
use board_guest::wire::{self, Exit, Frame, Stream, TerminalSize};

use crate::boards::Board;
use crate::cache::Cache;
use crate::error::{Error, OnFile, Result};
use crate::machine::{self, Accelerator, Alarm, Machine, Parts};
use crate::{devicetree, image, kernel, packages};

/// From QEMU's start to the agent's `Ready`; a loaded machine needs ten times its two seconds.
const BOOT_LIMIT: Duration = Duration::from_secs(120);
/// The same for hardware acceleration, which fails by hanging; once, and then the cache says so.
const TRIAL_LIMIT: Duration = Duration::from_secs(30);

/// How to boot.
#[derive(Debug, Clone)]
pub struct Boot {
    /// Install missing Debian packages.
    pub install: bool,
    /// More kernel arguments.
    pub append: String,
    /// An overlay in place of the board's.
    pub overlay: Option<PathBuf>,
    /// Memory in MiB, if not the board's.
    pub memory: Option<u32>,
    /// Start the services.
    pub services: bool,
    /// End the guest after this time from its start.
    pub timeout: Option<Duration>,
    /// Programs in place of the image's own of these names.
    pub replace: Vec<(String, PathBuf)>,
}

impl Default for Boot {
    fn default() -> Self {
        Self {
            install: true,
            append: String::new(),
            overlay: None,
            memory: None,
            services: true,
            timeout: None,
            replace: Vec::new(),
        }
    }
}

/// What a command did, for those who want it all at once.
#[derive(Debug, Clone)]
pub struct Output {
    /// How it ended.
    pub exit: Exit,
    /// All of its standard output.
    pub stdout: String,
    /// All of its standard error.
    pub stderr: String,
}

/// A booted board and the channel to its agent.
pub struct Guest {
    machine: Machine,
    to: ChildStdin,
    from: BufReader<ChildStdout>,
    _alarm: Option<Alarm>,
}

impl Guest {
    /// Builds what is not built yet, boots, and waits until the services answer.
    pub fn boot(board: &Board, boot: &Boot) -> Result<Self> {
        let cache = Cache::open()?;
        packages::provide(board, &[], &cache, boot.install)?;
        let kernel = kernel::image(board, &cache)?;
        let image = image::pack(board, &cache, &boot.replace)?;
        let kvm_failed = cache.path("kvm-does-not-work-here");
        if kvm_may_work() && !kvm_failed.exists() {
            match Self::start(board, boot, Accelerator::Kvm, &kernel, &image, TRIAL_LIMIT) {
                Err(Error::Guest { what, .. }) => {
                    eprintln!("hardware acceleration does not work here ({what}); emulating");
                    fs::write(&kvm_failed, what).on("cannot write", &kvm_failed)?;
                }
                other => return other,
            }
        }
        Self::start(board, boot, Accelerator::Emulation, &kernel, &image, BOOT_LIMIT)
    }

    fn start(
        board: &Board,
        boot: &Boot,
        accelerator: Accelerator,
        kernel: &Path,
        image: &File,
        limit: Duration,
    ) -> Result<Self> {
        let shape = machine::shape(board, accelerator, boot.memory.unwrap_or(board.memory));
        let folder = tempfile::tempdir()
            .map_err(|e| Error::Usage(format!("cannot make a temporary folder: {e}")))?;
        let tree = devicetree::make(board, &shape, boot.overlay.as_deref(), folder.path())?;
        let services = if boot.services { "" } else { board_guest::NO_SERVICES };
        let arguments = [board.kernel_arguments, services, &boot.append].join(" ");
        let parts = Parts { kernel, image: Some(image), tree: &tree, arguments: &arguments };
        let started = Instant::now();
        let mut machine = Machine::start(board, &shape, &parts)?;
        let Some((to, from)) = machine.take_channel() else {
            return Err(machine.obituary("opening the channel"));
        };
        let boot_alarm = machine.alarm(boot.timeout.map_or(limit, |t| t.min(limit)));
        let mut guest = Self { machine, to, from: BufReader::new(from), _alarm: None };
        let ready = guest.receive("booting")?;
        drop(boot_alarm);
        guest._alarm =
            boot.timeout.map(|limit| guest.machine.alarm(limit.saturating_sub(started.elapsed())));
        match ready {
            Frame::Ready { failed } if failed.is_empty() => Ok(guest),
            Frame::Ready { failed } => {
                guest.machine.save_console()?;
                Err(Error::Services(failed.join("\n")))
            }
            other => Err(out_of_step(&other)),
        }
    }

    /// Runs a command to its end and hands on its output as it comes.
    pub fn run(
        &mut self,
        argv: &[String],
        mut on_output: impl FnMut(Stream, &[u8]) -> io::Result<()>,
    ) -> Result<Exit> {
        let doing = format!("running {}", argv.join(" "));
        self.send(&doing, &Frame::Run { argv: argv.to_vec(), terminal: None })?;
        loop {
            match self.receive(&doing)? {
                Frame::Output(stream, bytes) => on_output(stream, &bytes)
                    .map_err(|e| Error::Usage(format!("cannot pass on the guest's output: {e}")))?,
                Frame::Exited(exit) => return Ok(exit),
                Frame::Failed(why) => return Err(Error::Refused(why)),
                other => return Err(out_of_step(&other)),
            }
        }
    }

    /// Runs a shell command and keeps what it printed.
    pub fn shell(&mut self, script: &str) -> Result<Output> {
        let (mut stdout, mut stderr) = (Vec::new(), Vec::new());
        let argv = ["sh", "-c", script].map(str::to_owned);
        let exit = self.run(&argv, |stream, bytes| {
            match stream {
                Stream::Stdout => stdout.extend_from_slice(bytes),
                Stream::Stderr => stderr.extend_from_slice(bytes),
            }
            Ok(())
        })?;
        let text = |bytes: Vec<u8>| String::from_utf8_lossy(&bytes).into_owned();
        Ok(Output { exit, stdout: text(stdout), stderr: text(stderr) })
    }

    /// Copies a file or folder into the guest.
    pub fn push(&mut self, from: &Path, to: &str) -> Result<()> {
        let doing = format!("pushing {}", from.display());
        self.send(&doing, &Frame::Push { to: to.to_owned() })?;
        let sent =
            files::send_path(&mut self.to, from).map_err(|_| self.machine.obituary(&doing))?;
        match self.receive(&doing)? {
            Frame::End => sent.map_err(|e| Error::Usage(format!("cannot push {e}"))),
            Frame::Failed(why) => Err(match sent {
                // The guest only repeats what went wrong here.
                Err(error) => Error::Usage(format!("cannot push {error}")),
                Ok(()) => Error::Refused(why),
            }),
            other => Err(out_of_step(&other)),
        }
    }

    /// Copies a file or folder out of the guest.
    pub fn pull(&mut self, from: &str, to: &Path) -> Result<()> {
        let doing = format!("pulling {from}");
        self.send(&doing, &Frame::Pull { from: from.to_owned() })?;
        match files::receive_path(&mut self.from, to) {
            Ok(received) => received.map_err(|e| Error::Usage(format!("cannot pull {from}: {e}"))),
            Err(_) => Err(self.machine.obituary(&doing)),
        }
    }

    /// Runs a command on a terminal of `size`; `keys` brings what is typed.
    pub fn interact(
        mut self,
        argv: &[String],
        size: TerminalSize,
        mut keys: impl io::Read + Send + 'static,
    ) -> Result<Exit> {
        let doing = "the shell";
        self.send(doing, &Frame::Run { argv: argv.to_vec(), terminal: Some(size) })?;
        let mut to = self.to;
        // Ends with the process, or when the guest is gone.
        std::thread::spawn(move || {
            let mut piece = [0; 1024];
            while let Ok(got @ 1..) = keys.read(&mut piece) {
                if wire::send(&mut to, &Frame::Input(piece[..got].to_vec())).is_err() {
                    return;
                }
            }
        });
        let mut screen = io::stdout().lock();
        loop {
            match wire::receive(&mut self.from).map_err(|_| self.machine.obituary(doing))? {
                Frame::Output(_, bytes) => {
                    screen
                        .write_all(&bytes)
                        .and_then(|()| screen.flush())
                        .map_err(|e| Error::Usage(format!("cannot write to the terminal: {e}")))?
                }
                Frame::Exited(exit) => return Ok(exit),
                Frame::Failed(why) => return Err(Error::Refused(why)),
                other => return Err(out_of_step(&other)),
            }
        }
    }

    /// What the guest's console has shown so far.
    pub fn console(&self) -> String {
        self.machine.console_text()
    }

    fn send(&mut self, doing: &str, frame: &Frame) -> Result<()> {
        wire::send(&mut self.to, frame).map_err(|_| self.machine.obituary(doing))
    }

    fn receive(&mut self, doing: &str) -> Result<Frame> {
        wire::receive(&mut self.from).map_err(|_| self.machine.obituary(doing))
    }
}

fn out_of_step(frame: &Frame) -> Error {
    Error::Refused(format!("the agent answered {frame:?}, which does not belong here"))
}

/// Only an arm64 host can run the guest's instructions itself, and only if it lets us.
fn kvm_may_work() -> bool {
    cfg!(target_arch = "aarch64") && File::options().read(true).write(true).open("/dev/kvm").is_ok()
}
