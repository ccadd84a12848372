// SPDX-License-Identifier: Apache-2.0
//! The guest's end of the control channel: runs commands and moves files for the host.
//!
//! Init starts it last and passes one argument for each service that did not come up. It ends
//! when the host closes the channel.

mod run;

use std::fs::{self, File};
use std::io::{self, Read, Write};
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use board_channel::files;
use board_channel::wire::{self, Frame, PORT_NAME};

fn main() -> ExitCode {
    let failed = std::env::args().skip(1).collect();
    match serve(failed) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("agent: {error}");
            ExitCode::FAILURE
        }
    }
}

fn serve(failed: Vec<String>) -> io::Result<()> {
    board_guest::unblock_signals()?;
    let mut port = File::options().read(true).write(true).open(find_port()?)?;
    wire::send(&mut port, &Frame::Ready { failed })?;
    loop {
        match wire::receive(&mut port) {
            Ok(request) => answer(&mut port, request)?,
            Err(error) if error.kind() == io::ErrorKind::UnexpectedEof => return Ok(()),
            Err(error) => return Err(error),
        }
    }
}

fn answer(port: &mut File, request: Frame) -> io::Result<()> {
    match request {
        Frame::Run { argv, input } => run::run(port, &argv, input),
        Frame::Push { to } => {
            let reply = match files::receive_path(port, Path::new(&to))? {
                Ok(()) => Frame::End,
                Err(error) => Frame::Failed(error.to_string()),
            };
            wire::send(port, &reply)
        }
        // The closing frame has told the host of a failure.
        Frame::Pull { from } => files::send_path(port, Path::new(&from)).map(|_| ()),
        // Typed after the command had ended.
        Frame::Input(_) => Ok(()),
        other => wire::send(port, &Frame::Failed(format!("{other:?} is not a request"))),
    }
}

/// The device node of the port with our name. There is no udev here to make links for it.
fn find_port() -> io::Result<PathBuf> {
    for port in fs::read_dir("/sys/class/virtio-ports")? {
        let port = port?;
        if fs::read_to_string(port.path().join("name"))?.trim_end() == PORT_NAME {
            return Ok(Path::new("/dev").join(port.file_name()));
        }
    }
    Err(io::Error::new(io::ErrorKind::NotFound, format!("no virtio-serial port {PORT_NAME}")))
}

/// Forwards what `from` has now as one `Output` frame; false at its end.
fn forward(port: &mut impl Write, stream: wire::Stream, from: &mut impl Read) -> io::Result<bool> {
    let mut piece = vec![0; wire::CHUNK];
    let got = match from.read(&mut piece) {
        Ok(got) => got,
        // A terminal whose last process has left reads as EIO.
        Err(error) if error.raw_os_error() == Some(nix::errno::Errno::EIO as i32) => 0,
        Err(error) if error.kind() == io::ErrorKind::WouldBlock => return Ok(true),
        Err(error) => return Err(error),
    };
    piece.truncate(got);
    if got > 0 {
        wire::send(port, &Frame::Output(stream, piece))?;
    }
    Ok(got > 0)
}
