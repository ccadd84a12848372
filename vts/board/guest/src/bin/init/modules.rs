// SPDX-License-Identifier: Apache-2.0
//! The kernel's modules, loaded before anything asks for what they bring, as Android's init does it.

use std::ffi::CString;
use std::fs::{self, File};
use std::io;
use std::path::Path;

use nix::kmod::{ModuleInitFlags, finit_module};

/// Loads every module of the folder, if there is one, in the order of their names, with its
/// parameters of the kernel's command line.
pub fn load_all(folder: &Path) -> io::Result<()> {
    if !folder.exists() {
        return Ok(());
    }
    let command_line = fs::read_to_string("/proc/cmdline")?;
    let paths = fs::read_dir(folder)?.map(|entry| entry.map(|entry| entry.path()));
    let mut paths = paths.collect::<io::Result<Vec<_>>>()?;
    paths.sort();
    for path in paths {
        let name = path.file_stem().unwrap_or_default().to_string_lossy();
        let parameters = CString::new(parameters(&command_line, &name))?;
        finit_module(File::open(&path)?, &parameters, ModuleInitFlags::empty())
            .map_err(|errno| io::Error::other(format!("loading {}: {errno}", path.display())))?;
    }
    Ok(())
}

/// What the command line says behind `MODULE.`.
fn parameters(command_line: &str, module: &str) -> String {
    let words = command_line.split_whitespace();
    let own = words.filter_map(|word| word.strip_prefix(module)?.strip_prefix('.'));
    own.collect::<Vec<_>>().join(" ")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn parameters_are_those_of_the_module() {
        let line = "quiet a.held=x,y@1 ab.held=2 a=3 a.held=z\n";
        assert_eq!(parameters(line, "a"), "held=x,y@1 held=z");
        assert_eq!(parameters(line, "b"), "");
    }
}
