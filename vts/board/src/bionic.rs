// SPDX-License-Identifier: Apache-2.0
//! What a program for Android finds on the board, which has glibc: a linker and three libraries of the
//! names that it asks for. Most names mean the same in both C libraries; `guest/bionic` has the others.
//! Real bionic is not to be had: it is built in Android's tree only.

use std::path::{Path, PathBuf};
use std::process::Command;

use crate::boards::Board;
use crate::error::Result;
use crate::place::repository;
use crate::tool;

/// What programs name as their linker.
pub const LINKER: &str = "/system/bin/linker64";
/// What answers.
pub const GLIBCS_LINKER: &str = "/lib/ld-linux-aarch64.so.1";

/// Compiles the libraries into `folder`. Of libdl glibc has all in its C library, which an empty one
/// refers to.
pub fn libraries(board: &Board, folder: &Path) -> Result<[PathBuf; 3]> {
    let source = repository().join("vts/board/guest/bionic");
    let compile = |name: &str, source: &Path| {
        let library = folder.join(format!("{name}.so"));
        let mut gcc = Command::new(format!("{}gcc", board.target.cross_compile));
        gcc.args(["-std=gnu11", "-O2", "-Wall", "-Wextra", "-Werror", "-shared", "-fPIC"]);
        gcc.args(["-Wl,--no-as-needed", &format!("-Wl,-soname,{name}.so"), "-xc", "-o"]);
        gcc.arg(&library).arg(source);
        tool::output("compiling a library in place of Android's", &mut gcc).map(|_| library)
    };
    Ok([
        compile("libc", &source.join("libc.c"))?,
        compile("liblog", &source.join("liblog.c"))?,
        compile("libdl", Path::new("/dev/null"))?,
    ])
}
