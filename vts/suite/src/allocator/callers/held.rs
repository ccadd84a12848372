// SPDX-License-Identifier: Apache-2.0
//! Ways to hold a dma-buf. The kernel keeps it for each of them alike.

use std::error::Error;
use std::io::{self, IoSlice};
use std::os::fd::{AsFd, AsRawFd, OwnedFd};
use std::os::unix::net::UnixStream;
use std::str::FromStr;

use dmaheap_aidl::common::NativeHandle;
use dmaheap_dmabuf::buffer::inode;
use memmap2::{MmapOptions, MmapRaw};
use nix::sys::socket::{ControlMessage, MsgFlags, sendmsg};

use crate::dmabuf::DmaBuf;
use crate::drm::Card;

/// How a buffer is held when its descriptors are closed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Way {
    /// Another descriptor.
    Duplicate,
    /// A mapping of the CPU's.
    Mapping,
    /// A device that imported it.
    Import,
    /// A descriptor in a socket that nobody reads.
    Socket,
}

impl Way {
    /// All of them.
    pub const ALL: [Way; 4] = [Way::Duplicate, Way::Mapping, Way::Import, Way::Socket];

    /// Its name.
    pub const fn name(self) -> &'static str {
        match self {
            Way::Duplicate => "duplicate",
            Way::Mapping => "mapping",
            Way::Import => "import",
            Way::Socket => "socket",
        }
    }
}

impl FromStr for Way {
    type Err = String;

    fn from_str(text: &str) -> Result<Way, String> {
        let way = Way::ALL.into_iter().find(|way| way.name() == text);
        way.ok_or_else(|| format!("nothing is held by {text}"))
    }
}

/// One of the dma-bufs of a buffer, and what keeps it.
#[derive(Debug)]
pub struct Held {
    /// In bytes.
    pub size: u64,
    /// The number of its file.
    pub inode: u64,
    keeper: Keeper,
}

#[derive(Debug)]
enum Keeper {
    Descriptor(DmaBuf),
    Mapping { _memory: MmapRaw },
    Import { _device: Card },
    Socket { _ends: (UnixStream, UnixStream) },
}

impl Held {
    /// All dma-bufs of a buffer, by their descriptors.
    pub fn all(buffer: NativeHandle) -> io::Result<Vec<Held>> {
        let held = |fd: OwnedFd| {
            let buffer = DmaBuf::new(fd)?;
            let (size, inode) = (buffer.size()? as u64, inode(buffer.as_fd())?);
            Ok(Held { size, inode, keeper: Keeper::Descriptor(buffer) })
        };
        buffer.fds.into_iter().map(|fd| held(fd.into())).collect()
    }

    /// Holds it in this way only, if it is held by a descriptor so far.
    pub fn only_by(self, way: Way) -> Result<Held, Box<dyn Error>> {
        let Keeper::Descriptor(buffer) = self.keeper else { return Ok(self) };
        let keeper = match way {
            Way::Duplicate => Keeper::Descriptor(DmaBuf::of_number(buffer.as_raw_fd())?),
            Way::Mapping => {
                let length = usize::try_from(self.size)?;
                Keeper::Mapping { _memory: MmapOptions::new().len(length).map_raw(&buffer)? }
            }
            Way::Import => {
                let device = Card::vgem()?;
                device.import(buffer.as_raw_fd())?;
                Keeper::Import { _device: device }
            }
            Way::Socket => Keeper::Socket { _ends: parked(&buffer)? },
        };
        Ok(Held { keeper, ..self })
    }
}

/// A socket with the buffer's descriptor on its way.
fn parked(buffer: &DmaBuf) -> Result<(UnixStream, UnixStream), Box<dyn Error>> {
    let (from, to) = UnixStream::pair()?;
    let descriptors = [buffer.as_raw_fd()];
    let message = [ControlMessage::ScmRights(&descriptors)];
    let byte = [IoSlice::new(b"x")];
    sendmsg::<()>(to.as_raw_fd(), &byte, &message, MsgFlags::empty(), None)?;
    Ok((from, to))
}
