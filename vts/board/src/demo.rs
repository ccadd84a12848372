// SPDX-License-Identifier: Apache-2.0
//! Without a command: the demonstration, run in the board by the guest's `demo` program.

use std::fs;
use std::process::ExitCode;

use board::{Board, Boot, Guest, Result, results};

use crate::exec::{code_of, pass_on};

/// Where the guest writes the camera's picture.
pub const PICTURE: &str = "/tmp/camera.png";

/// Boots, prints the tables, and brings the camera's picture and the screen's to the host.
pub fn show(board: &Board, install: bool) -> Result<ExitCode> {
    let mut guest = Guest::boot(board, &Boot { install, ..Boot::default() })?;
    let (picture, screen) = (results().join("camera.png"), results().join("screen.png"));
    // What an earlier run left is not this one's.
    let _ = fs::remove_file(&screen);
    let command = ["demo", "--picture", PICTURE, "--screen"].map(str::to_owned);
    let exit = guest.run_before_camera(&command, pass_on, |shown| shown.shoot(&screen))?;
    guest.pull(PICTURE, &picture)?;
    println!("the camera's picture: target/board/camera.png, the screen: target/board/screen.png");
    Ok(code_of(exit))
}
