// SPDX-License-Identifier: Apache-2.0
//! A board that is up: boot it, run commands, move files.

use std::fs::{self, File};
use std::io::{self, BufReader};
use std::path::{Path, PathBuf};
use std::process::{ChildStdin, ChildStdout};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use board_channel::files;
use board_channel::wire::{self, Exit, Frame, Input, Stream};
use tempfile::TempDir;

use crate::boards::Board;
use crate::cache::Cache;
use crate::error::{Error, OnFile, Result};
use crate::kernel::DriverFiles;
use crate::machine::{self, Accelerator, Alarm, Machine, Parts};
use crate::screen::Screen;
use crate::{debian, devicetree, image, kernel, packages};

/// From QEMU's start to the agent's `Ready`: two seconds, and many times that on a busy machine.
const BOOT_LIMIT: Duration = Duration::from_secs(300);
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
    /// Let the guest's clock count instructions instead of time.
    pub counting: bool,
    /// Start the services.
    pub services: bool,
    /// End the guest if one request, a command most of all, takes longer.
    pub timeout: Option<Duration>,
    /// Files in place of the driver's own, by name.
    pub driver: Option<DriverFiles>,
    /// Programs and VINTF manifests in place of the image's own of these names.
    pub replace: Vec<(String, PathBuf)>,
    /// The folder of a device's package, which then is all that lies on `/vendor`.
    pub package: Option<PathBuf>,
}

impl Default for Boot {
    fn default() -> Self {
        Self {
            install: packages::may_install(),
            append: String::new(),
            overlay: None,
            memory: None,
            counting: false,
            services: true,
            timeout: Some(Duration::from_secs(20 * 60)),
            driver: None,
            replace: Vec::new(),
            package: None,
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
    to: Writer,
    from: BufReader<ChildStdout>,
    timeout: Option<Duration>,
    screen: Screen,
    _folder: TempDir,
}

/// The way to the agent, shared with the thread that passes input on.
type Writer = Arc<Mutex<ChildStdin>>;

/// What a guest is started from.
struct Built<'a> {
    board: &'a Board,
    qemu: PathBuf,
    kernel: PathBuf,
    image: File,
}

impl Built<'_> {
    fn start(&self, boot: &Boot, accelerator: Accelerator, limit: Duration) -> Result<Guest> {
        let Self { board, qemu, kernel, image } = self;
        let shape = machine::shape(board, accelerator, boot.memory.unwrap_or(board.machine.memory));
        let folder = tempfile::tempdir()
            .map_err(|e| Error::Usage(format!("cannot make a temporary folder: {e}")))?;
        let tree = devicetree::make(board, qemu, &shape, boot.overlay.as_deref(), folder.path())?;
        let services = if boot.services { "" } else { board_channel::NO_SERVICES };
        let arguments = [&board.kernel.arguments, services, &boot.append].join(" ");
        let parts = Parts { qemu, kernel, image, tree: &tree, arguments: &arguments };
        let mut machine = Machine::start(&shape, &parts)?;
        let Some((to, from)) = machine.take_channel() else {
            return Err(machine.obituary("opening the channel"));
        };
        let alarm = machine.alarm(limit);
        let (to, from) = (Arc::new(Mutex::new(to)), BufReader::new(from));
        let screen = Screen::of(machine::monitor_of(&tree));
        let mut guest = Guest { machine, to, from, timeout: boot.timeout, screen, _folder: folder };
        let ready = guest.receive("booting")?;
        drop(alarm);
        match ready {
            Frame::Ready { failed } if failed.is_empty() => Ok(guest),
            Frame::Ready { failed } => {
                guest.machine.save_console()?;
                Err(Error::Services(failed.join("\n")))
            }
            other => Err(out_of_step(&other)),
        }
    }
}

impl Guest {
    /// Builds what is not built yet, boots, and waits until the services answer.
    pub fn boot(board: &Board, boot: &Boot) -> Result<Self> {
        let cache = Cache::open()?;
        packages::provide(board, &[], &cache, boot.install)?;
        let packed =
            |board, cache: &_| image::pack(board, cache, &boot.replace, boot.package.as_deref());
        let (kernel, (qemu, image)) = side_by_side(
            || kernel::kernel(board, &cache, boot.driver.as_ref()),
            || Ok((debian::qemu(board, &cache)?, packed(board, &cache)?)),
        )?;
        let image = image::with_modules(image, &kernel.modules)?;
        let kernel = kernel.image;
        let built = Built { board, qemu, kernel, image };
        if boot.counting {
            return built.start(boot, Accelerator::Counting, BOOT_LIMIT);
        }
        let kvm_failed = cache.path("kvm-does-not-work-here");
        if !kvm_may_work() || kvm_failed.exists() {
            return built.start(boot, Accelerator::Emulation, BOOT_LIMIT);
        }
        match built.start(boot, Accelerator::Kvm, TRIAL_LIMIT) {
            Err(Error::Guest { what, .. }) => {
                eprintln!("hardware acceleration does not work here ({what}); emulating");
                // A kernel that does not boot by emulation either is no sign against the hardware.
                let guest = built.start(boot, Accelerator::Emulation, BOOT_LIMIT)?;
                fs::write(&kvm_failed, what).on("cannot write", &kvm_failed)?;
                Ok(guest)
            }
            other => other,
        }
    }

    /// Builds the board's kernel ahead of its first boot.
    pub fn build_kernel(board: &Board) -> Result<()> {
        let cache = Cache::open()?;
        packages::provide(board, &[], &cache, packages::may_install())?;
        kernel::kernel(board, &cache, None).map(drop)
    }

    /// Runs a command to its end and hands on its output as it comes.
    pub fn run(
        &mut self,
        argv: &[String],
        on_output: impl FnMut(Stream, &[u8]) -> io::Result<()>,
    ) -> Result<Exit> {
        let doing = self.begin(argv, None)?;
        self.follow(&doing, on_output)
    }

    /// The same for a command that takes input; `source` brings it.
    pub fn run_with(
        &mut self,
        argv: &[String],
        input: Input,
        source: impl io::Read + Send + 'static,
        on_output: impl FnMut(Stream, &[u8]) -> io::Result<()>,
    ) -> Result<Exit> {
        let doing = self.begin(argv, Some(input))?;
        let to = Arc::clone(&self.to);
        let over = Arc::new(AtomicBool::new(false));
        let seen = Arc::clone(&over);
        // Ends with the input, the command, the guest or this process, whichever is first.
        std::thread::spawn(move || pass_on_input(source, &to, &seen));
        let exit = self.follow(&doing, on_output);
        over.store(true, Ordering::Relaxed);
        exit
    }

    /// Starts a command; what that is called in errors.
    fn begin(&mut self, argv: &[String], input: Option<Input>) -> Result<String> {
        let doing = format!("running {}", argv.join(" "));
        self.send(&doing, &Frame::Run { argv: argv.to_vec(), input })?;
        Ok(doing)
    }

    fn follow(
        &mut self,
        doing: &str,
        mut on_output: impl FnMut(Stream, &[u8]) -> io::Result<()>,
    ) -> Result<Exit> {
        let _alarm = self.alarm();
        loop {
            match self.receive(doing)? {
                Frame::Output(stream, bytes) => on_output(stream, &bytes)
                    .map_err(|e| Error::Usage(format!("cannot pass on the guest's output: {e}")))?,
                Frame::Exited(exit) => return Ok(exit),
                Frame::CannotRun { code, why } => return Err(Error::CannotRun { code, why }),
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
        let _alarm = self.alarm();
        self.send(&doing, &Frame::Push { to: to.to_owned() })?;
        let sent = files::send_path(&mut *held(&self.to), from);
        let sent = sent.map_err(|_| self.machine.obituary(&doing))?;
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
        let _alarm = self.alarm();
        self.send(&doing, &Frame::Pull { from: from.to_owned() })?;
        match files::receive_path(&mut self.from, to) {
            Ok(received) => received.map_err(|e| Error::Usage(format!("cannot pull {from}: {e}"))),
            Err(_) => Err(self.machine.obituary(&doing)),
        }
    }

    /// What the guest's console has shown so far.
    pub fn console(&self) -> String {
        self.machine.console_text()
    }

    /// Its screen, for as long as the guest lives.
    pub fn screen(&self) -> Screen {
        self.screen.clone()
    }

    /// Ends the guest if a request takes longer than it may.
    fn alarm(&self) -> Option<Alarm> {
        self.timeout.map(|limit| self.machine.alarm(limit))
    }

    fn send(&mut self, doing: &str, frame: &Frame) -> Result<()> {
        let sent = wire::send(&mut *held(&self.to), frame);
        sent.map_err(|_| self.machine.obituary(doing))
    }

    fn receive(&mut self, doing: &str) -> Result<Frame> {
        wire::receive(&mut self.from).map_err(|_| self.machine.obituary(doing))
    }
}

fn held(to: &Writer) -> MutexGuard<'_, ChildStdin> {
    to.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Sends what a command shall read, until there is no more or nobody who reads.
fn pass_on_input(mut source: impl io::Read, to: &Writer, over: &AtomicBool) {
    let mut piece = [0; wire::CHUNK];
    loop {
        let got = source.read(&mut piece).unwrap_or(0);
        if over.load(Ordering::Relaxed) {
            return;
        }
        // An empty piece is the end.
        let input = Frame::Input(piece[..got].to_vec());
        if wire::send(&mut *held(to), &input).is_err() || got == 0 {
            return;
        }
    }
}

/// Does both at once; the first error counts.
fn side_by_side<A, B: Send>(
    one: impl FnOnce() -> Result<A>,
    other: impl FnOnce() -> Result<B> + Send,
) -> Result<(A, B)> {
    std::thread::scope(|scope| {
        let other = scope.spawn(other);
        let one = one()?;
        let other = other.join().unwrap_or_else(|panic| std::panic::resume_unwind(panic))?;
        Ok((one, other))
    })
}

fn out_of_step(frame: &Frame) -> Error {
    Error::Refused(format!("the agent answered {frame:?}, which does not belong here"))
}

/// Only an arm64 host can run the guest's instructions itself, and only if it lets us.
fn kvm_may_work() -> bool {
    cfg!(target_arch = "aarch64") && File::options().read(true).write(true).open("/dev/kvm").is_ok()
}
