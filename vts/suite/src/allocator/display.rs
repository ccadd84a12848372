// SPDX-License-Identifier: Apache-2.0
//! What the board's policy is for: who needs contiguous memory has it, and an app's window does
//! without, on a display that shows nothing else.

use std::time::Duration;

use libtest_mimic::Trial;

use crate::client::Client;
use crate::compositor;
use crate::display::{Display, Refusal};
use crate::harness::{Outcome, effort};
use crate::heap::scattered;
use crate::service::trial;
use dmaheap_buffer::Usage;

/// What nearly every app's window asks for.
const WINDOW: Usage = Usage::GPU_TEXTURE.union(Usage::GPU_RENDER_TARGET);

/// Four times around the ring.
const PICTURES: u64 = 12;

pub fn trials() -> Vec<Trial> {
    vec![
        trial("display::shows_what_a_compositor_draws", compositor),
        trial("display::shows_a_cameras_frames_without_a_copy", camera),
        trial("display::refuses_a_window", window),
    ]
}

fn compositor() -> Outcome {
    compositor::draw(0..PICTURES, |_| Ok(()))
}

/// Each frame that is captured is shown, whole. How many there are, a machine's speed decides.
fn camera() -> Outcome {
    // Who has no display says so here.
    Display::open()?;
    let time = Duration::from_secs(effort("SUITE_SECONDS", 10)?);
    let stream = compositor::show_camera(time, |_, _| Ok(()))?;
    eprintln!("{stream:?} in {} s", time.as_secs());
    Ok(())
}

fn window() -> Outcome {
    let display = Display::open()?;
    let client = Client::connect()?;
    let window =
        scattered(|| compositor::buffer(&client, "window", WINDOW), |window| &window.pixels)?;
    match compositor::import(&display, &window) {
        Err(error) => match error.downcast_ref() {
            Some(Refusal::Import(nix::Error::EINVAL)) => Ok(()),
            _ => Err(error),
        },
        Ok(_) => Err("the display takes memory that it cannot scan out".into()),
    }
}
