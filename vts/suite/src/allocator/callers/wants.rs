// SPDX-License-Identifier: Apache-2.0
//! What callers ask for, under a name that fits into a line.

use std::fmt;
use std::str::FromStr;

use dmaheap_aidl::allocator::BufferDescriptorInfo;
use dmaheap_aidl::common::{BufferUsage, PixelFormat};

use crate::service::good;

/// A kind of buffer.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Want {
    /// A frame of the camera's, 1080p.
    Preview,
    /// What the display scans out, 1080p.
    Framebuffer,
    /// Drawn by the CPU, 64 by 64.
    Icon,
    /// 64 MiB of scattered memory.
    Huge,
    /// 16 KiB, with the largest reserved region that the policy allows.
    Reserved,
}

const NAMES: [(Want, &str); 5] = [
    (Want::Preview, "preview"),
    (Want::Framebuffer, "framebuffer"),
    (Want::Icon, "icon"),
    (Want::Huge, "huge"),
    (Want::Reserved, "reserved"),
];

impl Want {
    /// Bytes of an icon: no other pixels are fewer.
    pub const ICON_SIZE: u64 = 16 << 10;

    /// What to send.
    pub fn descriptor(self) -> BufferDescriptorInfo {
        match self {
            Want::Preview => BufferDescriptorInfo {
                width: 1920,
                height: 1080,
                format: PixelFormat::YCBCR_420_888,
                usage: BufferUsage::CAMERA_OUTPUT | BufferUsage::GPU_TEXTURE,
                ..good()
            },
            Want::Framebuffer => BufferDescriptorInfo {
                width: 1920,
                height: 1080,
                usage: BufferUsage::COMPOSER_CLIENT_TARGET | BufferUsage::GPU_RENDER_TARGET,
                ..good()
            },
            Want::Icon => good(),
            Want::Huge => BufferDescriptorInfo {
                width: 64 << 20,
                height: 1,
                format: PixelFormat::BLOB,
                ..good()
            },
            Want::Reserved => BufferDescriptorInfo { reservedSize: 8 << 20, ..good() },
        }
    }
}

impl fmt::Display for Want {
    fn fmt(&self, f: &mut fmt::Formatter) -> fmt::Result {
        let name = NAMES.iter().find(|(want, _)| want == self);
        f.write_str(name.map_or("nothing", |(_, name)| name))
    }
}

impl FromStr for Want {
    type Err = String;

    fn from_str(text: &str) -> Result<Want, String> {
        let want = NAMES.iter().find(|(_, name)| *name == text);
        want.map(|(want, _)| *want).ok_or_else(|| format!("nobody wants {text}"))
    }
}
