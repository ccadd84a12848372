// SPDX-License-Identifier: Apache-2.0
//! What every test stands on: the library, the allocator, buffers, and the proof that nothing was
//! left behind.

use std::error::Error;
use std::fs;
use std::ptr;

use dmaheap_aidl::allocator::{BufferDescriptorInfo, IAllocator};
use dmaheap_aidl::binder::Strong;
use dmaheap_aidl::common::PixelFormat;
use dmaheap_buffer::{Type, Usage, Value};
use dmaheap_imapper::{BufferHandle, Code};
use libtest_mimic::Trial;

use crate::baseline;
use crate::harness;
use crate::imapper::{Imported, Mapper, RawHandle, Refused};
use crate::service::{self, State};

pub type Test = Result<(), Box<dyn Error>>;

/// A test that must leave everything as it found it: descriptors and mappings of this process, and
/// the service.
pub fn trial(name: String, test: fn(&Ground) -> Test) -> Trial {
    harness::case(name, move || {
        let ground = Ground::new()?;
        let service = baseline::settled(State::now)?;
        let ours = Ours::now()?;
        test(&ground)?;
        let left = Ours::now()?;
        if left != ours {
            return Err(format!("the test left something: before {ours:?}, after {left:?}").into());
        }
        baseline::require_same(&service, State::now)
    })
}

/// What a process has open, by number of descriptors and of dma-buf mappings.
#[derive(Debug, PartialEq, Eq)]
pub struct Ours {
    descriptors: usize,
    mappings: usize,
}

impl Ours {
    pub fn now() -> std::io::Result<Ours> {
        let maps = fs::read_to_string("/proc/self/maps")?;
        Ok(Ours {
            descriptors: fs::read_dir("/proc/self/fd")?.count(),
            mappings: maps.lines().filter(|line| line.contains("dmabuf")).count(),
        })
    }
}

/// The library and the allocator.
pub struct Ground {
    pub mapper: Mapper,
    pub allocator: Strong<dyn IAllocator>,
}

impl Ground {
    pub fn new() -> Result<Ground, Box<dyn Error>> {
        let ground = Ground { mapper: Mapper::load()?, allocator: service::connect()? };
        // Whatever is opened once only is open now: Android's socket for messages at the first one.
        ground.allocate(service::good())?.import(&ground)?.with_pixels(CPU, |_| ())?;
        ground.import_words(&[0; 3]);
        service::open_for_good()?;
        Ok(ground)
    }

    /// A buffer that is not imported yet.
    pub fn allocate(&self, info: BufferDescriptorInfo) -> Result<Allocation, Box<dyn Error>> {
        let mut result = self.allocator.allocate2(&info, 1)?;
        let buffer = result.buffers.pop().ok_or("no buffer and no error")?;
        Ok(Allocation { raw: RawHandle::from_binder(buffer), stride: result.stride as usize, info })
    }

    /// A buffer that a device need not have, not imported yet; without it the test is skipped.
    pub fn allocate_optional(
        &self,
        what: &str,
        info: BufferDescriptorInfo,
    ) -> Result<Allocation, Box<dyn Error>> {
        if self.allocator.isSupported(&info)? {
            return self.allocate(info);
        }
        service::refusal(self.allocator.allocate2(&info, 1))?;
        harness::skip(format!("the allocator does not support {what}"))
    }

    /// 64 x 64 pixels of RGBA for the CPU.
    pub fn generic(&self) -> Result<Allocation, Box<dyn Error>> {
        self.allocate(service::good())
    }

    /// The same, imported.
    pub fn imported(&self) -> Result<Imported<'_>, Box<dyn Error>> {
        Ok(self.generic()?.import(self)?)
    }

    /// `unlock` for handles that are none.
    pub fn unlock(&self, handle: BufferHandle) -> Code {
        let mut fence = -1;
        // SAFETY: whatever `handle` is, the mapper must look it up and not follow it.
        unsafe { (self.mapper.table().v5.unlock)(handle, &mut fence) }
    }

    /// `freeBuffer` for handles that are none.
    pub fn free(&self, handle: BufferHandle) -> Code {
        // SAFETY: as above.
        unsafe { (self.mapper.table().v5.free_buffer)(handle) }
    }

    /// `importBuffer` for handles that are none; frees what was imported nevertheless.
    pub fn import_words(&self, words: &[i32]) -> Code {
        let mut out = ptr::null();
        // SAFETY: there are as many words as the counts in `words` say, or the mapper must notice
        // from the counts that they are wrong.
        let code =
            unsafe { (self.mapper.table().v5.import_buffer)(words.as_ptr().cast(), &mut out) };
        if code == Code::NONE {
            self.free(out);
        }
        code
    }
}

/// For reading and writing by the CPU.
pub const CPU: Usage = Usage::CPU_READ_OFTEN.union(Usage::CPU_WRITE_OFTEN);

/// `native_handle_create(0, 0)`.
pub const EMPTY: [i32; 3] = [12, 0, 0];

/// A 64 x 64 buffer of this format for the CPU.
pub fn picture(format: PixelFormat) -> BufferDescriptorInfo {
    BufferDescriptorInfo { format, ..service::good() }
}

/// A descriptor's name from a text.
pub fn name(text: &str) -> [u8; 128] {
    let mut name = [0; 128];
    name[..text.len()].copy_from_slice(text.as_bytes());
    name
}

/// A buffer as the allocator gave it.
#[derive(Debug)]
pub struct Allocation {
    pub raw: RawHandle,
    pub stride: usize,
    pub info: BufferDescriptorInfo,
}

impl Allocation {
    pub fn import<'m>(&self, ground: &'m Ground) -> Result<Imported<'m>, Refused> {
        ground.mapper.import(&self.raw)
    }

    pub fn usage(&self) -> Usage {
        // What was allocated is known.
        Usage::new(self.info.usage.0.cast_unsigned(), 0).unwrap_or_default()
    }
}

/// Fails unless the call was refused with this code.
pub fn expect_refused<T>(what: &str, result: Result<T, Refused>, code: Code) -> Test {
    match result {
        Err(Refused(got)) if got == code => Ok(()),
        Err(other) => Err(format!("{what}: {other}, expected {}", Refused(code)).into()),
        Ok(_) => Err(format!("{what}: it worked, expected {}", Refused(code)).into()),
    }
}

/// Fails unless a buffer has this metadata.
pub fn expect_value(buffer: &Imported<'_>, expected: Value) -> Test {
    let got = buffer.get(expected.kind())?;
    if got == expected { Ok(()) } else { Err(format!("got {got:?}, not {expected:?}").into()) }
}

/// A metadata value that is one whole number.
pub fn number(buffer: &Imported<'_>, kind: Type) -> Result<u64, Box<dyn Error>> {
    match buffer.get(kind)? {
        Value::BufferId(n)
        | Value::Width(n)
        | Value::Height(n)
        | Value::LayerCount(n)
        | Value::PixelFormatModifier(n)
        | Value::Usage(n)
        | Value::AllocationSize(n)
        | Value::ProtectedContent(n) => Ok(n),
        Value::Stride(n) | Value::PixelFormatFourcc(n) => Ok(n.into()),
        other => Err(format!("{other:?} is no number").into()),
    }
}
