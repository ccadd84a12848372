// SPDX-License-Identifier: Apache-2.0
//! `shell`: a terminal in the board.

use std::io::{IsTerminal, stdin};
use std::process::ExitCode;

use board::{Board, Boot, Error, Guest, Result};
use board_channel::wire::{Input, TerminalSize};
use console::Term;
use nix::sys::termios::{SetArg, Termios, cfmakeraw, tcgetattr, tcsetattr};

use crate::exec::{code_of, pass_on};

/// Boots and hands the terminal over until the shell ends.
pub fn open(board: &Board, install: bool) -> Result<ExitCode> {
    if !stdin().is_terminal() {
        return Err(Error::Usage(
            "shell wants a terminal; to run one command use: cargo run -- exec -- COMMAND".into(),
        ));
    }
    let boot = Boot { install, timeout: None, ..Boot::default() };
    let mut guest = Guest::boot(board, &boot)?;
    eprintln!("the board is up; exit or ^D ends it");
    let raw = RawTerminal::enter()?;
    let (rows, columns) = Term::stdout().size();
    let size = TerminalSize { columns, rows };
    let argv = ["sh", "-l"].map(str::to_owned);
    let exit = guest.run_with(&argv, Input::Terminal(size), stdin(), pass_on);
    drop(raw);
    exit.map(code_of)
}

/// The host's terminal passing every key on, until dropped.
struct RawTerminal(Termios);

impl RawTerminal {
    fn enter() -> Result<Self> {
        let fail = |errno| Error::Usage(format!("cannot set up the terminal: {errno}"));
        let before = tcgetattr(stdin()).map_err(fail)?;
        let mut raw = before.clone();
        cfmakeraw(&mut raw);
        tcsetattr(stdin(), SetArg::TCSANOW, &raw).map_err(fail)?;
        Ok(Self(before))
    }
}

impl Drop for RawTerminal {
    fn drop(&mut self) {
        // Nothing better can be done about a terminal that went away.
        let _ = tcsetattr(stdin(), SetArg::TCSANOW, &self.0);
    }
}
