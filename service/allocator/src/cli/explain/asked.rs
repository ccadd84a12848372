// SPDX-License-Identifier: Apache-2.0
//! What a command line says of a request: the buffer, and who asks.

use dmaheap_aidl::allocator::BufferDescriptorInfo;
use dmaheap_aidl::binder::Caller;
use dmaheap_aidl::common::{BufferUsage, PixelFormat};
use dmaheap_buffer::{Format, Usage};

use super::{Arguments, CallerReport};
use crate::Policy;
use crate::policy::{ClassSet, Who};

/// A usage by its name, or by its bits as they are shown where they have none.
fn usage(policy: &Policy, name: &str) -> Result<Usage, Box<dyn std::error::Error>> {
    match name.strip_prefix("0x") {
        Some(bits) => Ok(Usage::new(u64::from_str_radix(bits, 16)?, policy.vendor_bits().bits())?),
        None if name == "NONE" => Ok(Usage::NONE),
        None => Ok(policy.usage(name)?),
    }
}

/// The descriptor of a request in these words.
pub(super) fn descriptor(
    policy: &Policy,
    usages: &str,
    format: &str,
    size: &str,
    layers: &str,
) -> Result<BufferDescriptorInfo, Box<dyn std::error::Error>> {
    let mut bits = Usage::NONE;
    for name in usages.split([',', '|']) {
        bits = bits | usage(policy, name)?;
    }
    let format = match format {
        "IMPLEMENTATION_DEFINED" => Format::IMPLEMENTATION_DEFINED,
        name => Format::from_name(name)?.code(),
    };
    let (width, height) = size.split_once('x').ok_or("write --size as 1920x1080")?;
    Ok(BufferDescriptorInfo {
        name: [0; 128],
        width: width.parse()?,
        height: height.parse()?,
        layerCount: layers.parse()?,
        format: PixelFormat(format),
        usage: BufferUsage(bits.bits().cast_signed()),
        reservedSize: 0,
        additionalOptions: Vec::new(),
    })
}

/// Who is said to ask: by `--as uid=10123`, `--as domain=untrusted_app`, or both.
/// If nothing is said, somebody of no class.
#[derive(Debug, Default)]
pub(super) struct Asker {
    pub uid: Option<u32>,
    pub domain: Option<String>,
}

impl Asker {
    pub fn parse(arguments: &mut Arguments) -> Result<Asker, Box<dyn std::error::Error>> {
        let mut asker = Asker::default();
        while let Some(said) = arguments.option("--as")? {
            for part in said.split(',') {
                match part.split_once('=') {
                    Some(("uid", uid)) => asker.uid = Some(uid.parse()?),
                    Some(("domain", domain)) => asker.domain = Some(domain.to_owned()),
                    _ => {
                        return Err(
                            "write --as uid=10123, --as domain=untrusted_app, or both".into()
                        );
                    }
                }
            }
        }
        Ok(asker)
    }

    pub fn caller(&self) -> Caller {
        let context = self.domain.as_ref().map(|domain| format!("u:r:{domain}:s0"));
        // The last is nobody's.
        Caller { uid: self.uid.unwrap_or(u32::MAX), context }
    }

    fn is_said(&self) -> bool {
        self.uid.is_some() || self.domain.is_some()
    }

    pub fn who<'c>(&self, policy: &Policy, caller: &'c Caller) -> Who<'c> {
        match self.is_said() {
            true => policy.who(caller),
            false => Who { caller, classes: ClassSet::default() },
        }
    }

    pub fn report(&self, policy: &Policy, who: Who<'_>) -> Option<CallerReport> {
        let Asker { uid, domain } = self;
        let classes = policy.classes.names(who.classes);
        self.is_said().then(|| CallerReport { uid: *uid, domain: domain.clone(), classes })
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;
    use std::path::Path;

    #[test]
    fn bits_without_a_name_are_usages_as_they_are_shown() {
        let virt = concat!(env!("CARGO_MANIFEST_DIR"), "/../etc/virt/heaps.toml");
        let (policy, _) = Policy::load(Path::new(virt)).unwrap();
        assert_eq!(usage(&policy, "0x20000").unwrap(), Usage::CAMERA_OUTPUT);
        assert_eq!(usage(&policy, "NONE").unwrap(), Usage::NONE);
        assert!(usage(&policy, "0x8").is_err());
    }
}
