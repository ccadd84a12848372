// SPDX-License-Identifier: Apache-2.0
//! Writing to somebody who may not read.
//!
//! A dump goes to a descriptor of the caller's, mostly a pipe, and a pipe that
//! nobody reads holds the thread that writes for ever. To make it non-blocking
//! would change it for the caller as well, and the binder library shows no more
//! of it than `Write`. So the thread is woken from its write: a second one, which
//! lives as long as the write does, sends it a signal once the time is over, and
//! until it has noticed.

use std::io::{self, ErrorKind, Write};
use std::sync::OnceLock;
use std::sync::mpsc::{self, RecvTimeoutError};
use std::thread;
use std::time::{Duration, Instant};

use nix::errno::Errno;
use nix::sys::signal::Signal;

use crate::sys;

/// What wakes a writer; nobody else uses it.
const WAKE: Signal = Signal::SIGUSR2;
/// Between two signals: the first may come just before the write begins.
const AGAIN: Duration = Duration::from_millis(10);

/// Writes all pieces of a text within `limit`.
///
/// # Errors
/// `ETIMEDOUT` if it was not taken in time; what the writer says.
pub fn write_all(
    writer: &mut dyn Write,
    mut pieces: impl Iterator<Item = impl AsRef<[u8]>>,
    limit: Duration,
) -> io::Result<()> {
    static HANDLER: OnceLock<Result<(), Errno>> = OnceLock::new();
    (*HANDLER.get_or_init(|| sys::interrupt_with(WAKE)))?;
    let end = Instant::now().checked_add(limit);
    let is_over = || end.is_none_or(|end| Instant::now() >= end);
    let (written, waits) = mpsc::channel::<()>();
    let this = sys::this_thread();
    thread::scope(|scope| {
        let wake = move || {
            let mut pause = limit;
            while waits.recv_timeout(pause) == Err(RecvTimeoutError::Timeout) {
                // SAFETY: that thread waits below for this one to end.
                unsafe { sys::wake(this, WAKE) };
                pause = AGAIN;
            }
        };
        let waker = thread::Builder::new().name("deadline".to_owned());
        let waker = waker.spawn_scoped(scope, wake)?;
        let done = pieces.try_for_each(|piece| write(writer, piece.as_ref(), is_over));
        drop(written);
        // The scope alone would not wait for all of it to be gone. It does not panic.
        let _ = waker.join();
        done
    })
}

fn write(writer: &mut dyn Write, mut text: &[u8], is_over: impl Fn() -> bool) -> io::Result<()> {
    while !text.is_empty() {
        if is_over() {
            return Err(Errno::ETIMEDOUT.into());
        }
        match writer.write(text) {
            Ok(0) => return Err(ErrorKind::WriteZero.into()),
            Ok(taken) => text = text.get(taken..).unwrap_or_default(),
            Err(error) if error.kind() == ErrorKind::Interrupted => {}
            Err(error) => return Err(error),
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::io::{Read, pipe};

    #[test]
    fn nobody_waits_for_a_reader_that_never_comes() {
        let (_unread, mut to) = pipe().unwrap();
        let text = vec![b'x'; 1 << 20];
        let error =
            write_all(&mut to, std::iter::once(&text), Duration::from_millis(50)).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::TimedOut);
    }

    #[test]
    fn a_reader_gets_all_of_it() {
        let (mut from, mut to) = pipe().unwrap();
        let reader = thread::spawn(move || {
            let mut read = Vec::new();
            from.read_to_end(&mut read).map(|_| read)
        });
        let text = vec![b'x'; 1 << 20];
        write_all(&mut to, std::iter::once(&text), Duration::from_secs(600)).unwrap();
        drop(to);
        assert!(reader.join().unwrap().unwrap() == text);
    }

    #[test]
    fn a_reader_that_leaves_is_an_error() {
        let (from, mut to) = pipe().unwrap();
        drop(from);
        let error =
            write_all(&mut to, std::iter::once(b"x"), Duration::from_secs(600)).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::BrokenPipe);
    }
}
