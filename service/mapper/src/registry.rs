// SPDX-License-Identifier: Apache-2.0
//! Which handles are imports of this process.
//!
//! A client hands in an address; it is looked up here and never followed. So a
//! raw handle, a foreign pointer and a handle that was freed before are all
//! the same: not imported. An import that is freed while another thread uses
//! it lives until that thread is done.

use std::collections::BTreeMap;
use std::sync::{Arc, PoisonError, RwLock, RwLockReadGuard, RwLockWriteGuard};

use crate::error::{Error, Result};
use crate::import::{Import, RawHandle};

/// The address of the native handle of an import.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct Address(pub usize);

// Not a HashMap: its random seed costs a system call that a strict seccomp
// filter may not expect.
type Imports = BTreeMap<Address, Arc<Import>>;

static IMPORTS: RwLock<Imports> = RwLock::new(BTreeMap::new());

/// Imports a handle; what the client gets is [`Import::native`].
///
/// # Errors
/// Those of [`Import::new`].
pub fn import(raw: &RawHandle) -> Result<Arc<Import>> {
    let import = Arc::new(Import::new(raw)?);
    let address = Address(import.native().as_ptr().addr());
    write().insert(address, import.clone());
    Ok(import)
}

/// Ends an import.
///
/// # Errors
/// [`Error::NotImported`].
pub fn free(address: Address) -> Result<()> {
    let import = write().remove(&address);
    // Dropped without the lock.
    import.map(drop).ok_or(Error::NotImported)
}

/// The import of this handle.
///
/// # Errors
/// [`Error::NotImported`].
pub fn find(address: Address) -> Result<Arc<Import>> {
    read().get(&address).cloned().ok_or(Error::NotImported)
}

/// All imports there are now.
pub fn all() -> Vec<Arc<Import>> {
    read().values().cloned().collect()
}

fn read() -> RwLockReadGuard<'static, Imports> {
    IMPORTS.read().unwrap_or_else(PoisonError::into_inner)
}

fn write() -> RwLockWriteGuard<'static, Imports> {
    IMPORTS.write().unwrap_or_else(PoisonError::into_inner)
}
