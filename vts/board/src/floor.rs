// SPDX-License-Identifier: Apache-2.0
//! The floor under the allocator: a server and a client in C (`vts/suite/c/floor.c`) that make the
//! system calls that a HAL and its client must make, measured in the same boot.

use std::path::{Path, PathBuf};
use std::process::Command;

use board::{Board, Error, Guest, Result, repository, results};
use board_channel::wire::Exit;

use crate::bench::{Comparison, Series};

/// What the allocator's group measures and the floor can do: its name there, the floor's words for it,
/// and the rounds.
const CALLS: [(&str, &str, u32); 5] = [
    ("isSupported", "ask 0", 100),
    ("allocate2 4 KiB", "allocate 4096", 200),
    ("allocate2 1 MiB", "allocate 1048576", 60),
    ("allocate2 8100 KiB", "allocate 8294400", 30),
    ("allocate2 32 MiB", "allocate 33554432", 10),
];

/// Compiles it for the board.
pub fn build(board: &Board) -> Result<PathBuf> {
    let program = results().join("floor");
    let mut gcc = Command::new(format!("{}gcc", board.target.cross_compile));
    gcc.args(["-std=gnu11", "-O2", "-Wall", "-Wextra", "-Werror", "-static", "-o"]);
    gcc.arg(&program).arg(repository().join("vts/suite/c/floor.c"));
    let output = gcc.output().map_err(|error| Error::Usage(format!("{gcc:?}: {error}")))?;
    match output.status.success() {
        true => Ok(program),
        false => Err(Error::Usage(String::from_utf8_lossy(&output.stderr).into_owned())),
    }
}

/// Sets what was measured of the allocator beside the floor.
pub fn measure(guest: &mut Guest, program: &Path, ours: &[Comparison]) -> Result<Vec<Comparison>> {
    guest.push(program, "/tmp/floor")?;
    let mut all = Vec::new();
    for (name, words, rounds) in CALLS {
        let Some(one) = ours.iter().find(|one| one.name == name) else { continue };
        let output = guest.shell(&format!("/tmp/floor {words} {rounds}"))?;
        if output.exit != Exit::Code(0) {
            return Err(Error::Refused(output.stderr));
        }
        let nanos = output.stdout.lines().map(str::parse).collect::<std::result::Result<_, _>>();
        let nanos = nanos.map_err(|error| Error::Refused(format!("floor {words}: {error}")))?;
        let baseline = Series { label: "C floor".to_owned(), nanos };
        let (name, ours) = (name.to_owned(), one.ours.clone());
        all.push(Comparison { name, ours, baseline, target: None });
    }
    Ok(all)
}
