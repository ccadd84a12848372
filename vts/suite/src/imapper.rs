// SPDX-License-Identifier: Apache-2.0
//! The mapper library, loaded as libui loads it: by the suffix that the allocator answers, through
//! the one symbol that hands out its table of functions.
//!
//! [`Mapper`] and [`Imported`] are for those who follow the rules. Who wants to break them calls
//! the [`table`](Mapper::table) itself.

use std::error::Error;
use std::fmt;
use std::io;
use std::os::fd::{AsRawFd, FromRawFd, IntoRawFd, OwnedFd};
use std::ptr;

use dmaheap_aidl::common::NativeHandle;
use dmaheap_buffer::standard::PlaneLayout;
use dmaheap_buffer::{Type, Usage, Value};
use dmaheap_imapper::{AIMapper, AIMapperV5, ARect, BufferHandle, Code, VERSION};
use libloading::Library;
use nix::libc::c_int;

use crate::service;

/// The vendor's folder for such libraries.
const FOLDER: &str = "/vendor/lib64/hw";

/// The whole buffer, whatever its size.
pub const WHOLE: ARect = ARect { left: 0, top: 0, right: 0, bottom: 0 };

/// The first byte behind all planes.
pub fn end_of(planes: &[PlaneLayout]) -> usize {
    let ends = planes.iter().map(|plane| plane.offset_in_bytes + plane.total_size_in_bytes);
    ends.max().map_or(0, |end| end as usize)
}

type Load = unsafe extern "C" fn(*mut *const AIMapper) -> Code;

/// The mapper refused.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Refused(pub Code);

impl fmt::Display for Refused {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let name = match self.0 {
            Code::BAD_BUFFER => "BAD_BUFFER",
            Code::BAD_VALUE => "BAD_VALUE",
            Code::NO_RESOURCES => "NO_RESOURCES",
            Code::UNSUPPORTED => "UNSUPPORTED",
            Code(number) => return write!(f, "the mapper answered {number}"),
        };
        write!(f, "the mapper answered {name}")
    }
}

impl Error for Refused {}

fn judge(code: Code) -> Result<(), Refused> {
    if code == Code::NONE { Ok(()) } else { Err(Refused(code)) }
}

/// The loaded library.
#[derive(Debug)]
pub struct Mapper {
    table: &'static AIMapper,
    library: Library,
}

impl Mapper {
    /// Loads the library that the running allocator names.
    pub fn load() -> Result<Mapper, Box<dyn Error>> {
        Mapper::open(&Mapper::path()?)
    }

    /// Where the library of the allocator under test is.
    pub fn path() -> Result<String, Box<dyn Error>> {
        let suffix = service::connect()?.getIMapperLibrarySuffix()?;
        Ok(format!("{FOLDER}/mapper.{suffix}.so"))
    }

    /// Loads this library.
    pub fn open(path: &str) -> Result<Mapper, Box<dyn Error>> {
        // SAFETY: a mapper does nothing when it is loaded.
        let library = unsafe { Library::new(path) }?;
        let table = load(&library)?;
        Ok(Mapper { table, library })
    }

    /// What the symbol hands out if it is asked again.
    pub fn load_again(&self) -> Result<&'static AIMapper, Box<dyn Error>> {
        load(&self.library)
    }

    /// An exported number.
    pub fn number(&self, symbol: &str) -> Result<u32, Box<dyn Error>> {
        // SAFETY: the interface says that it is a 32-bit number.
        let number = unsafe { self.library.get::<*const u32>(symbol.as_bytes()) }?;
        // SAFETY: as above.
        Ok(unsafe { **number })
    }

    /// Version and functions.
    pub fn table(&self) -> &'static AIMapper {
        self.table
    }

    /// Imports a handle.
    pub fn import(&self, raw: &RawHandle) -> Result<Imported<'_>, Refused> {
        let mut handle = ptr::null();
        // SAFETY: `raw` is a native handle with all that its counts say.
        judge(unsafe { (self.table.v5.import_buffer)(raw.as_ptr(), &mut handle) })?;
        Ok(self.adopt(handle))
    }

    /// Takes over what was imported by a call on the table.
    pub fn adopt(&self, handle: BufferHandle) -> Imported<'_> {
        Imported { mapper: self, handle }
    }
}

fn load(library: &Library) -> Result<&'static AIMapper, Box<dyn Error>> {
    let mut table = ptr::null();
    // SAFETY: the interface gives this symbol this type.
    let load = unsafe { library.get::<Load>(b"AIMapper_loadIMapper") }?;
    // SAFETY: `table` is a place for a pointer.
    judge(unsafe { load(&mut table) })?;
    // SAFETY: the call succeeded, so this is the table, or null.
    let table = unsafe { table.as_ref() }.ok_or("the mapper has no table")?;
    if table.version != VERSION {
        return Err(format!("a mapper of version {}", table.version).into());
    }
    Ok(table)
}

/// A native handle as it comes from another process, not imported.
#[derive(Debug)]
pub struct RawHandle {
    /// Version, counts, descriptors, integers.
    words: Vec<c_int>,
    _fds: Vec<OwnedFd>,
}

impl RawHandle {
    /// The handle of these descriptors and integers.
    pub fn new(fds: Vec<OwnedFd>, ints: &[i32]) -> RawHandle {
        let numbers: Vec<c_int> = fds.iter().map(AsRawFd::as_raw_fd).collect();
        let counts = [12, fds.len() as c_int, ints.len() as c_int];
        RawHandle { words: [&counts[..], &numbers, ints].concat(), _fds: fds }
    }

    /// The handle in an allocator's answer.
    pub fn from_binder(native: NativeHandle) -> RawHandle {
        RawHandle::new(native.fds.into_iter().map(Into::into).collect(), &native.ints)
    }

    /// The same, with descriptors of its own.
    pub fn clone_of(native: &NativeHandle) -> io::Result<RawHandle> {
        let fds = native.fds.iter().map(|fd| fd.as_ref().try_clone());
        Ok(RawHandle::new(fds.collect::<io::Result<_>>()?, &native.ints))
    }

    /// For the mapper.
    pub fn as_ptr(&self) -> BufferHandle {
        self.words.as_ptr().cast()
    }

    /// Its descriptors.
    pub fn fds(&self) -> &[c_int] {
        &self.words[3..][..self.words[1] as usize]
    }

    /// Its integers.
    pub fn ints(&self) -> &[c_int] {
        &self.words[3 + self.words[1] as usize..]
    }
}

/// An imported buffer, freed when it is dropped.
#[derive(Debug)]
pub struct Imported<'m> {
    mapper: &'m Mapper,
    handle: BufferHandle,
}

impl Imported<'_> {
    /// The handle, for calls on the table.
    pub fn handle(&self) -> BufferHandle {
        self.handle
    }

    fn v5(&self) -> &'static AIMapperV5 {
        &self.mapper.table.v5
    }

    /// Locks for a CPU usage; returns the address of the first pixel.
    pub fn lock(&self, usage: Usage, region: ARect) -> Result<*mut u8, Refused> {
        self.lock_after(None, usage, region)
    }

    /// Locks once a fence has signalled.
    pub fn lock_after(
        &self,
        fence: Option<OwnedFd>,
        usage: Usage,
        region: ARect,
    ) -> Result<*mut u8, Refused> {
        let fence = fence.map_or(-1, IntoRawFd::into_raw_fd);
        let mut start = ptr::null_mut();
        // SAFETY: `handle` is imported, the fence is handed over, and `start` is a place for an
        // address.
        let code =
            unsafe { (self.v5().lock)(self.handle, usage.bits(), region, fence, &mut start) };
        judge(code)?;
        Ok(start.cast())
    }

    /// Ends a lock; returns the release fence if there is one.
    pub fn unlock(&self) -> Result<Option<OwnedFd>, Refused> {
        let mut fence = -1;
        // SAFETY: `handle` is imported, and `fence` is a place for a number.
        judge(unsafe { (self.v5().unlock)(self.handle, &mut fence) })?;
        // SAFETY: the mapper hands the fence over.
        Ok((fence >= 0).then(|| unsafe { OwnedFd::from_raw_fd(fence) }))
    }

    /// Locks everything, and gives the pixels to `work`.
    pub fn with_pixels<T>(
        &self,
        usage: Usage,
        work: impl FnOnce(&mut [u8]) -> T,
    ) -> Result<T, Box<dyn Error>> {
        let size = self.size()?;
        let start = self.lock(usage, WHOLE)?;
        // SAFETY: the lock gives the CPU the buffer, which is this long, until the unlock; `work`
        // keeps no reference to it. Who shares it takes turns with us.
        let result = work(unsafe { std::slice::from_raw_parts_mut(start, size) });
        if let Some(fence) = self.unlock()? {
            return Err(format!("a release fence, and nothing to wait for: {fence:?}").into());
        }
        Ok(result)
    }

    /// Bytes of the first layer's planes, which a lock gives. The metadata ALLOCATION_SIZE counts
    /// more than that.
    pub fn size(&self) -> Result<usize, Box<dyn Error>> {
        match self.get(Type::PlaneLayouts)? {
            Value::PlaneLayouts(planes) => Ok(end_of(&planes)),
            other => Err(format!("{other:?} are no planes").into()),
        }
    }

    /// Encoded metadata, by its size first, as clients do; again if another process has made it
    /// longer in between.
    pub fn get_encoded(&self, kind: Type) -> Result<Vec<u8>, Refused> {
        let get = self.v5().get_standard_metadata;
        let mut value = Vec::<u8>::new();
        loop {
            let place = if value.is_empty() { ptr::null_mut() } else { value.as_mut_ptr().cast() };
            // SAFETY: `handle` is imported, and `value` has as many bytes as is said; null is
            // allowed for none, and asks for the size.
            let size = unsafe { get(self.handle, kind.number(), place, value.len()) };
            let Ok(size) = usize::try_from(size) else { return Err(Refused(Code(-size))) };
            let fits = size <= value.len();
            value.resize(size, 0);
            if fits {
                return Ok(value);
            }
        }
    }

    /// Metadata.
    pub fn get(&self, kind: Type) -> Result<Value, Box<dyn Error>> {
        Ok(Value::decode(kind, &self.get_encoded(kind)?)?)
    }

    /// Sets metadata.
    pub fn set(&self, value: &Value) -> Result<(), Refused> {
        self.set_encoded(value.kind(), &value.encode())
    }

    /// Sets metadata from bytes.
    pub fn set_encoded(&self, kind: Type, bytes: &[u8]) -> Result<(), Refused> {
        let set = self.v5().set_standard_metadata;
        // SAFETY: `handle` is imported, and `bytes` has as many bytes as is said.
        judge(unsafe { set(self.handle, kind.number(), bytes.as_ptr().cast(), bytes.len()) })
    }

    /// A copy of the handle, with descriptors of its own, to be given to another process.
    pub fn to_raw(&self) -> io::Result<RawHandle> {
        // SAFETY: an imported handle is a native handle, whose counts are in front.
        let counts = unsafe { self.handle.read() };
        let words = counts.num_fds as usize + counts.num_ints as usize;
        // SAFETY: so many integers are behind the counts.
        let data = unsafe { std::slice::from_raw_parts(self.handle.add(1).cast::<c_int>(), words) };
        let (fds, ints) = data.split_at(counts.num_fds as usize);
        let duplicate = |fd: &c_int| {
            // SAFETY: the import keeps its descriptors open.
            unsafe { std::os::fd::BorrowedFd::borrow_raw(*fd) }.try_clone_to_owned()
        };
        Ok(RawHandle::new(fds.iter().map(duplicate).collect::<io::Result<_>>()?, ints))
    }
}

impl Drop for Imported<'_> {
    fn drop(&mut self) {
        // SAFETY: `handle` is imported; a client that freed it before gets an error.
        unsafe { (self.v5().free_buffer)(self.handle) };
    }
}
