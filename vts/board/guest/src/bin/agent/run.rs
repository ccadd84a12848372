// SPDX-License-Identifier: Apache-2.0
//! One command: started, its output forwarded, its end reported.
//!
//! Its end is that of the process itself. What it wrote until then is in the pipes and is sent
//! before `Exited`; a daemon that it left behind with the pipes open does not hold anyone up.

use std::fs::File;
use std::io::{self, PipeReader, Write};
use std::os::fd::{AsFd, OwnedFd};
use std::os::unix::process::ExitStatusExt;
use std::process::{Command, ExitStatus, Stdio};
use std::thread;

use board_guest::wire::{self, Exit, Frame, Stream, TerminalSize};
use nix::errno::Errno;
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
    /// Where keys go, when it has a terminal.
    keys: Option<File>,
    /// Readable once the command has ended.
    ended: PipeReader,
    waiter: thread::JoinHandle<io::Result<ExitStatus>>,
}

/// Runs `argv` and sends its output and end over `port`.
pub fn run(port: &mut File, argv: &[String], terminal: Option<TerminalSize>) -> io::Result<()> {
    let started = match terminal {
        None => on_pipes(argv),
        Some(size) => on_terminal(argv, size),
    };
    match started {
        Ok(running) => {
            let status = forward_all(port, running)?;
            wire::send(port, &Frame::Exited(exit_of(status)))
        }
        Err(error) => {
            let program = argv.first().map_or("(no command)", String::as_str);
            wire::send(port, &Frame::Failed(format!("cannot run {program}: {error}")))
        }
    }
}

fn on_pipes(argv: &[String]) -> io::Result<Running> {
    let (out, out_writer) = io::pipe()?;
    let (err, err_writer) = io::pipe()?;
    let mut command = command(argv)?;
    command.stdin(Stdio::null()).stdout(out_writer).stderr(err_writer);
    let outputs = vec![
        (Stream::Stdout, File::from(OwnedFd::from(out))),
        (Stream::Stderr, File::from(OwnedFd::from(err))),
    ];
    start(command, outputs, None)
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
    let keys = screen.try_clone()?;
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
    keys: Option<File>,
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
    Ok(Running { outputs, keys, ended, waiter })
}

fn forward_all(port: &mut File, mut running: Running) -> io::Result<ExitStatus> {
    let mut reads_left = READS_AFTER_END;
    loop {
        let ready = wait(port, &running)?;
        if ready.key {
            forward_key(port, running.keys.as_mut())?;
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
    key: bool,
    ended: bool,
}

fn wait(port: &File, running: &Running) -> io::Result<Ready> {
    let watch = |fd| PollFd::new(fd, PollFlags::POLLIN);
    let mut fds = vec![watch(running.ended.as_fd())];
    fds.extend(running.outputs.iter().map(|(_, output)| watch(output.as_fd())));
    if running.keys.is_some() {
        fds.push(watch(port.as_fd()));
    }
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
        key: running.keys.is_some() && ready[1 + outputs],
    })
}

fn forward_key(port: &mut File, keys: Option<&mut File>) -> io::Result<()> {
    match (wire::receive(port)?, keys) {
        (Frame::Input(bytes), Some(keys)) => match keys.write_all(&bytes) {
            // The terminal is gone; the command's end follows.
            Err(error) if error.raw_os_error() == Some(Errno::EIO as i32) => Ok(()),
            other => other,
        },
        (other, _) => Err(io::Error::other(format!("{other:?} while a command runs"))),
    }
}

fn exit_of(status: ExitStatus) -> Exit {
    match (status.code(), status.signal()) {
        (Some(code), _) => Exit::Code(code),
        (None, signal) => Exit::Signal(signal.unwrap_or(0)),
    }
}
