// SPDX-License-Identifier: Apache-2.0
//! What is built once and kept, in the user's cache folder.
//!
//! An entry is a folder whose name holds a hash of all that went into it. It is made under another
//! name and renamed when it is whole, so an entry that exists is good, whenever a run was killed.
//! Locks are flocks: the kernel drops them with their holder.

use std::fs::{self, File};
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};

use nix::fcntl::{Flock, FlockArg};
use sha2::{Digest, Sha256};

use crate::error::{Error, OnFile, Result};

/// What the names of locks end in.
const LOCK: &str = ".lock";

/// Hash over everything that an entry depends on.
#[derive(Debug, Default, Clone)]
pub struct Key(Sha256);

impl Key {
    /// Adds one input; inputs cannot run into each other.
    pub fn with(mut self, input: impl AsRef<[u8]>) -> Self {
        let input = input.as_ref();
        self.0.update((input.len() as u64).to_le_bytes());
        self.0.update(input);
        self
    }

    /// Twelve hex digits: enough to tell apart what one person builds.
    pub fn digits(&self) -> String {
        self.0.clone().finalize().iter().take(6).map(|b| format!("{b:02x}")).collect()
    }
}

/// The cache folder.
#[derive(Debug)]
pub struct Cache {
    root: PathBuf,
}

impl Cache {
    /// `$XDG_CACHE_HOME/dmaheap-gralloc`, or below `~/.cache`.
    pub fn open() -> Result<Self> {
        let base = match std::env::var_os("XDG_CACHE_HOME").filter(|v| !v.is_empty()) {
            Some(base) => PathBuf::from(base),
            None => std::env::home_dir()
                .ok_or(Error::Usage("no home folder: set HOME or XDG_CACHE_HOME".into()))?
                .join(".cache"),
        };
        let root = base.join("dmaheap-gralloc");
        if root.to_string_lossy().contains([' ', ':']) {
            return Err(Error::Usage(format!(
                "the kernel's build takes no path with a space or a colon, as {} has; point \
                 XDG_CACHE_HOME at another",
                root.display()
            )));
        }
        fs::create_dir_all(&root).on("cannot make the cache folder", &root)?;
        Ok(Self { root })
    }

    /// A place of the cache by name, for those that keep their own order there.
    pub fn path(&self, name: &str) -> PathBuf {
        self.root.join(name)
    }

    /// The entry `name`; `make` fills the folder it is given if there is none yet.
    pub fn entry(&self, name: &str, make: impl FnOnce(&Path) -> Result<()>) -> Result<PathBuf> {
        let entry = self.path(name);
        if entry.exists() {
            return Ok(entry);
        }
        let _lock = self.lock(name)?;
        if entry.exists() {
            return Ok(entry);
        }
        let making = self.path(&format!("{name}.making"));
        // A killed run's leftovers.
        if making.exists() {
            fs::remove_dir_all(&making).on("cannot remove", &making)?;
        }
        fs::create_dir(&making).on("cannot make", &making)?;
        if let Err(error) = make(&making) {
            // The error is what matters; the leftovers go at the next try if not now. Logs that
            // the error names stay.
            if !matches!(error, Error::Tool { .. }) {
                let _ = fs::remove_dir_all(&making);
            }
            return Err(error);
        }
        fs::rename(&making, &entry).on("cannot rename to", &entry)?;
        Ok(entry)
    }

    /// Removes all but the `keep` newest of the entries whose names `is_one` accepts. Whoever calls
    /// it holds the lock that those who use them hold.
    pub fn forget(&self, keep: usize, is_one: impl Fn(&str) -> bool) -> Result<()> {
        let mut found = Vec::new();
        for (name, path) in self.contents()? {
            if is_one(&name) && !name.ends_with(LOCK) {
                let made = fs::metadata(&path).and_then(|m| m.modified());
                found.push((made.on("cannot read", &path)?, path));
            }
        }
        found.sort_by(|a, b| b.cmp(a));
        found.into_iter().skip(keep).try_for_each(|(_, path)| remove(&path))
    }

    /// Removes everything; name and size in bytes of each part.
    pub fn clear(&self) -> Result<Vec<(String, u64)>> {
        let _kernel = self.lock("kernel")?;
        let mut freed = Vec::new();
        for (name, path) in self.contents()? {
            freed.push((name, size(&path)?));
            remove(&path)?;
        }
        freed.sort_by_key(|(_, size)| std::cmp::Reverse(*size));
        Ok(freed)
    }

    fn contents(&self) -> Result<Vec<(String, PathBuf)>> {
        let mut contents = Vec::new();
        for entry in fs::read_dir(&self.root).on("cannot read", &self.root)? {
            let entry = entry.on("cannot read", &self.root)?;
            contents.push((entry.file_name().to_string_lossy().into_owned(), entry.path()));
        }
        Ok(contents)
    }

    /// Waits until no other run holds the lock `name`.
    pub fn lock(&self, name: &str) -> Result<Flock<File>> {
        let path = self.path(&format!("{name}{LOCK}"));
        let open = || File::options().create(true).append(true).open(&path);
        let file = open().on("cannot open", &path)?;
        match Flock::lock(file, FlockArg::LockExclusiveNonblock) {
            Ok(lock) => return Ok(lock),
            Err(_) => eprintln!("waiting for another run that is making {name}"),
        }
        let file = open().on("cannot open", &path)?;
        Flock::lock(file, FlockArg::LockExclusive).map_err(|(_, errno)| Error::File {
            what: "cannot lock",
            path,
            source: errno.into(),
        })
    }
}

fn remove(path: &Path) -> Result<()> {
    let removed = if path.is_dir() { fs::remove_dir_all(path) } else { fs::remove_file(path) };
    removed.on("cannot remove", path)
}

/// Bytes on the disk of all that is below `path`.
fn size(path: &Path) -> Result<u64> {
    let metadata = fs::symlink_metadata(path).on("cannot read", path)?;
    let mut bytes = metadata.blocks() * 512;
    if metadata.is_dir() {
        for entry in fs::read_dir(path).on("cannot read", path)? {
            bytes += size(&entry.on("cannot read", path)?.path())?;
        }
    }
    Ok(bytes)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn cache() -> (tempfile::TempDir, Cache) {
        let here = tempfile::tempdir().unwrap();
        let root = here.path().to_owned();
        (here, Cache { root })
    }

    #[test]
    fn an_entry_is_made_once() {
        let (_here, cache) = cache();
        let mut made = 0;
        for _ in 0..2 {
            let entry = cache
                .entry("x", |dir| {
                    made += 1;
                    fs::write(dir.join("file"), "content").on("cannot write", dir)
                })
                .unwrap();
            assert_eq!(fs::read(entry.join("file")).unwrap(), b"content");
        }
        assert_eq!(made, 1);
    }

    #[test]
    fn what_a_failed_or_killed_run_left_is_never_taken_for_an_entry() {
        let (_here, cache) = cache();
        cache.entry("x", |_| Err(Error::Usage("no".into()))).unwrap_err();
        fs::create_dir(cache.path("x.making")).unwrap();
        fs::write(cache.path("x.making").join("half"), "").unwrap();
        let entry = cache.entry("x", |_| Ok(())).unwrap();
        assert!(!entry.join("half").exists());
    }

    #[test]
    fn old_entries_of_a_kind_are_forgotten_and_all_are_cleared() {
        let (_here, cache) = cache();
        for (name, age) in [("a-1", 3), ("a-2", 2), ("a-3", 1), ("b-1", 9)] {
            let entry = cache.entry(name, |_| Ok(())).unwrap();
            let time = std::time::SystemTime::now() - std::time::Duration::from_secs(age);
            File::open(entry).unwrap().set_modified(time).unwrap();
        }
        cache.forget(1, |name| name.starts_with("a-")).unwrap();
        let exists = |name| cache.path(name).exists();
        assert!(exists("a-3") && exists("b-1") && !exists("a-1") && !exists("a-2"));

        fs::write(cache.path("b-1/file"), vec![1; 100_000]).unwrap();
        let freed = cache.clear().unwrap();
        assert!(freed[0].0 == "b-1" && freed[0].1 >= 100_000, "{freed:?}");
        assert_eq!(fs::read_dir(&cache.root).unwrap().count(), 0);
    }

    #[test]
    fn inputs_of_a_key_do_not_run_into_each_other() {
        let key = |a: &str, b: &str| Key::default().with(a).with(b).digits();
        assert_ne!(key("ab", "c"), key("a", "bc"));
    }
}
