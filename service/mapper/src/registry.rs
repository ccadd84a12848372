// SPDX-License-Identifier: Apache-2.0
//! Which handles are imports of this process.
//!
//! A client hands in an address; it is looked up here and never followed. So a
//! raw handle, a foreign pointer and a handle that was freed before are all
//! the same: not imported. An import that is freed while another thread uses
//! it lives until that thread is done.

use crate::error::{Error, Result};
use crate::import::{Import, RawHandle};
use crate::slab::{Slab, Used};

/// The address of the native handle of an import, and of the import.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Address(pub usize);

static IMPORTS: Slab<Import> = Slab::new();

/// Imports a handle; what the client gets is the address of [`Used`].
///
/// # Errors
/// Those of [`Import::new`]; [`Error::TooManyImports`].
pub fn import(raw: &RawHandle) -> Result<Used<Import>> {
    IMPORTS.insert(Import::new(raw)?).ok_or(Error::TooManyImports)
}

/// Ends an import.
///
/// # Errors
/// [`Error::NotImported`].
pub fn free(address: Address) -> Result<()> {
    if IMPORTS.remove(address.0) { Ok(()) } else { Err(Error::NotImported) }
}

/// The import of this handle.
///
/// # Errors
/// [`Error::NotImported`].
pub fn find(address: Address) -> Result<Used<Import>> {
    IMPORTS.find(address.0).ok_or(Error::NotImported)
}

/// All imports there are now.
pub fn all() -> Vec<Used<Import>> {
    IMPORTS.all()
}
