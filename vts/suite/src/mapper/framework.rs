// SPDX-License-Identifier: Apache-2.0
//! The framework's own clients, step by step: each case runs in a process with the user id and the
//! SELinux domain that does so on a device.

use std::env;
use std::error::Error;
use std::io::{IoSlice, IoSliceMut};
use std::os::fd::{AsFd, AsRawFd, FromRawFd, OwnedFd, RawFd};
use std::os::unix::process::CommandExt;
use std::process::Stdio;

use dmaheap_aidl::allocator::{BufferDescriptorInfo, IAllocator};
use dmaheap_aidl::binder::{self, Strong};
use dmaheap_aidl::common::{BufferUsage, Dataspace, ExtendableType, NativeHandle, PixelFormat};
use dmaheap_buffer::handle::{FDS, INTS};
use dmaheap_buffer::{Type, Usage, Value};
use libtest_mimic::Trial;
use nix::sys::socket::{
    AddressFamily, ControlMessage, ControlMessageOwned, MsgFlags, SockFlag, SockType, recvmsg,
    sendmsg, socketpair,
};

use super::ground::{Test, expect_value, number, picture, trial};
use super::planes;
use crate::allocator::callers::peer::{CAMERASERVER, Identity, SURFACEFLINGER, app};
use crate::harness::{again, instance, take_on};
use crate::imapper::{Imported, Mapper, RawHandle};
use crate::service::{CPU, DATASPACE, good};

/// Says which domain the process takes on.
const DOMAIN: &str = "SUITE_DOMAIN";

/// The software codecs' service.
const MEDIACODEC: Identity = Identity { uid: 1046, domain: "mediacodec" };
const APP: Identity = app(1);

pub fn trials() -> Vec<Trial> {
    let trial = |name: &str, test| trial(format!("framework::{name}"), test);
    vec![
        trial("libui_finds_allocator_and_mapper_by_their_declarations", |_| play("libui", APP)),
        trial("bufferqueue_gets_3_to_64_buffers_of_its_dataspace", |_| play("bufferqueue", APP)),
        trial("codec2_writes_blocks_and_ten_bit_pictures", |_| play("codec2", MEDIACODEC)),
        trial("camera_streams_are_read_by_the_cpu", |_| play("camera", CAMERASERVER)),
        trial("ahardwarebuffer_crosses_a_socket", |_| hardware_buffer()),
    ]
}

pub fn role(role: &str) -> Option<Test> {
    let act = match role {
        "libui" => libui,
        "bufferqueue" => buffer_queue,
        "codec2" => codec2,
        "camera" => camera,
        "send" => send,
        "receive" => receive,
        _ => return None,
    };
    let domain = env::var(DOMAIN).ok()?;
    Some(take_on(&format!("u:r:{domain}:s0")).and_then(|()| act()))
}

/// Plays a role as somebody, to its end; what it says of a failure is on standard error.
fn play(role: &str, who: Identity) -> Test {
    end(role, start(role, who, Stdio::null())?)
}

fn start(role: &str, who: Identity, input: Stdio) -> std::io::Result<std::process::Child> {
    let mut command = again(role)?;
    command.env(DOMAIN, who.domain).uid(who.uid).gid(who.uid).stdin(input);
    command.spawn()
}

fn end(role: &str, mut child: std::process::Child) -> Test {
    let status = child.wait()?;
    if status.success() { Ok(()) } else { Err(format!("{role} ended: {status}").into()) }
}

/// What libui does before a process has its first buffer.
fn open() -> Result<(Strong<dyn IAllocator>, Mapper), Box<dyn Error>> {
    binder::declared(instance())?;
    let allocator = binder::connect(instance())?;
    let version = allocator.getInterfaceVersion()?;
    if version < 2 {
        return Err(format!("an allocator of version {version} has no mapper of this kind").into());
    }
    let suffix = allocator.getIMapperLibrarySuffix()?;
    if !binder::is_declared(&format!("mapper/{suffix}"))? {
        return Err(format!("mapper/{suffix} is not declared").into());
    }
    Ok((allocator, Mapper::load()?))
}

/// What it compares after each import.
fn require_as_asked(buffer: &Imported<'_>, info: &BufferDescriptorInfo, stride: i32) -> Test {
    let asked = |n: i32| u64::try_from(n).unwrap_or_default();
    assert_eq!(number(buffer, Type::Width)?, asked(info.width));
    assert_eq!(number(buffer, Type::Height)?, asked(info.height));
    assert_eq!(number(buffer, Type::LayerCount)?, asked(info.layerCount));
    assert_eq!(number(buffer, Type::Stride)?, asked(stride));
    if info.format != PixelFormat::IMPLEMENTATION_DEFINED {
        expect_value(buffer, Value::PixelFormatRequested(info.format.0))?;
    }
    Ok(())
}

/// Allocates, imports each, compares, and has `work` do the rest.
fn with_buffers(
    info: &BufferDescriptorInfo,
    count: i32,
    mut work: impl FnMut(&Imported<'_>) -> Test,
) -> Test {
    let (allocator, mapper) = open()?;
    let given = allocator.allocate2(info, count)?;
    assert_eq!(given.buffers.len(), usize::try_from(count)?);
    for native in given.buffers {
        let buffer = mapper.import(&RawHandle::from_binder(native))?;
        require_as_asked(&buffer, info, given.stride)?;
        work(&buffer)?;
    }
    Ok(())
}

fn libui() -> Test {
    let window = BufferDescriptorInfo {
        width: 1080,
        height: 2400,
        usage: WINDOW,
        ..picture(PixelFormat::RGBA_8888)
    };
    with_buffers(&window, 1, |_| Ok(()))?;
    let layered = BufferDescriptorInfo { layerCount: 2, ..picture(PixelFormat::YCBCR_420_888) };
    with_buffers(&layered, 1, |_| Ok(()))
}

/// Of nearly every window.
const WINDOW: BufferUsage = BufferUsage(
    BufferUsage::GPU_TEXTURE.0 | BufferUsage::GPU_RENDER_TARGET.0 | BufferUsage::COMPOSER_OVERLAY.0,
);

fn buffer_queue() -> Test {
    let dataspace = Dataspace::DISPLAY_P3;
    let option = ExtendableType { name: DATASPACE.to_owned(), value: dataspace.0.into() };
    let info = BufferDescriptorInfo { usage: WINDOW, additionalOptions: vec![option], ..good() };
    for count in [3, 64] {
        let mut ids = Vec::new();
        with_buffers(&info, count, |buffer| {
            expect_value(buffer, Value::Dataspace(dataspace.0))?;
            // The consumer's, from frame to frame.
            buffer.set(&Value::Dataspace(Dataspace::SRGB.0))?;
            expect_value(buffer, Value::Dataspace(Dataspace::SRGB.0))?;
            ids.push(number(buffer, Type::BufferId)?);
            Ok(())
        })?;
        ids.sort_unstable();
        ids.dedup();
        assert_eq!(ids.len(), usize::try_from(count)?, "ids");
    }
    Ok(())
}

fn codec2() -> Test {
    let both = Usage::CPU_READ_OFTEN | Usage::CPU_WRITE_OFTEN;
    let block = BufferDescriptorInfo {
        width: 1 << 20,
        height: 1,
        usage: CPU,
        ..picture(PixelFormat::BLOB)
    };
    with_buffers(&block, 1, |buffer| {
        let pattern = |at: usize| (at * 7 + at / 251) as u8;
        buffer.with_pixels(both, |bytes| {
            bytes[..1 << 20].iter_mut().enumerate().for_each(|(at, byte)| *byte = pattern(at));
        })?;
        buffer.with_pixels(both, |bytes| {
            assert!((0..1 << 20).all(|at| bytes[at] == pattern(at)));
        })
    })?;
    let frame = BufferDescriptorInfo {
        width: 1280,
        height: 720,
        usage: BufferUsage(BufferUsage::VIDEO_DECODER.0 | BufferUsage::GPU_TEXTURE.0 | CPU.0),
        ..picture(PixelFormat::YCBCR_P010)
    };
    with_buffers(&frame, 2, |buffer| draw_and_see(buffer, both))
}

/// Writes a pattern to luma and chroma, and reads it through another lock.
fn draw_and_see(buffer: &Imported<'_>, usage: Usage) -> Test {
    let components = planes::ycbcr(buffer)?;
    buffer.with_pixels(usage, |pixels| planes::fill(pixels, &components))?;
    buffer.with_pixels(usage, |pixels| planes::check(pixels, &components))?
}

fn camera() -> Test {
    let stream = |format, more: BufferUsage| BufferDescriptorInfo {
        width: 1920,
        height: 1080,
        usage: BufferUsage(BufferUsage::CAMERA_OUTPUT.0 | BufferUsage::CPU_READ_OFTEN.0 | more.0),
        ..picture(format)
    };
    let read = |buffer: &Imported<'_>| {
        // Nobody has captured: a stream of the camera's shows nothing of others.
        buffer.with_pixels(Usage::CPU_READ_OFTEN, |pixels| {
            assert!(pixels.iter().all(|byte| *byte == 0), "not cleared");
        })
    };
    let none = BufferUsage(0);
    for format in [PixelFormat::RAW16, PixelFormat::YCBCR_420_888] {
        with_buffers(&stream(format, none), 4, read)?;
    }
    // The board's choice, which the metadata tells.
    let chosen = stream(PixelFormat::IMPLEMENTATION_DEFINED, BufferUsage::GPU_TEXTURE);
    with_buffers(&chosen, 4, |buffer| {
        expect_value(buffer, Value::PixelFormatRequested(chosen.format.0))?;
        planes::ycbcr(buffer)?;
        read(buffer)
    })
}

/// Sent by an app, received by the compositor.
fn hardware_buffer() -> Test {
    let (ours, theirs) =
        socketpair(AddressFamily::Unix, SockType::SeqPacket, None, SockFlag::SOCK_CLOEXEC)?;
    let sender = start("send", APP, Stdio::from(ours))?;
    let receiver = start("receive", SURFACEFLINGER, Stdio::from(theirs))?;
    end("send", sender)?;
    end("receive", receiver)
}

const DRAWN: u8 = 0x5a;

fn send() -> Test {
    let (allocator, mapper) = open()?;
    let native: NativeHandle = allocator.allocate2(&good(), 1)?.buffers.remove(0);
    let raw = RawHandle::from_binder(native);
    let buffer = mapper.import(&raw)?;
    buffer.with_pixels(Usage::CPU_WRITE_OFTEN, |pixels| pixels.fill(DRAWN))?;
    let ints: Vec<u8> = raw.ints().iter().flat_map(|int| int.to_ne_bytes()).collect();
    let socket = std::io::stdin();
    let fds = [ControlMessage::ScmRights(raw.fds())];
    let to = socket.as_fd().as_raw_fd();
    sendmsg::<()>(to, &[IoSlice::new(&ints)], &fds, MsgFlags::empty(), None)?;
    Ok(())
}

fn receive() -> Test {
    let mut ints = [0u8; INTS * size_of::<i32>()];
    let mut space = nix::cmsg_space!([RawFd; FDS]);
    let mut places = [IoSliceMut::new(&mut ints)];
    let from = std::io::stdin().as_fd().as_raw_fd();
    let message = recvmsg::<()>(from, &mut places, Some(&mut space), MsgFlags::MSG_CMSG_CLOEXEC)?;
    let mut fds = Vec::new();
    for control in message.cmsgs()? {
        if let ControlMessageOwned::ScmRights(numbers) = control {
            // SAFETY: the kernel has just opened them for us.
            fds.extend(numbers.into_iter().map(|fd| unsafe { OwnedFd::from_raw_fd(fd) }));
        }
    }
    assert_eq!((message.bytes, fds.len()), (INTS * size_of::<i32>(), FDS));
    let ints: Vec<i32> =
        ints.as_chunks::<4>().0.iter().map(|int| i32::from_ne_bytes(*int)).collect();
    let (_, mapper) = open()?;
    let buffer = mapper.import(&RawHandle::new(fds, &ints))?;
    buffer.with_pixels(Usage::CPU_READ_OFTEN, |pixels| {
        assert!(pixels[..64 * 64 * 4].iter().all(|byte| *byte == DRAWN));
    })
}
