// SPDX-License-Identifier: Apache-2.0
//! Binder on one side, the allocator on the other. Errors become wire codes
//! here and nowhere else.

use std::io::{self, Write};
use std::sync::{Mutex, TryLockError};
use std::time::Duration;

use dmaheap_aidl::allocator::{
    AllocationError, AllocationResult, BufferDescriptorInfo, HASH, HASH_OF_V2, IAllocator,
};
use dmaheap_aidl::binder::{self, Caller, ParcelFileDescriptor};
use dmaheap_aidl::common::NativeHandle;
use nix::errno::Errno;

use crate::allocation::{Allocator, Buffer};
use crate::deadline;
use crate::dump::{self, Reader, Report};
use crate::error::{Error, Result};
use crate::policy::{Interface, Who};
use crate::request::Request;

/// Names the mapper library that belongs to this allocator:
/// `mapper.dmaheap.so`.
const MAPPER_SUFFIX: &str = "dmaheap";

/// A reader that takes longer than this gets no more of its dump. dumpsys gives
/// up after ten seconds.
const DUMP_LIMIT: Duration = Duration::from_secs(5);

/// The service object.
#[derive(Debug)]
pub struct Service {
    allocator: Allocator,
    /// Each is held while a dump is written: one for privileged readers, one
    /// for all others. So dumps take two of the pool's threads at most.
    dumps: [Mutex<()>; 2],
}

impl Service {
    /// A service for this allocator.
    pub fn new(allocator: Allocator) -> Service {
        Service { allocator, dumps: Default::default() }
    }

    /// Writes [`Service::report`] for the caller. What it says is collected before
    /// it is written: whoever reads slowly holds nothing of the service's but a thread.
    ///
    /// # Errors
    /// `EBUSY` if another dump is being written, `ETIMEDOUT` if `writer` does
    /// not take this one within five seconds.
    pub fn write_report(&self, writer: &mut dyn Write, options: &[String]) -> io::Result<()> {
        let reader = Reader::new(Caller::current().uid);
        let [privileged, others] = &self.dumps;
        let turn = if reader == Reader::Privileged { privileged } else { others };
        let _turn = match turn.try_lock() {
            // The binder library sends errors as their numbers.
            Err(TryLockError::WouldBlock) => return Err(Errno::EBUSY.into()),
            // Nothing is behind it that could be broken.
            Err(TryLockError::Poisoned(turn)) => turn.into_inner(),
            Ok(turn) => turn,
        };
        deadline::write_all(writer, self.pieces(reader, options)?, DUMP_LIMIT)
    }

    /// Text for people, or JSON if `--json` is among the options: the state of
    /// all, or with `--buffers` a line for each buffer that lives. Others are
    /// ignored, as dumpsys adds some of its own.
    ///
    /// # Errors
    /// If it cannot be put into JSON, or it is not known what lives.
    pub fn report(&self, reader: Reader, options: &[String]) -> io::Result<String> {
        Ok(self.pieces(reader, options)?.collect())
    }

    fn pieces<'s>(
        &'s self,
        reader: Reader,
        options: &[String],
    ) -> io::Result<Box<dyn Iterator<Item = String> + 's>> {
        let asked_for = |wanted| options.iter().any(|option| option == wanted);
        let json = asked_for("--json");
        if asked_for("--buffers") {
            return Ok(Box::new(dump::buffers::pieces(&self.allocator, reader, json)?));
        }
        let report = Report::new(&self.allocator, reader);
        let text = match json {
            true => serde_json::to_string_pretty(&report)? + "\n",
            false => report.to_string(),
        };
        Ok(Box::new(std::iter::once(text)))
    }

    /// The methods that version 2 has not are unknown to a service of version 2.
    fn require_version_3(&self) -> binder::Result<()> {
        match self.allocator.policy().interface {
            Interface::V2 => Err(binder::unknown_transaction()),
            Interface::V3 => Ok(()),
        }
    }

    fn request(&self, info: &BufferDescriptorInfo) -> Result<Request> {
        Request::new(info, self.allocator.policy().vendor_bits())
    }

    fn try_allocate(
        &self,
        who: Who<'_>,
        info: &BufferDescriptorInfo,
        count: i32,
    ) -> Result<AllocationResult> {
        let request = self.request(info)?;
        let buffers = self.allocator.allocate(who, &request, count)?;
        let stride = buffers.first().map_or(0, |buffer| buffer.handle.layout.stride().0);
        Ok(AllocationResult {
            stride: stride.cast_signed(),
            buffers: buffers.into_iter().map(native_handle).collect(),
        })
    }

    /// What goes over the wire; a refusal is logged, and noted in the account.
    fn answer<T>(&self, who: Who<'_>, result: Result<T>) -> binder::Result<T> {
        result.map_err(|error| {
            // What is the client's own fault is for the client to log.
            let level = match error.code() {
                AllocationError::NO_RESOURCES => log::Level::Warn,
                _ => log::Level::Debug,
            };
            log::log!(level, "no buffer for uid {}: {}", who.caller.uid, error.in_full());
            self.allocator.accounts().fail(who, &error);
            binder::service_error(error.code(), &error.to_string())
        })
    }
}

fn native_handle(buffer: Buffer) -> NativeHandle {
    NativeHandle {
        ints: buffer.handle.encode(),
        fds: vec![
            ParcelFileDescriptor::new(buffer.pixels),
            ParcelFileDescriptor::new(buffer.metadata),
        ],
    }
}

dmaheap_aidl::interface_with_dump!(Service, Service::write_report);

impl IAllocator for Service {
    fn allocate(&self, _descriptor: &[u8], _count: i32) -> binder::Result<AllocationResult> {
        // The descriptor's encoding is that of a mapper 4 library, and there
        // is none.
        let caller = Caller::current();
        self.answer(self.allocator.policy().who(&caller), Err(Error::OldInterface))
    }

    fn allocate2(
        &self,
        info: &BufferDescriptorInfo,
        count: i32,
    ) -> binder::Result<AllocationResult> {
        let caller = Caller::current();
        let who = self.allocator.policy().who(&caller);
        self.answer(who, self.try_allocate(who, info, count))
    }

    fn isSupported(&self, info: &BufferDescriptorInfo) -> binder::Result<bool> {
        let (caller, policy) = (Caller::current(), self.allocator.policy());
        let plan = self
            .request(info)
            .and_then(|request| policy.plan(&request, policy.who(&caller)).map(drop));
        Ok(plan.is_ok())
    }

    fn getIMapperLibrarySuffix(&self) -> binder::Result<String> {
        Ok(MAPPER_SUFFIX.to_owned())
    }

    fn isMultiViewSupported(
        &self,
        _infos: &[BufferDescriptorInfo],
        _base: i32,
    ) -> binder::Result<bool> {
        self.require_version_3()?;
        Ok(false)
    }

    fn allocateMultiView(
        &self,
        _infos: &[BufferDescriptorInfo],
        _base: i32,
    ) -> binder::Result<AllocationResult> {
        self.require_version_3()?;
        let caller = Caller::current();
        self.answer(self.allocator.policy().who(&caller), Err(Error::MultiView))
    }

    fn getInterfaceVersion(&self) -> binder::Result<i32> {
        Ok(self.allocator.policy().interface.number())
    }

    fn getInterfaceHash(&self) -> binder::Result<String> {
        let hash = match self.allocator.policy().interface {
            Interface::V2 => HASH_OF_V2,
            Interface::V3 => HASH,
        };
        Ok(hash.to_owned())
    }
}
