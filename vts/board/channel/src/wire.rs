// SPDX-License-Identifier: Apache-2.0
//! The control channel between the host's board tool and the guest's agent.
//!
//! One virtio-serial port carries length-prefixed frames both ways. The host asks, the guest
//! answers, one request at a time:
//!
//! | host sends | guest answers |
//! |---|---|
//! | (nothing) | `Ready` once, when the services are up or have failed |
//! | `Run`, then `Input`s if it said so | `Output`s, then `Exited`; or `CannotRun` |
//! | `Push`, `Data`…, `End` | `End`, or `Failed` |
//! | `Pull` | `Data`…, `End`; or `Failed` |
//!
//! `Data` carries a tar stream, so that modes, links and folders survive. Either side may replace
//! `End` by `Failed`: the receiver then knows that what it got is not whole. A channel that closes
//! without the closing frame means that the guest died.

use std::io::{self, Read, Write};

use serde::{Deserialize, Serialize};

/// The virtio-serial port's name, by which the agent finds its device node.
pub const PORT_NAME: &str = "org.dmaheap.board";

/// Payload bytes per `Data` or `Output` frame: what virtio-console moves in one buffer.
pub const CHUNK: usize = 32 * 1024;

/// Longest frame accepted: a chunk, or a command line of the kernel's own limit of 128 KiB.
const MAX_FRAME: usize = 256 * 1024;

/// Which of a command's streams a piece of output came from.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub enum Stream {
    /// Standard output, or the terminal.
    Stdout,
    /// Standard error.
    Stderr,
}

/// A terminal's size in character cells.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct TerminalSize {
    /// Columns.
    pub columns: u16,
    /// Rows.
    pub rows: u16,
}

/// What a command reads from.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub enum Input {
    /// A pipe.
    Pipe,
    /// A terminal of this size, which it also writes to.
    Terminal(TerminalSize),
}

/// How a command ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub enum Exit {
    /// It returned this code.
    Code(i32),
    /// This signal ended it.
    Signal(i32),
}

/// One message on the channel.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub enum Frame {
    /// The board is up. Names each service that did not start, with the reason.
    Ready {
        /// One line for each failed service; empty when all is well.
        failed: Vec<String>,
    },
    /// Run a command.
    Run {
        /// Program and arguments; the program is looked up in the guest's PATH.
        argv: Vec<String>,
        /// What it reads from, if it is to read anything.
        input: Option<Input>,
    },
    /// Something for the running command to read; nothing, at the end of it.
    Input(Vec<u8>),
    /// Something the running command wrote.
    Output(Stream, Vec<u8>),
    /// The command ended; all it wrote has been sent before.
    Exited(Exit),
    /// The command could not be started.
    CannotRun {
        /// What a shell exits with: 127 where there is no such program, else 126.
        code: u8,
        /// Why, with the program.
        why: String,
    },
    /// Unpack the tar stream that follows at this absolute guest path.
    Push {
        /// A folder's contents land in it; a single file is written as it.
        to: String,
    },
    /// Send this guest path as a tar stream.
    Pull {
        /// Absolute guest path of a file or folder.
        from: String,
    },
    /// A piece of a tar stream.
    Data(Vec<u8>),
    /// The stream, or the request, is complete.
    End,
    /// The stream, or the request, failed; the text says why.
    Failed(String),
}

/// Writes one frame.
pub fn send(channel: &mut impl Write, frame: &Frame) -> io::Result<()> {
    let body = postcard::to_stdvec(frame).map_err(io::Error::other)?;
    let length = u32::try_from(body.len()).map_err(io::Error::other)?;
    let mut bytes = Vec::with_capacity(4 + body.len());
    bytes.extend_from_slice(&length.to_le_bytes());
    bytes.extend_from_slice(&body);
    channel.write_all(&bytes)?;
    channel.flush()
}

/// Reads one frame; `UnexpectedEof` when the other end is gone.
pub fn receive(channel: &mut impl Read) -> io::Result<Frame> {
    let mut length = [0; 4];
    channel.read_exact(&mut length)?;
    let length = u32::from_le_bytes(length) as usize;
    if length > MAX_FRAME {
        return Err(io::Error::new(
            io::ErrorKind::InvalidData,
            format!("a frame of {length} bytes: the channel is out of step"),
        ));
    }
    let mut body = vec![0; length];
    channel.read_exact(&mut body)?;
    postcard::from_bytes(&body).map_err(|e| io::Error::new(io::ErrorKind::InvalidData, e))
}

/// Sends what is written to it as `Data` frames.
#[derive(Debug)]
pub struct DataWriter<'a, W: Write>(pub &'a mut W);

impl<W: Write> Write for DataWriter<'_, W> {
    fn write(&mut self, buf: &[u8]) -> io::Result<usize> {
        let piece = &buf[..buf.len().min(CHUNK)];
        send(self.0, &Frame::Data(piece.to_vec()))?;
        Ok(piece.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        self.0.flush()
    }
}

/// Reads the payload of `Data` frames up to the closing frame.
#[derive(Debug)]
pub struct DataReader<'a, R: Read> {
    channel: &'a mut R,
    piece: io::Cursor<Vec<u8>>,
    closed: bool,
}

impl<'a, R: Read> DataReader<'a, R> {
    /// Starts a stream; the next frame on `channel` is its first.
    pub fn new(channel: &'a mut R) -> Self {
        Self { channel, piece: io::Cursor::default(), closed: false }
    }

    /// Reads and drops the rest, so that the channel is in step again whatever became of the
    /// stream's consumer.
    pub fn drain(&mut self) -> io::Result<()> {
        io::copy(self, &mut io::sink()).map(|_| ())
    }
}

impl<R: Read> Read for DataReader<'_, R> {
    fn read(&mut self, buf: &mut [u8]) -> io::Result<usize> {
        loop {
            let got = self.piece.read(buf)?;
            if got > 0 || self.closed || buf.is_empty() {
                return Ok(got);
            }
            match receive(self.channel)? {
                Frame::Data(piece) => self.piece = io::Cursor::new(piece),
                Frame::End => self.closed = true,
                Frame::Failed(why) => {
                    self.closed = true;
                    return Err(io::Error::other(why));
                }
                other => {
                    return Err(io::Error::new(
                        io::ErrorKind::InvalidData,
                        format!("{other:?} in the middle of a file stream"),
                    ));
                }
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_stream_longer_than_a_frame_arrives_whole() {
        let sent: Vec<u8> = (0..3 * CHUNK + 7).map(|i| i as u8).collect();
        let mut channel = Vec::new();
        DataWriter(&mut channel).write_all(&sent).unwrap();
        send(&mut channel, &Frame::End).unwrap();

        let mut got = Vec::new();
        DataReader::new(&mut channel.as_slice()).read_to_end(&mut got).unwrap();
        assert!(got == sent);
    }

    #[test]
    fn a_failed_stream_is_an_error_and_leaves_the_channel_in_step() {
        let mut channel = Vec::new();
        send(&mut channel, &Frame::Data(vec![1, 2, 3])).unwrap();
        send(&mut channel, &Frame::Failed("disk full".into())).unwrap();
        send(&mut channel, &Frame::End).unwrap();

        let mut rest = channel.as_slice();
        let error = DataReader::new(&mut rest).read_to_end(&mut Vec::new()).unwrap_err();
        assert_eq!(error.to_string(), "disk full");
        assert_eq!(receive(&mut rest).unwrap(), Frame::End);
    }

    #[test]
    fn a_cut_channel_is_an_unexpected_eof() {
        let mut channel = Vec::new();
        send(&mut channel, &Frame::Pull { from: "/x".into() }).unwrap();
        channel.pop();
        let error = receive(&mut channel.as_slice()).unwrap_err();
        assert_eq!(error.kind(), io::ErrorKind::UnexpectedEof);
    }

    #[test]
    fn a_length_beyond_any_frame_is_refused_before_it_is_allocated() {
        let error = receive(&mut [0xff_u8; 8].as_slice()).unwrap_err();
        assert_eq!(error.kind(), io::ErrorKind::InvalidData);
    }
}
