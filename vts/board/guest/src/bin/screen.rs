// SPDX-License-Identifier: Apache-2.0
//! Puts pictures onto the screen for somebody who looks at it from outside.
//!
//! `screen draw COUNT` shows COUNT drawn pictures in a ring, and `screen camera FILE` a
//! camera's frame, of which FILE gets the bytes. Each says so in a line when its last picture is on
//! the screen, and keeps it there until the end of its input; with COUNT 0 it goes on drawing until
//! then.

use std::error::Error;
use std::io::{self, Read};
use std::process::ExitCode;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::Duration;

use board_channel::ON_SCREEN;
use dmaheap_suite::compositor;

type Result<T> = std::result::Result<T, Box<dyn Error>>;

fn main() -> ExitCode {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let arguments: Vec<&str> = arguments.iter().map(String::as_str).collect();
    let done = match arguments[..] {
        ["draw", "0"] => draw_on(),
        ["draw", count] => draw(count),
        ["camera", file] => camera(file),
        _ => Err("usage: screen draw COUNT | camera FILE".into()),
    };
    match done {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("screen: {error}");
            ExitCode::FAILURE
        }
    }
}

fn draw(count: &str) -> Result<()> {
    let count: u64 = count.parse()?;
    compositor::draw(0..count, |number| if number + 1 == count { show() } else { Ok(()) })
}

fn draw_on() -> Result<()> {
    let over = Arc::new(AtomicBool::new(false));
    let go_on = |_: &u64| !over.load(Ordering::Relaxed);
    compositor::draw((0..).take_while(go_on), |number| {
        if number == 0 {
            let over = Arc::clone(&over);
            thread::spawn(move || {
                // If nobody can be told, nobody looks.
                let _ = show();
                over.store(true, Ordering::Relaxed);
            });
        }
        Ok(())
    })
}

fn camera(file: &str) -> Result<()> {
    compositor::show_camera(Duration::ZERO, |frame, _| {
        std::fs::write(file, frame.pixels.map()?.read()?)?;
        show()
    })
    .map(drop)
}

/// Says that the picture is there, and waits until it was looked at.
fn show() -> Result<()> {
    println!("{ON_SCREEN}");
    io::stdin().read_to_end(&mut Vec::new())?;
    Ok(())
}
