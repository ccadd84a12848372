// SPDX-License-Identifier: Apache-2.0
//! Without a command: the demonstration, run in the board by the guest's `demo` program.

use std::process::ExitCode;

use board::{Board, Boot, Guest, Result, results};

use crate::exec::{code_of, pass_on};

/// Where the guest writes the camera's picture.
pub const PICTURE: &str = "/tmp/camera.png";

/// Boots, prints the table, and brings the camera's picture to the host.
pub fn show(board: &Board, install: bool) -> Result<ExitCode> {
    let mut guest = Guest::boot(board, &Boot { install, ..Boot::default() })?;
    let exit = guest.run(&["demo".into(), "--picture".into(), PICTURE.into()], pass_on)?;
    let picture = results().join("camera.png");
    guest.pull(PICTURE, &picture)?;
    println!("the camera's picture: target/board/camera.png");
    Ok(code_of(exit))
}
