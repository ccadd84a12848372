// SPDX-License-Identifier: Apache-2.0
//! The border: what a client sent becomes a request of which every single
//! value is possible. Whether the board can serve it is the policy's question.

use dmaheap_aidl::allocator::BufferDescriptorInfo;
use dmaheap_aidl::common::ExtendableType;
use dmaheap_buffer::{Bytes, Extent, Usage};

use crate::error::{Error, Result};

/// What a client wants, judged value by value.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Request {
    /// What the client calls the buffer; for people.
    pub name: String,
    /// Size in pixels, and layers.
    pub extent: Extent,
    /// The `PixelFormat` code, which may leave the choice to the board.
    pub format: i32,
    /// What it is for.
    pub usage: Usage,
    /// Size of the client's own region next to the metadata.
    pub reserved: Bytes,
    /// What its numbers mean as colours, if the client says so from the start.
    pub dataspace: Option<i32>,
}

/// The one option that is known here, and the only one that the framework's own
/// clients use.
const DATASPACE: &str = "android.hardware.graphics.common.Dataspace";

impl Request {
    /// Judges a descriptor. `vendor` are the vendor usage bits the board knows.
    ///
    /// # Errors
    /// The first value that is impossible or unknown.
    pub fn new(info: &BufferDescriptorInfo, vendor: Usage) -> Result<Request> {
        let dataspace = dataspace(&info.additionalOptions)?;
        let usage = Usage::new(info.usage.0.cast_unsigned(), vendor.bits())?;
        Ok(Request {
            name: name(&info.name),
            extent: Extent::new(info.width.into(), info.height.into(), info.layerCount.into())?,
            format: info.format.0,
            usage,
            reserved: u64::try_from(info.reservedSize)
                .map(Bytes)
                .map_err(|_| Error::BadReserved(info.reservedSize))?,
            dataspace,
        })
    }
}

/// The dataspace among a descriptor's options, where nothing else may be.
fn dataspace(options: &[ExtendableType]) -> Result<Option<i32>> {
    let mut dataspace = None;
    for option in options {
        dataspace = match (option.name.as_str(), i32::try_from(option.value), dataspace) {
            (DATASPACE, Ok(value), None) => Some(value),
            _ => return Err(Error::UnknownOption(option.name.chars().take(64).collect())),
        };
    }
    Ok(dataspace)
}

/// The bytes up to the first NUL; the last byte counts as one. Control
/// characters would garble the dump.
fn name(bytes: &[u8; 128]) -> String {
    let text = bytes.split_last().map_or(&[][..], |(_, text)| text);
    let end = text.iter().position(|byte| *byte == 0).unwrap_or(text.len());
    String::from_utf8_lossy(text.get(..end).unwrap_or(text))
        .chars()
        .map(|c| if c.is_control() { '?' } else { c })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use dmaheap_aidl::allocator::AllocationError;
    use dmaheap_aidl::common::{BufferUsage, PixelFormat};

    fn descriptor() -> BufferDescriptorInfo {
        let mut info = BufferDescriptorInfo {
            width: 64,
            height: 64,
            layerCount: 1,
            format: PixelFormat::RGBA_8888,
            usage: BufferUsage::GPU_TEXTURE,
            ..Default::default()
        };
        info.name = [0; 128];
        info
    }

    fn refusal(change: impl Fn(&mut BufferDescriptorInfo)) -> AllocationError {
        let mut info = descriptor();
        change(&mut info);
        Request::new(&info, Usage::NONE).unwrap_err().code()
    }

    #[test]
    fn unknown_usage_bits_and_options_are_unsupported() {
        assert_eq!(refusal(|d| d.usage = BufferUsage::NPU), AllocationError::UNSUPPORTED);
        assert_eq!(refusal(|d| d.usage = BufferUsage(-1)), AllocationError::UNSUPPORTED);
        assert_eq!(refusal(|d| d.usage = BufferUsage(i64::MIN)), AllocationError::UNSUPPORTED);
        let option = || ExtendableType { name: "x".into(), value: 0 };
        assert_eq!(refusal(|d| d.additionalOptions.push(option())), AllocationError::UNSUPPORTED);
    }

    #[test]
    fn of_all_options_one_dataspace_is_known() {
        let option = |name: &str, value| ExtendableType { name: name.into(), value };
        let mut info = descriptor();
        info.additionalOptions = vec![option(DATASPACE, 0x1000)];
        assert_eq!(Request::new(&info, Usage::NONE).unwrap().dataspace, Some(0x1000));
        for options in [
            vec![(DATASPACE, 1 << 32)],
            vec![(DATASPACE, 1), (DATASPACE, 1)],
            vec![(DATASPACE, 1), ("x", 1)],
            vec![("", 1)],
        ] {
            let all = || options.iter().map(|(name, value)| option(name, *value)).collect();
            let refused = refusal(|d| d.additionalOptions = all());
            assert_eq!(refused, AllocationError::UNSUPPORTED, "{options:?}");
        }
    }

    #[test]
    fn impossible_extents_are_bad_descriptors() {
        for n in [0, -1, i32::MIN] {
            assert_eq!(refusal(|d| d.width = n), AllocationError::BAD_DESCRIPTOR);
            assert_eq!(refusal(|d| d.height = n), AllocationError::BAD_DESCRIPTOR);
            assert_eq!(refusal(|d| d.layerCount = n), AllocationError::BAD_DESCRIPTOR);
        }
        assert_eq!(refusal(|d| d.reservedSize = -1), AllocationError::BAD_DESCRIPTOR);
    }

    #[test]
    fn protected_memory_for_the_cpu_is_unsupported() {
        let usage = BufferUsage::PROTECTED | BufferUsage::CPU_READ_RARELY;
        assert_eq!(refusal(|d| d.usage = usage), AllocationError::UNSUPPORTED);
    }

    #[test]
    fn an_unterminated_name_is_cut_and_controls_are_replaced() {
        let mut info = descriptor();
        info.name = [b'x'; 128];
        info.name[1] = b'\n';
        let name = Request::new(&info, Usage::NONE).unwrap().name;
        assert_eq!(name.len(), 127);
        assert!(name.starts_with("x?x"));
    }
}
