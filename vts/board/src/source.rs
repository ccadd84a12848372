// SPDX-License-Identifier: Apache-2.0
//! The kernel's source, for those who look at it or compile parts of it, but no kernel.

use std::fs::{self, File};
use std::path::{Path, PathBuf};

use nix::fcntl::Flock;

use crate::boards::{self, Board};
use crate::cache::Cache;
use crate::error::{OnFile, Result};
use crate::kbuild::Kbuild;
use crate::{kernel, packages};

pub use crate::kernel::{DRIVER, DriverFiles, driver_files};

/// The unpacked tree of the board's kernel. Other runs may exchange the driver's files in it.
pub fn tree(board: &Board) -> Result<PathBuf> {
    let cache = Cache::open()?;
    packages::provide(board, &packages::CHECKERS, &cache, packages::may_install())?;
    kernel::source_tree(board, &cache)
}

/// The browser that tests look at pages with.
pub fn browser() -> Result<()> {
    let cache = Cache::open()?;
    packages::provide(&boards::VIRT, &packages::BROWSER, &cache, packages::may_install())
}

/// The tree with this repository's driver in it, and objects of a configuration of its own, so
/// that nothing the board's kernel is built from changes. While it lives, no other run builds.
pub struct Workbench<'a> {
    kbuild: Kbuild<'a>,
    _lock: Flock<File>,
}

impl<'a> Workbench<'a> {
    /// Sets up what compiling in the tree needs, with the board's configuration and `more` lines.
    pub fn open(board: &'a Board, more: &str) -> Result<Self> {
        let tree = tree(board)?;
        let cache = Cache::open()?;
        let lock = cache.lock("kernel")?;
        kernel::copy_driver(&tree, &kernel::driver_files()?)?;
        let folder = cache.path(&format!("workbench-{}", board.name));
        fs::create_dir_all(&folder).on("cannot make", &folder)?;
        let kbuild = Kbuild { board, tree, folder };
        let fragment = kernel::fragment(board)? + more;
        kbuild.configure(&fragment, &board.kernel.origin())?;
        kbuild.make(&["modules_prepare"], |_| ())?;
        Ok(Self { kbuild, _lock: lock })
    }

    /// Where the objects are.
    pub fn folder(&self) -> &Path {
        &self.kbuild.folder
    }

    /// Makes the goals, which may set variables; all that make and the compiler say.
    pub fn make(&self, goals: &[&str]) -> Result<String> {
        let mut said = String::new();
        self.kbuild.make(goals, |line| {
            said.push_str(line);
            said.push('\n');
        })?;
        Ok(said)
    }
}
