// SPDX-License-Identifier: Apache-2.0
//! The sound service with a defect in front, and what defects do to requests and to buffers.

use std::convert::Infallible;
use std::error::Error;
use std::fs;
use std::io;
use std::mem::MaybeUninit;
use std::os::fd::OwnedFd;
use std::path::Path;
use std::sync::Mutex;
use std::thread::{self, sleep};
use std::time::Duration;

use dmaheap_aidl::allocator::{
    AllocationError, AllocationResult, BufferDescriptorInfo, HASH_OF_V2, IAllocator,
};
use dmaheap_aidl::binder::{self, Caller, ParcelFileDescriptor, Result};
use dmaheap_aidl::common::{BufferUsage, NativeHandle};
use dmaheap_allocator::dump::Reader;
use dmaheap_allocator::service::Service;
use dmaheap_allocator::{Allocator, Policy, policy, refill};
use dmaheap_buffer::{Handle, Usage};
use dmaheap_suite::dmabuf::DmaBuf;
use serde_json::Value;

use super::Defect::{
    self, Allocates, Changes, Follows, Mistakes, Names, OldHash, Reports, Starts, Supports, Views,
};
use crate::{INSTANCE, mapper};

pub const ROOT: u32 = 0;

pub fn has(info: &BufferDescriptorInfo, usage: BufferUsage) -> bool {
    info.usage.0 & usage.0 == usage.0
}

/// The same without options, which no sound request has.
pub fn copy(info: &BufferDescriptorInfo) -> BufferDescriptorInfo {
    BufferDescriptorInfo {
        name: info.name,
        width: info.width,
        height: info.height,
        layerCount: info.layerCount,
        format: info.format,
        usage: info.usage,
        reservedSize: info.reservedSize,
        additionalOptions: Vec::new(),
    }
}

pub fn refused() -> Result<AllocationResult> {
    Err(binder::service_error(AllocationError::UNSUPPORTED, "a defect"))
}

/// Memory as if these bits of the usage had not been asked for.
pub fn without(
    bits: i64,
    sound: &Service,
    info: &BufferDescriptorInfo,
    count: i32,
) -> Result<AllocationResult> {
    let usage = BufferUsage(info.usage.0 & !bits);
    sound.allocate2(&BufferDescriptorInfo { usage, ..copy(info) }, count)
}

/// Memory as for `other` where `usage` is asked for, in handles that tell of `usage`.
fn mistake(
    (usage, other): (BufferUsage, BufferUsage),
    sound: &Service,
    info: &BufferDescriptorInfo,
    count: i32,
) -> Result<AllocationResult> {
    if !has(info, usage) {
        return sound.allocate2(info, count);
    }
    let other = BufferUsage(info.usage.0 & !usage.0 | other.0);
    let other = BufferDescriptorInfo { usage: other, ..copy(info) };
    let mut given = sound.allocate2(&other, count)?;
    for buffer in &mut given.buffers {
        let mut handle = Handle::decode(&buffer.ints).unwrap();
        handle.usage = Usage::new(info.usage.0.cast_unsigned(), 0).unwrap();
        buffer.ints = handle.encode();
    }
    Ok(given)
}

pub fn another(fd: &ParcelFileDescriptor) -> OwnedFd {
    fd.as_ref().try_clone().unwrap()
}

pub fn duplicate(buffer: &NativeHandle) -> NativeHandle {
    let fds = buffer.fds.iter().map(|fd| ParcelFileDescriptor::new(another(fd))).collect();
    NativeHandle { fds, ints: buffer.ints.clone() }
}

/// All the same buffer, where several were asked for.
pub fn repeat_the_first(given: &mut AllocationResult) {
    for number in 1..given.buffers.len() {
        given.buffers[number] = duplicate(&given.buffers[0]);
    }
}

pub fn size_of_pixels(buffer: &NativeHandle) -> usize {
    size_of(another(&buffer.fds[0]))
}

fn size_of(fd: OwnedFd) -> usize {
    DmaBuf::new(fd).unwrap().size().unwrap()
}

/// Gives a dma-buf the bytes that `change` makes of their offsets and their values.
pub fn overwrite(fd: &ParcelFileDescriptor, change: impl Fn(usize, u8) -> u8) {
    let buffer = DmaBuf::new(another(fd)).unwrap();
    let mut mapping = buffer.map().unwrap();
    let before = mapping.read().unwrap();
    mapping.fill(|at| change(at, before[at])).unwrap();
}

/// A pool that forgets to clear.
pub fn hand_on_what_apps_drew(given: &mut AllocationResult) {
    static DRAWN: Mutex<Vec<OwnedFd>> = Mutex::new(Vec::new());
    let mut drawn = DRAWN.lock().unwrap();
    for buffer in &mut given.buffers {
        let size = size_of_pixels(buffer);
        let fits = |fd: &OwnedFd| size_of(fd.try_clone().unwrap()) == size;
        if Caller::current().uid != ROOT {
            drawn.push(another(&buffer.fds[0]));
        } else if let Some(at) = drawn.iter().position(fits) {
            buffer.fds[0] = ParcelFileDescriptor::new(drawn.remove(at));
        }
    }
}

/// Writes the sound dump, changed if it is one for programs.
pub fn rewrite(
    sound: &Service,
    writer: &mut dyn io::Write,
    options: &[String],
    change: impl FnOnce(&mut Value),
) -> io::Result<()> {
    let text = sound.report(Reader::Privileged, options)?;
    match serde_json::from_str(&text) {
        Ok(mut report) => {
            change(&mut report);
            writeln!(writer, "{report}")
        }
        Err(_) => writer.write_all(text.as_bytes()),
    }
}

/// Has the kernel run the thread that refills when all others wait.
pub fn refill_when_idle() -> io::Result<()> {
    // The thread starts in its own time.
    // Of zeros: some C libraries have more in it than the priority.
    let idle = MaybeUninit::<libc::sched_param>::zeroed();
    thread::spawn(move || {
        loop {
            for task in fs::read_dir("/proc/self/task")?.flatten() {
                if fs::read_to_string(task.path().join("comm"))?.trim() == refill::NAME {
                    let name = task.file_name();
                    let thread = name.to_str().and_then(|name| name.parse().ok()).unwrap_or(-1);
                    // SAFETY: the call reads `idle`, which outlives it.
                    unsafe { libc::sched_setscheduler(thread, libc::SCHED_IDLE, idle.as_ptr()) };
                    return io::Result::Ok(());
                }
            }
            sleep(Duration::from_millis(1));
        }
    });
    Ok(())
}

/// The sound service with a defect, or without.
#[derive(Debug)]
struct Broken {
    sound: Service,
    /// Without one, the mapper is what may be broken.
    defect: Option<&'static Defect>,
}

impl Broken {
    fn report(&self, writer: &mut dyn io::Write, options: &[String]) -> io::Result<()> {
        match self.defect {
            Some(Reports(instead)) => instead(&self.sound, writer, options),
            _ => self.sound.write_report(writer, options),
        }
    }
}

dmaheap_aidl::interface_with_dump!(Broken, Broken::report);

impl IAllocator for Broken {
    #[allow(deprecated)]
    fn allocate(&self, descriptor: &[u8], count: i32) -> Result<AllocationResult> {
        self.sound.allocate(descriptor, count)
    }

    fn allocate2(&self, info: &BufferDescriptorInfo, count: i32) -> Result<AllocationResult> {
        match self.defect {
            Some(Allocates(instead)) => instead(&self.sound, info, count),
            Some(Mistakes(usage, other)) => mistake((*usage, *other), &self.sound, info, count),
            Some(Changes(change)) => self.sound.allocate2(info, count).map(|mut given| {
                change(&mut given);
                given
            }),
            _ => self.sound.allocate2(info, count),
        }
    }

    fn isSupported(&self, info: &BufferDescriptorInfo) -> Result<bool> {
        match self.defect {
            Some(Supports(instead)) => instead(&self.sound, info),
            _ => self.sound.isSupported(info),
        }
    }

    fn isMultiViewSupported(&self, infos: &[BufferDescriptorInfo], base: i32) -> Result<bool> {
        match self.defect {
            Some(Views) => Ok(true),
            _ => self.sound.isMultiViewSupported(infos, base),
        }
    }

    fn allocateMultiView(
        &self,
        infos: &[BufferDescriptorInfo],
        base: i32,
    ) -> Result<AllocationResult> {
        self.sound.allocateMultiView(infos, base)
    }

    fn getInterfaceVersion(&self) -> Result<i32> {
        self.sound.getInterfaceVersion()
    }

    fn getInterfaceHash(&self) -> Result<String> {
        match self.defect {
            Some(OldHash) => Ok(HASH_OF_V2.to_owned()),
            _ => self.sound.getInterfaceHash(),
        }
    }

    fn getIMapperLibrarySuffix(&self) -> Result<String> {
        match self.defect {
            Some(Names(suffix)) => Ok((*suffix).to_owned()),
            Some(_) => self.sound.getIMapperLibrarySuffix(),
            None => Ok(mapper::SUFFIX.to_owned()),
        }
    }
}

/// The board's policy with other lines.
fn changed_policy(change: fn(&str) -> String) -> std::result::Result<Policy, Box<dyn Error>> {
    let text = fs::read_to_string(policy::PATH)?;
    let lines: Vec<String> = text.lines().map(change).collect();
    Ok(Policy::parse(policy::PATH, &lines.join("\n"))?.0)
}

/// Serves the mutant of this name with the board's policy.
///
/// # Errors
/// As those of the service itself.
pub fn serve(name: &str) -> std::result::Result<Infallible, Box<dyn Error>> {
    let defect = super::all().find(|mutant| mutant.name == name).map(|mutant| &mutant.defect);
    let policy = match defect {
        Some(Follows(change)) => changed_policy(*change)?,
        _ => Policy::load(Path::new(policy::PATH))?.0,
    };
    let allocator = Allocator::new(policy);
    allocator.start();
    if let Some(Starts(then)) = defect {
        then()?;
    }
    binder::serve(INSTANCE, Broken { sound: Service::new(allocator), defect })
}
