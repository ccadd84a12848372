// SPDX-License-Identifier: Apache-2.0
//! A client of the allocator, over the real binder.

use std::io;
use std::os::fd::AsFd;

use dmaheap_aidl::allocator::{BufferDescriptorInfo, IAllocator};
use dmaheap_aidl::binder::{Status, Strong};
use dmaheap_aidl::common::{BufferUsage, NativeHandle, PixelFormat};
use dmaheap_buffer::handle::FDS;
use dmaheap_buffer::header::HEADER_SIZE;
use dmaheap_buffer::{Format, Handle, Header, Usage};

use crate::dmabuf::DmaBuf;
use crate::imapper::RawHandle;
use crate::service;

/// Why a client has no buffer.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// There is no allocator to talk to.
    #[error("no allocator: {0}")]
    NoAllocator(String),
    /// The allocator refused.
    #[error("the allocator refused: {0}")]
    Refused(Status),
    /// It answered something that is not a buffer.
    #[error("the allocator answered {0}")]
    NoBuffer(String),
    /// The buffer's descriptors do not behave.
    #[error("buffer: {0}")]
    Io(#[from] io::Error),
}

/// What to ask for.
#[derive(Debug, Clone, Copy)]
pub struct Request<'a> {
    /// The buffer's name.
    pub name: &'a str,
    /// Width in pixels.
    pub width: i32,
    /// Height in pixels.
    pub height: i32,
    /// Pixel format.
    pub format: Format,
    /// What it is for.
    pub usage: Usage,
}

/// A buffer with all that is known of it.
#[derive(Debug)]
pub struct Buffer {
    /// The immutable facts that travelled with it.
    pub handle: Handle,
    /// The allocator's account of where it came from.
    pub header: Header,
    /// The pixels.
    pub pixels: DmaBuf,
    /// The metadata.
    pub metadata: DmaBuf,
}

/// A connection to the allocator.
pub struct Client {
    allocator: Strong<dyn IAllocator>,
}

impl Client {
    /// Waits for the service and connects.
    pub fn connect() -> Result<Self, Error> {
        let allocator = service::connect().map_err(|e| Error::NoAllocator(e.to_string()))?;
        Ok(Self { allocator })
    }

    /// Asks for one buffer.
    pub fn allocate(&self, request: &Request) -> Result<Buffer, Error> {
        let mut buffers = self.allocate_many(request, 1)?;
        match (buffers.pop(), buffers.len()) {
            (Some(buffer), 0) => Ok(buffer),
            (_, more) => Err(Error::NoBuffer(format!("{more} buffers more than the one wanted"))),
        }
    }

    /// Asks for `count` equal buffers in one call.
    pub fn allocate_many(&self, request: &Request, count: i32) -> Result<Vec<Buffer>, Error> {
        let descriptor = descriptor(request);
        let result = self.allocator.allocate2(&descriptor, count).map_err(Error::Refused)?;
        result.buffers.into_iter().map(Buffer::new).collect()
    }
}

impl Buffer {
    fn new(native: NativeHandle) -> Result<Self, Error> {
        let not = |what: String| Error::NoBuffer(what);
        let handle = Handle::decode(&native.ints).map_err(|e| not(e.to_string()))?;
        let fds: Vec<_> = native.fds.into_iter().map(Into::into).collect();
        let count = fds.len();
        let [pixels, metadata] = <[_; FDS]>::try_from(fds)
            .map_err(|_| not(format!("a handle with {count} descriptors instead of {FDS}")))?;
        let (pixels, metadata) = (DmaBuf::new(pixels)?, DmaBuf::new(metadata)?);
        let copy = metadata.map()?.read()?;
        let header =
            Header::parse(&copy[..HEADER_SIZE.min(copy.len())]).map_err(|e| not(e.to_string()))?;
        Ok(Self { handle, header, pixels, metadata })
    }

    /// The native handle of this buffer, for the mapper.
    pub fn to_raw(&self) -> io::Result<RawHandle> {
        let fds = [&self.pixels, &self.metadata].map(|fd| fd.as_fd().try_clone_to_owned());
        Ok(RawHandle::new(fds.into_iter().collect::<io::Result<_>>()?, &self.handle.encode()))
    }
}

/// The request as it goes over binder.
pub fn descriptor(request: &Request) -> BufferDescriptorInfo {
    let mut name = [0; 128];
    // The last byte stays 0.
    for (to, from) in name.iter_mut().zip(request.name.bytes().take(127)) {
        *to = from;
    }
    BufferDescriptorInfo {
        name,
        width: request.width,
        height: request.height,
        layerCount: 1,
        format: PixelFormat(request.format.code()),
        usage: BufferUsage(request.usage.bits().cast_signed()),
        reservedSize: 0,
        additionalOptions: Vec::new(),
    }
}
