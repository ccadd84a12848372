// SPDX-License-Identifier: Apache-2.0
//! A dma-buf as the kernel knows it: who exported it, where it lies, what is in it.

use std::fs::{self, File};
use std::io::{self, Read, Write};
use std::ops::Range;
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, OwnedFd, RawFd};
use std::sync::atomic::AtomicU32;

use dmaheap_dmabuf::sys;
use memmap2::{MmapMut, MmapOptions};
use nix::unistd::{Whence, lseek64};

pub use dmaheap_dmabuf::sys::{SYNC_END, SYNC_READ, SYNC_WRITE};

/// The board kernel's importer (`kernel/devices/probe.c`), which sees physical memory.
pub const PROBE: &str = "/dev/dmabuf_probe";
/// The same as a PCI device, behind an IOMMU where the machine has one.
pub const PCI_PROBE: &str = "/dev/dmabuf_probe_pci";

/// A dma-buf held by its descriptor.
#[derive(Debug)]
pub struct DmaBuf {
    fd: OwnedFd,
}

impl DmaBuf {
    /// Takes the descriptor; fails if it is not one of a dma-buf.
    pub fn new(fd: OwnedFd) -> io::Result<Self> {
        let buffer = Self { fd };
        buffer.exporter()?;
        Ok(buffer)
    }

    /// Takes a descriptor that a heap has just made.
    pub(crate) fn from_heap(fd: OwnedFd) -> Self {
        Self { fd }
    }

    /// A descriptor of its own for the buffer that a number means now.
    pub fn of_number(number: RawFd) -> io::Result<Self> {
        Ok(Self { fd: sys::duplicate(number)? })
    }

    /// Size in bytes, always whole pages.
    pub fn size(&self) -> io::Result<usize> {
        let end = lseek64(self.fd.as_raw_fd(), 0, Whence::SeekEnd)?;
        usize::try_from(end).map_err(io::Error::other)
    }

    /// The exporter's name, which for a heap's buffer is that of the heap.
    pub fn exporter(&self) -> io::Result<String> {
        self.info("exp_name:")?.ok_or(io::Error::other("this descriptor is no dma-buf"))
    }

    /// The name given with `DMA_BUF_SET_NAME`, if there is one.
    pub fn name(&self) -> io::Result<Option<String>> {
        self.info("name:")
    }

    /// A line of the descriptor's fdinfo.
    fn info(&self, key: &str) -> io::Result<Option<String>> {
        let info = fs::read_to_string(format!("/proc/self/fdinfo/{}", self.fd.as_raw_fd()))?;
        Ok(info.lines().find_map(|line| line.strip_prefix(key)).map(|v| v.trim().to_owned()))
    }

    /// `DMA_BUF_IOCTL_SYNC` with these flags.
    pub fn sync(&self, flags: u64) -> nix::Result<()> {
        let sync = sys::Sync { flags };
        // SAFETY: the ioctl reads a dma_buf_sync, which `sync` is, from a live descriptor.
        unsafe { sys::buf_sync(self.fd.as_raw_fd(), &raw const sync) }?;
        Ok(())
    }

    /// Maps all of it for the CPU.
    pub fn map(&self) -> io::Result<Mapping<'_>> {
        let mut options = MmapOptions::new();
        options.len(self.size()?);
        // SAFETY: the memory is shared with devices and other processes, so its content may change
        // at any time; all access goes through `Mapping`, which copies bytes and forms no
        // reference that outlives a call. The length is that of the buffer, which cannot shrink.
        let memory = unsafe { options.map_mut(self.fd.as_raw_fd()) }?;
        Ok(Mapping { buffer: self, memory })
    }

    /// Runs of physically contiguous memory that the buffer consists of, in its order, as bytes of
    /// physical address. Nothing here relies on what an allocator claims.
    pub fn physical_segments(&self) -> io::Result<Vec<Range<u64>>> {
        self.segments(PROBE)
    }

    /// The same as the device with this probe's node sees it: with an IOMMU, addresses are what that
    /// made of them.
    pub fn segments(&self, node: &str) -> io::Result<Vec<Range<u64>>> {
        let mut probe = File::options().read(true).write(true).open(node)?;
        probe.write_all(self.fd.as_raw_fd().to_string().as_bytes())?;
        let mut report = String::new();
        probe.read_to_string(&mut report)?;

        let mut segments: Vec<Range<u64>> = Vec::new();
        for line in report.lines() {
            let (start, length) = parse_segment(line)
                .ok_or_else(|| io::Error::other(format!("the probe reports '{line}'")))?;
            match segments.last_mut() {
                Some(last) if last.end == start => last.end += length,
                _ => segments.push(start..start + length),
            }
        }
        Ok(segments)
    }
}

/// Address and length of a line of the probe's report.
fn parse_segment(line: &str) -> Option<(u64, u64)> {
    let (start, length) = line.split_once(' ')?;
    let number = |text: &str| u64::from_str_radix(text.strip_prefix("0x")?, 16).ok();
    Some((number(start)?, number(length)?))
}

impl AsRawFd for DmaBuf {
    fn as_raw_fd(&self) -> RawFd {
        self.fd.as_raw_fd()
    }
}

impl AsFd for DmaBuf {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.fd.as_fd()
    }
}

/// A CPU mapping of a dma-buf.
#[derive(Debug)]
pub struct Mapping<'a> {
    buffer: &'a DmaBuf,
    memory: MmapMut,
}

impl Mapping<'_> {
    /// A copy of the content, synchronised for reading.
    pub fn read(&self) -> io::Result<Vec<u8>> {
        self.buffer.sync(SYNC_READ)?;
        let copy = self.memory.to_vec();
        self.buffer.sync(SYNC_READ | SYNC_END)?;
        Ok(copy)
    }

    /// Fills it with `byte(offset)`, synchronised for writing.
    pub fn fill(&mut self, byte: impl Fn(usize) -> u8) -> io::Result<()> {
        self.buffer.sync(SYNC_WRITE)?;
        self.memory.iter_mut().enumerate().for_each(|(offset, to)| *to = byte(offset));
        Ok(self.buffer.sync(SYNC_WRITE | SYNC_END)?)
    }

    /// Its words, for those who change them while others do.
    pub fn words(&self) -> &[AtomicU32] {
        let (start, bytes) = (self.memory.as_ptr(), self.memory.len());
        // SAFETY: the mapping starts on a page, is writable and this long, and lives as long as
        // `self`; the words are only used as atomics.
        unsafe { std::slice::from_raw_parts(start.cast(), bytes / size_of::<AtomicU32>()) }
    }

    /// Writes one byte in each piece of `step` bytes, unsynchronised: only for the mapping's sake.
    pub fn touch(&mut self, step: usize) {
        self.memory.iter_mut().step_by(step).for_each(|byte| *byte = 1);
    }
}
