// SPDX-License-Identifier: Apache-2.0
//! Binder on one side, the allocator on the other. Errors become wire codes
//! here and nowhere else.

use std::io::Write;

use dmaheap_aidl::allocator::{
    AllocationError, AllocationResult, BufferDescriptorInfo, IAllocator,
};
use dmaheap_aidl::binder::{self, Caller, ParcelFileDescriptor};
use dmaheap_aidl::common::NativeHandle;

use crate::allocation::{Allocator, Buffer};
use crate::dump::Report;
use crate::error::{Error, Result};
use crate::request::Request;

/// Names the mapper library that belongs to this allocator:
/// `mapper.dmaheap.so`.
const MAPPER_SUFFIX: &str = "dmaheap";

/// The service object.
#[derive(Debug)]
pub struct Service {
    allocator: Allocator,
}

impl Service {
    /// A service for this allocator.
    pub fn new(allocator: Allocator) -> Service {
        Service { allocator }
    }

    /// Text for people, or JSON if `--json` is among the options; others are
    /// ignored, as dumpsys adds some of its own.
    ///
    /// # Errors
    /// If `writer` does not take it.
    pub fn write_report(&self, writer: &mut dyn Write, options: &[String]) -> std::io::Result<()> {
        let report = Report::new(&self.allocator);
        if options.iter().any(|option| option == "--json") {
            serde_json::to_writer_pretty(&mut *writer, &report)?;
            writeln!(writer)
        } else {
            write!(writer, "{report}")
        }
    }

    fn request(&self, info: &BufferDescriptorInfo) -> Result<Request> {
        Request::new(info, self.allocator.policy().vendor_bits())
    }

    fn try_allocate(
        &self,
        caller: &Caller,
        info: &BufferDescriptorInfo,
        count: i32,
    ) -> Result<AllocationResult> {
        let request = self.request(info)?;
        let buffers = self.allocator.allocate(caller, &request, count)?;
        let stride = buffers.first().map_or(0, |buffer| buffer.handle.layout.stride().0);
        Ok(AllocationResult {
            stride: stride.cast_signed(),
            buffers: buffers.into_iter().map(native_handle).collect(),
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

fn status(error: &Error) -> binder::Status {
    binder::service_error(error.code(), &error.to_string())
}

dmaheap_aidl::interface_with_dump!(Service, Service::write_report);

impl IAllocator for Service {
    fn allocate(&self, _descriptor: &[u8], _count: i32) -> binder::Result<AllocationResult> {
        // The descriptor's encoding is that of a mapper 4 library, and there
        // is none.
        Err(status(&Error::OldInterface))
    }

    fn allocate2(
        &self,
        info: &BufferDescriptorInfo,
        count: i32,
    ) -> binder::Result<AllocationResult> {
        let caller = Caller::current();
        self.try_allocate(&caller, info, count).map_err(|error| {
            // What is the client's own fault is for the client to log.
            let level = match error.code() {
                AllocationError::NO_RESOURCES => log::Level::Warn,
                _ => log::Level::Debug,
            };
            log::log!(level, "no buffer for uid {}: {error}", caller.uid);
            self.allocator.accounts().fail(&caller, &error);
            status(&error)
        })
    }

    fn isSupported(&self, info: &BufferDescriptorInfo) -> binder::Result<bool> {
        let plan =
            self.request(info).and_then(|request| self.allocator.policy().plan(&request).map(drop));
        Ok(plan.is_ok())
    }

    fn getIMapperLibrarySuffix(&self) -> binder::Result<String> {
        Ok(MAPPER_SUFFIX.to_owned())
    }
}
