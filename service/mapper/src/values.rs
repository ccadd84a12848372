// SPDX-License-Identifier: Apache-2.0
//! A buffer's standard metadata, as its clients get and set it.

use dmaheap_buffer::{Type, Value, settable};

use crate::error::{Error, Result};
use crate::import::Import;

/// The encoded value; no bytes for an HDR value that is unset.
///
/// # Errors
/// [`Error::BadMetadata`] if others change it again and again.
pub fn get(import: &Import, kind: Type) -> Result<Vec<u8>> {
    let value = import.settable()?.current(kind, &import.handle, &import.header);
    Ok(value.map_err(Error::BadMetadata)?.encode())
}

/// Sets a value for every holder of the buffer.
///
/// # Errors
/// [`Error::Constant`] for what never changes; [`Error::BadMetadata`] for
/// bytes that are no value for this buffer.
pub fn set(import: &Import, kind: Type, bytes: &[u8]) -> Result<()> {
    if !settable::is_settable(kind) {
        return Err(Error::Constant(kind));
    }
    let value = Value::decode(kind, bytes).map_err(Error::BadMetadata)?;
    if !value.fits(&import.handle.layout) {
        return Err(Error::BadMetadata(dmaheap_buffer::Error::BadValue(kind)));
    }
    let content = value.content();
    import.settable()?.write(kind, content.as_deref()).map_err(Error::BadMetadata)
}

/// Everything about a buffer that is set, for a dump.
pub fn dump(import: &Import) -> impl Iterator<Item = (Type, Vec<u8>)> {
    let values = Type::ALL.iter().map(|kind| (*kind, get(import, *kind).unwrap_or_default()));
    values.filter(|(_, value)| !value.is_empty())
}
