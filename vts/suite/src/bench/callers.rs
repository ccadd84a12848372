// SPDX-License-Identifier: Apache-2.0
//! What it costs whom something is kept for that others hold all they may.

use std::cell::RefCell;
use std::io;
use std::time::Duration;

use super::{Comparison, Match, Result, timed};
use crate::allocator::callers::peer::{CAMERASERVER, Identity, Peer, SURFACEFLINGER, app};
use crate::allocator::callers::{FRAMEBUFFERS, FRAMES, Want};

/// Apps at their limits.
const APPS: u32 = 20;
/// Until what was let go is cleared.
const REST: Duration = Duration::from_millis(50);

/// The camera's frames and the compositor's framebuffers, beside apps and alone.
pub fn measure() -> Result<Vec<Comparison>> {
    Ok(vec![
        beside_apps(CAMERASERVER, Want::Preview, FRAMES)?,
        beside_apps(SURFACEFLINGER, Want::Framebuffer, FRAMEBUFFERS)?,
    ])
}

fn beside_apps(who: Identity, want: Want, count: u32) -> Result<Comparison> {
    let mut apps = (0..APPS).map(|n| Peer::start(app(n))).collect::<Result<Vec<_>>>()?;
    let peer = RefCell::new(Peer::start(who)?);
    let take = || {
        let mut peer = peer.borrow_mut();
        let taken = timed(|| peer.must_take(want, count).map_err(failed))?;
        peer.ask("drop").map_err(failed)?;
        Ok(taken)
    };
    let contest = Match {
        name: format!("{count} of {want} at once"),
        ours: "beside apps at their limits",
        baseline: "alone",
        rounds: 100,
        rest: REST,
        target: Some(1.2),
    };
    contest.play(
        || {
            apps.iter_mut().try_for_each(|app| app.fill(want).map(drop)).map_err(failed)?;
            let taken = take()?;
            apps.iter_mut().try_for_each(|app| app.ask("drop").map(drop)).map_err(failed)?;
            Ok(taken)
        },
        take,
    )
}

fn failed(error: Box<dyn std::error::Error>) -> io::Error {
    io::Error::other(error.to_string())
}
