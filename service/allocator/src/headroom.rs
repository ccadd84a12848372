// SPDX-License-Identifier: Apache-2.0
//! Memory that the system can spare.
//!
//! A heap of scattered pages takes them from everybody, and the kernel answers
//! a shortage by ending processes; a dma-buf is charged to none of them, so it
//! ends the wrong one. A request that does not fit into what is available is
//! therefore refused before it is made, with all that other requests were let
//! in for and may not have taken yet. Heaps of contiguous regions have their own
//! memory and need no such care.
//!
//! **The margin.** What the kernel calls available is its estimate, and while a
//! request is served others in the system take memory, too: a 64th of all memory
//! must be left, and 16 MiB at least.
//!
//! Mostly there is free memory enough, which one cheap call tells. Only when it
//! is not, it matters what the kernel could free, and that takes reading a
//! file. It is read under the lock under which requests are let in, so that
//! none is refused for the sake of another that is refused as well.
//!
//! Where that file cannot be read nothing is guessed: a limit of the policy file
//! on all scattered memory holds instead ([`Headroom::is_blind`]).

use std::path::{Path, PathBuf};
use std::sync::{Mutex, MutexGuard, OnceLock, PoisonError};

use dmaheap_buffer::Bytes;
use dmaheap_dmabuf::kernel::MemInfo;
use nix::sys::sysinfo::sysinfo;

use crate::error::{Error, Result};

/// Small requests do not look each time, but once for each so many bytes.
const UNSEEN: u64 = 1024 * 1024;

/// The least that must be left.
const LEAST_MARGIN: u64 = 16 * 1024 * 1024;
/// And the part of all memory.
const PART: u64 = 64;

/// Watches the system's memory.
#[derive(Debug)]
pub struct Headroom {
    meminfo: PathBuf,
    margin: Bytes,
    state: Mutex<State>,
    /// All of the system's CMA memory.
    cma: OnceLock<Bytes>,
}

#[derive(Debug, Default)]
struct State {
    in_flight: Bytes,
    /// Of small requests, since the last look.
    unseen: u64,
    /// Why nothing is known.
    blind: Option<String>,
}

/// Memory that is about to be taken. Once it is dropped, what was taken of it
/// shows in what is available.
#[derive(Debug)]
#[must_use]
pub struct Flight<'h> {
    headroom: &'h Headroom,
    size: Bytes,
}

impl Headroom {
    /// That of this machine, which is looked at for the first time.
    pub fn of_this_machine() -> Headroom {
        Headroom::reading(Path::new("/proc/meminfo"))
    }

    fn reading(meminfo: &Path) -> Headroom {
        let all = sysinfo().map_or(0, |info| info.ram_total());
        let headroom = Headroom {
            meminfo: meminfo.to_owned(),
            margin: Bytes((all / PART).max(LEAST_MARGIN)),
            state: Mutex::default(),
            cma: OnceLock::new(),
        };
        // Whether it can.
        let _ = headroom.look(&mut headroom.lock(), Bytes(0));
        headroom
    }

    /// Why it is not known what the system can spare, if it is not.
    pub fn is_blind(&self) -> Option<String> {
        self.lock().blind.clone()
    }

    /// The same as of now: a dump shall not say what was so once.
    pub fn look_again(&self) -> Option<String> {
        self.see(&mut self.lock()).err()
    }

    /// Lets a request of `size` in.
    ///
    /// # Errors
    /// [`Error::NoMemory`] if the system cannot spare it; [`Error::Blind`] if that
    /// could be told until now, and no longer can.
    pub fn admit(&self, size: Bytes) -> Result<Flight<'_>> {
        if size.0 == 0 {
            return Ok(Flight { headroom: self, size });
        }
        let mut state = self.lock();
        let was_blind = state.blind.is_some();
        state.unseen = state.unseen.saturating_add(size.0);
        if was_blind || state.unseen >= UNSEEN {
            match self.look(&mut state, size) {
                // The limit that holds instead has let it pass.
                Err(Error::Blind { .. }) if was_blind => {}
                looked => looked?,
            }
            state.unseen = 0;
        }
        state.in_flight = Bytes(state.in_flight.0.saturating_add(size.0));
        Ok(Flight { headroom: self, size })
    }

    fn look(&self, state: &mut State, size: Bytes) -> Result<()> {
        let needed = state.in_flight.0.saturating_add(self.margin.0).saturating_add(size.0);
        let needed = Bytes(needed);
        if state.blind.is_none() && self.is_free(needed) {
            return Ok(());
        }
        let available = self.see(state).map_err(|cause| Error::Blind { size, cause })?;
        if needed < available {
            return Ok(());
        }
        let (in_flight, margin) = (state.in_flight, self.margin);
        Err(Error::NoMemory { size, available, in_flight, margin })
    }

    /// What is available, and a note of whether that could be told. It is said loudly when it no
    /// longer can, whoever finds out.
    fn see(&self, state: &mut State) -> std::result::Result<Bytes, String> {
        let seen = self.available();
        let before = std::mem::replace(&mut state.blind, seen.as_ref().err().cloned());
        if let (None, Some(cause)) = (before, &state.blind) {
            log::error!(
                "what memory the system can spare is not known: {cause}; the policy file's \
                 `blind` limits all scattered memory instead"
            );
        }
        seen
    }

    /// Whether so much is free even if all of the CMA memory is. Only where it is
    /// known how much that is.
    fn is_free(&self, needed: Bytes) -> bool {
        let Some(cma) = self.cma.get() else { return false };
        let free = sysinfo().map_or(0, |info| info.ram_unused());
        cma.checked_add(needed).is_some_and(|needed| needed.0 < free)
    }

    fn available(&self) -> std::result::Result<Bytes, String> {
        let path = self.meminfo.display();
        let meminfo = MemInfo::read_at(&self.meminfo).map_err(|e| format!("{path}: {e}"))?;
        let available = available(&meminfo).ok_or(format!("{path} has no MemAvailable"))?;
        // Boards without CMA have no such line.
        let _ = self.cma.set(meminfo.value("CmaTotal").unwrap_or_default());
        Ok(available)
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Drop for Flight<'_> {
    fn drop(&mut self) {
        let mut state = self.headroom.lock();
        state.in_flight = Bytes(state.in_flight.0.saturating_sub(self.size.0));
    }
}

/// What can be had without ending a process. Free CMA memory counts as
/// available to the kernel, but a heap's pages cannot be moved and so cannot
/// come from it.
fn available(meminfo: &MemInfo) -> Option<Bytes> {
    let lent = meminfo.value("CmaFree").unwrap_or_default();
    Some(Bytes(meminfo.value("MemAvailable")?.0.saturating_sub(lent.0)))
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::fs;

    const MIB: u64 = 1 << 20;

    #[test]
    fn free_cma_memory_is_not_available() {
        let available = |text| available(&MemInfo::new(text));
        let lent = "MemFree:  900 kB\nMemAvailable:    1000 kB\nCmaFree:          300 kB\n";
        assert_eq!(available(lent), Some(Bytes(700 * 1024)));
        assert_eq!(available("MemAvailable: 5 kB\n"), Some(Bytes(5 * 1024)));
        assert_eq!(available(""), None);
    }

    /// A system that has so much beyond the margin, and nothing that is simply free.
    fn with(spare: u64) -> (tempfile::NamedTempFile, Headroom) {
        let file = tempfile::NamedTempFile::new().unwrap();
        let margin = Headroom::of_this_machine().margin.0;
        let (available, all) = (spare.saturating_add(margin) / 1024, u64::MAX / 4096);
        let text = format!("MemAvailable: {available} kB\nCmaTotal: {all} kB\n");
        fs::write(file.path(), text).unwrap();
        let headroom = Headroom::reading(file.path());
        (file, headroom)
    }

    #[test]
    fn more_than_there_is_is_refused_at_once() {
        let headroom = Headroom::of_this_machine();
        assert!(matches!(headroom.admit(Bytes(u64::MAX)), Err(Error::NoMemory { .. })));
        assert!(headroom.admit(Bytes(4096)).is_ok());
    }

    #[test]
    fn what_others_were_let_in_for_is_not_there() {
        let (_file, headroom) = with(100 * MIB);
        let first = headroom.admit(Bytes(60 * MIB)).unwrap();
        let refused = headroom.admit(Bytes(60 * MIB)).unwrap_err();
        assert!(matches!(refused, Error::NoMemory { in_flight, .. } if in_flight.0 == 60 * MIB));
        let second = headroom.admit(Bytes(39 * MIB)).unwrap();
        drop(first);
        assert!(headroom.admit(Bytes(60 * MIB)).is_ok());
        drop(second);
        assert_eq!(headroom.lock().in_flight, Bytes(0));
    }

    #[test]
    fn small_requests_look_once_for_each_mebibyte() {
        let (file, headroom) = with(MIB);
        fs::write(file.path(), "MemAvailable: 0 kB\n").unwrap();
        let small = Bytes(UNSEEN / 4);
        let let_in: Vec<bool> = (0..5).map(|_| headroom.admit(small).is_ok()).collect();
        assert_eq!(let_in, [true, true, true, false, false]);
    }

    #[test]
    fn nobody_guesses_where_nothing_is_known() {
        let (file, headroom) = with(100 * MIB);
        assert_eq!(headroom.is_blind(), None);
        fs::write(file.path(), "MemFree: 5 kB\n").unwrap();
        // The first that meets it is refused; then the policy's limit is in force.
        assert!(matches!(headroom.admit(Bytes(MIB)), Err(Error::Blind { .. })));
        assert!(headroom.is_blind().is_some_and(|why| why.contains("MemAvailable")));
        assert!(headroom.admit(Bytes(MIB)).is_ok());
        fs::write(file.path(), "MemAvailable: 5 kB\n").unwrap();
        assert!(matches!(headroom.admit(Bytes(MIB)), Err(Error::NoMemory { .. })));
        assert_eq!(headroom.is_blind(), None);

        let missing = Headroom::reading(Path::new("/nonexistent"));
        assert!(missing.is_blind().is_some());
    }
}
