// SPDX-License-Identifier: Apache-2.0
//! One command: started, its output forwarded, its end reported.
//!
//! Its end is that of the process itself. What it wrote until then is in the pipes and is sent
//! before `Exited`; a daemon that it left behind with the pipes open does not hold anyone up.

use std::fs::File;
use std::io::{self, PipeReader, PipeWriter, Write};
use std::os::fd::{AsFd, AsRawFd, OwnedFd};
use std::os::unix::process::ExitStatusExt;
use std::process::{Command, ExitStatus, Stdio};
use std::thread;

use board_channel::wire::{self, Exit, Frame, Input, Stream, TerminalSize};
use nix::errno::Errno;
use nix::fcntl::{FcntlArg, OFlag, fcntl};
use nix::poll::{PollFd, PollFlags, PollTimeout, poll};
use nix::pty::{Winsize, openpty};

use crate::forward;

/// Reads that are still made of each output after the command's end. What it wrote fits into a
/// pipe (64 KiB) or a terminal's buffers, and a read takes up to 4 KiB of a terminal: more can
/// only come from a process that it left behind.
const READS_AFTER_END: usize = 32;

/// A running command as the forwarding loop sees it.
struct Running {
    /// What it writes, and under which name that goes to the host.
    outputs: Vec<(Stream, File)>,
    /// Where its input goes, if it has any.
    input: Option<Feed>,
    /// Readable once the command has ended.
    ended: PipeReader,
    waiter: thread::JoinHandle<io::Result<ExitStatus>>,
}

/// A command's input. It is never waited for: what does not fit now is kept, and until it has gone
/// nothing more is taken from the host.
struct Feed {
    to: File,
    pending: Vec<u8>,
}

/// Runs `argv` and sends its output and end over `port`.
pub fn run(port: &mut File, argv: &[String], input: Option<Input>) -> io::Result<()> {
    let started = match input {
        None => on_pipes(argv, None),
        Some(Input::Pipe) => io::pipe().and_then(|pipe| on_pipes(argv, Some(pipe))),
        Some(Input::Terminal(size)) => on_terminal(argv, size),
    };
    match started {
        Ok(running) => {
            let status = forward_all(port, running)?;
            wire::send(port, &Frame::Exited(exit_of(status)))
        }
        Err(error) => {
            let program = argv.first().map_or("(no command)", String::as_str);
            let code = if error.kind() == io::ErrorKind::NotFound { 127 } else { 126 };
            wire::send(
                port,
                &Frame::CannotRun { code, why: format!("cannot run {program}: {error}") },
            )
        }
    }
}

fn on_pipes(argv: &[String], input: Option<(PipeReader, PipeWriter)>) -> io::Result<Running> {
    let (out, out_writer) = io::pipe()?;
    let (err, err_writer) = io::pipe()?;
    let mut command = command(argv)?;
    let (from, feed) = match input {
        None => (Stdio::null(), None),
        Some((from, to)) => (Stdio::from(from), Some(Feed::new(OwnedFd::from(to))?)),
    };
    command.stdin(from).stdout(out_writer).stderr(err_writer);
    let outputs = vec![
        (Stream::Stdout, File::from(OwnedFd::from(out))),
        (Stream::Stderr, File::from(OwnedFd::from(err))),
    ];
    start(command, outputs, feed)
}

fn on_terminal(argv: &[String], size: TerminalSize) -> io::Result<Running> {
    let size = Winsize { ws_row: size.rows, ws_col: size.columns, ws_xpixel: 0, ws_ypixel: 0 };
    let pty = openpty(&size, None)?;
    // setsid -c makes the terminal on its standard input the controlling one.
    let mut with_terminal = vec!["setsid".to_owned(), "-c".to_owned()];
    with_terminal.extend_from_slice(argv);
    let mut command = command(&with_terminal)?;
    command.stdin(pty.slave.try_clone()?).stdout(pty.slave.try_clone()?).stderr(pty.slave);
    let screen = File::from(pty.master);
    let keys = Feed::new(OwnedFd::from(screen.try_clone()?))?;
    start(command, vec![(Stream::Stdout, screen)], Some(keys))
}

fn command(argv: &[String]) -> io::Result<Command> {
    let (program, arguments) = argv.split_first().ok_or(Errno::EINVAL)?;
    let mut command = Command::new(program);
    command.args(arguments);
    Ok(command)
}

fn start(
    mut command: Command,
    outputs: Vec<(Stream, File)>,
    input: Option<Feed>,
) -> io::Result<Running> {
    let mut child = command.spawn()?;
    // Ours of the write ends go now, so that the command's are the last.
    drop(command);
    let (ended, mark) = io::pipe()?;
    let waiter = thread::spawn(move || {
        let status = child.wait();
        drop(mark);
        status
    });
    Ok(Running { outputs, input, ended, waiter })
}

fn forward_all(port: &mut File, mut running: Running) -> io::Result<ExitStatus> {
    let mut reads_left = READS_AFTER_END;
    loop {
        let ready = wait(port, &running)?;
        if ready.input {
            running.input = running.input.map(|feed| feed.advance(port)).transpose()?.flatten();
        }
        let mut still_open = Vec::new();
        for (index, (stream, mut output)) in running.outputs.into_iter().enumerate() {
            let open = !ready.outputs.contains(&index) || forward(port, stream, &mut output)?;
            if open {
                still_open.push((stream, output));
            }
        }
        running.outputs = still_open;
        if !ready.ended {
            continue;
        }
        reads_left -= 1;
        if ready.outputs.is_empty() || reads_left == 0 {
            return running.waiter.join().map_err(|_| io::Error::other("the waiter panicked"))?;
        }
    }
}

struct Ready {
    outputs: Vec<usize>,
    input: bool,
    ended: bool,
}

fn wait(port: &File, running: &Running) -> io::Result<Ready> {
    let watch = |fd| PollFd::new(fd, PollFlags::POLLIN);
    let mut fds = vec![watch(running.ended.as_fd())];
    fds.extend(running.outputs.iter().map(|(_, output)| watch(output.as_fd())));
    fds.extend(running.input.as_ref().map(|feed| match feed.pending.is_empty() {
        true => watch(port.as_fd()),
        false => PollFd::new(feed.to.as_fd(), PollFlags::POLLOUT),
    }));
    while let Err(error) = poll(&mut fds, PollTimeout::NONE) {
        if error != Errno::EINTR {
            return Err(error.into());
        }
    }
    let ready: Vec<bool> = fds.iter().map(|fd| fd.any().unwrap_or(true)).collect();
    let outputs = running.outputs.len();
    Ok(Ready {
        ended: ready[0],
        outputs: (0..outputs).filter(|&index| ready[1 + index]).collect(),
        input: running.input.is_some() && ready[1 + outputs],
    })
}

impl Feed {
    fn new(to: OwnedFd) -> io::Result<Self> {
        let flags = OFlag::from_bits_retain(fcntl(to.as_raw_fd(), FcntlArg::F_GETFL)?);
        fcntl(to.as_raw_fd(), FcntlArg::F_SETFL(flags | OFlag::O_NONBLOCK))?;
        Ok(Self { to: File::from(to), pending: Vec::new() })
    }

    /// Takes more from the host if there is nothing to pass on, and passes on what fits. Nothing is
    /// left of it at the input's end, or when nobody reads any more.
    fn advance(mut self, port: &mut File) -> io::Result<Option<Self>> {
        if self.pending.is_empty() {
            self.pending = match wire::receive(port)? {
                Frame::Input(bytes) if bytes.is_empty() => return Ok(None),
                Frame::Input(bytes) => bytes,
                other => return Err(io::Error::other(format!("{other:?} while a command runs"))),
            };
        }
        match self.to.write(&self.pending) {
            Ok(written) => drop(self.pending.drain(..written)),
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => {}
            // The reader is gone; the command's end follows, or it does without.
            Err(_) => return Ok(None),
        }
        Ok(Some(self))
    }
}

fn exit_of(status: ExitStatus) -> Exit {
    match (status.code(), status.signal()) {
        (Some(code), _) => Exit::Code(code),
        (None, signal) => Exit::Signal(signal.unwrap_or(0)),
    }
}
