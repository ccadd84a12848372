// SPDX-License-Identifier: Apache-2.0
//! The board's screen, as somebody in front of it would see it: QEMU's own screenshots, by its
//! monitor (QMP, `docs/interop/qmp-spec.rst` of QEMU).

use std::io::{self, BufRead, BufReader, Read, Write};
use std::os::unix::net::UnixStream;
use std::path::{Path, PathBuf};
use std::sync::mpsc::{self, Receiver};

use board_channel::ON_SCREEN;
use board_channel::wire::{Exit, Input, Stream};
use serde_json::{Value, json};

use crate::error::{OnFile, Result};
use crate::guest::Guest;

/// A guest's screen.
#[derive(Debug, Clone)]
pub struct Screen {
    monitor: PathBuf,
}

impl Screen {
    /// The screen of the machine whose monitor listens here.
    pub(crate) fn of(monitor: PathBuf) -> Self {
        Self { monitor }
    }

    /// Writes what the screen shows to `file`, as PNG. The machine stands still meanwhile: QEMU
    /// reads the guest's memory while it writes the file.
    pub fn shoot(&self, file: &Path) -> Result<()> {
        let file = std::path::absolute(file).on("cannot find a place for", file)?;
        let taken = Monitor::open(&self.monitor).and_then(|mut monitor| {
            monitor.execute("stop", &json!({}))?;
            let shot = monitor.execute("screendump", &json!({ "filename": file, "format": "png" }));
            monitor.execute("cont", &json!({}))?;
            shot
        });
        taken.on("no screenshot for", &file)
    }
}

impl Guest {
    /// Runs a command that says [`ON_SCREEN`] when its picture is on the screen, and lets it end
    /// once `look` has looked.
    pub fn run_before_camera(
        &mut self,
        argv: &[String],
        mut on_output: impl FnMut(Stream, &[u8]) -> io::Result<()>,
        look: impl FnOnce(&Screen) -> Result<()>,
    ) -> Result<Exit> {
        let screen = self.screen();
        let (go_on, waiting) = mpsc::channel();
        // Whoever has looked is gone.
        let (mut said, mut look, mut seen) = (Vec::new(), Some(look), Ok(()));
        let exit = self.run_with(argv, Input::Pipe, UntilSent(waiting), |stream, bytes| {
            if stream == Stream::Stdout {
                said.extend_from_slice(bytes);
            }
            let is_shown = String::from_utf8_lossy(&said).lines().any(|line| line == ON_SCREEN);
            if let Some(look) = look.take_if(|_| is_shown) {
                seen = look(&screen);
                // Fails if the command is gone already.
                let _ = go_on.send(());
            }
            on_output(stream, bytes)
        })?;
        seen.map(|()| exit)
    }
}

/// Input that ends with the first message, or when nobody can send one any more.
struct UntilSent(Receiver<()>);

impl Read for UntilSent {
    fn read(&mut self, _: &mut [u8]) -> io::Result<usize> {
        let _ = self.0.recv();
        Ok(0)
    }
}

/// A connection to QEMU's monitor; it serves one at a time.
struct Monitor {
    from: BufReader<UnixStream>,
    to: UnixStream,
}

impl Monitor {
    fn open(socket: &Path) -> io::Result<Self> {
        let to = UnixStream::connect(socket)?;
        let mut monitor = Self { from: BufReader::new(to.try_clone()?), to };
        monitor.receive("its greeting", |message| message.get("QMP").is_some())?;
        monitor.execute("qmp_capabilities", &json!({}))?;
        Ok(monitor)
    }

    fn execute(&mut self, command: &str, arguments: &Value) -> io::Result<()> {
        writeln!(self.to, "{}", json!({ "execute": command, "arguments": arguments }))?;
        let answer = self.receive(command, |message| {
            message.get("return").is_some() || message.get("error").is_some()
        })?;
        match answer.pointer("/error/desc").and_then(Value::as_str) {
            Some(why) => Err(io::Error::other(format!("QEMU refuses {command}: {why}"))),
            None => Ok(()),
        }
    }

    /// The next message of this kind; events come in between.
    fn receive(&mut self, what: &str, is: impl Fn(&Value) -> bool) -> io::Result<Value> {
        loop {
            let mut line = String::new();
            if self.from.read_line(&mut line)? == 0 {
                return Err(io::Error::other(format!("QEMU ended without {what}")));
            }
            let message: Value = serde_json::from_str(&line)?;
            if is(&message) {
                return Ok(message);
            }
        }
    }
}
