// SPDX-License-Identifier: Apache-2.0
//! Callers that want more than their share, as processes with user ids and domains of their own: what
//! others are promised is still there, and the books are right.

mod held;
pub mod peer;
mod seen;
mod wants;

use std::error::Error;

use libtest_mimic::Trial;
use nix::sys::sysinfo::sysinfo;

use self::held::Way;
use self::peer::{CAMERASERVER, Identity, Peer, SURFACEFLINGER, app, given, sandbox, vendor};
use super::shortage::oom_kills;
use crate::baseline;
use crate::harness::{Outcome, effort};
use crate::service::{report, trial};

pub use self::peer::{ROLE, play};
pub use self::wants::Want;

type Result<T> = std::result::Result<T, Box<dyn Error>>;

/// What a camera configures at once: the frames of a preview and of a still stream.
pub const FRAMES: u32 = 8;
/// What a compositor draws into.
pub const FRAMEBUFFERS: u32 = 3;

/// Frames of 3040 KiB in the 48 MiB that a uid may have of the camera's region.
const OF_ONE_UID: u32 = 16;

/// Tests of what they are promised, and of the books.
pub fn trials() -> Vec<Trial> {
    vec![
        trial("callers::an_app_and_the_sandbox_of_its_sdk_leave_the_camera_its_frames", two_of_one),
        trial("callers::an_app_leaves_the_compositor_its_framebuffers", framebuffers),
        trial("callers::twenty_uids_leave_what_is_kept_for_others", twenty),
        trial("callers::apps_together_leave_others_a_share", class),
        trial("callers::what_is_kept_is_kept_from_everybody", kept),
        trial("callers::all_processes_of_a_uid_have_one_limit", one_limit),
        trial("callers::calls_at_once_do_not_pass_a_limit_together", at_once),
        trial("callers::who_dies_and_comes_back_holds_what_it_did", back_again),
        trial("callers::a_buffer_counts_however_it_is_held", every_way),
        trial("callers::all_who_tell_agree_on_who_has_what", seen::all_agree),
        trial(
            "callers::maps_are_of_the_regions_that_the_dump_has",
            seen::dump_and_map_count_the_same,
        ),
        trial("callers::a_list_of_thousands_holds_nobody_up", seen::thousands),
        trial("callers::sixty_four_that_ask_at_once_get_nobody_killed", all_at_once),
        trial("callers::reserved_regions_are_charged", reserved),
        trial("callers::one_uid_leaves_threads_for_others", busy),
        trial("callers::books_are_exact_after_random_steps", random_steps),
    ]
}

fn start(identities: impl IntoIterator<Item = Identity>) -> Result<Vec<Peer>> {
    identities.into_iter().map(Peer::start).collect()
}

/// Each takes until it is refused.
fn fill(peers: &mut [Peer], want: Want) -> Result<u32> {
    peers.iter_mut().map(|peer| peer.fill(want)).sum()
}

fn two_of_one() -> Outcome {
    let mut greedy = start([app(1), sandbox(1)])?;
    assert!(fill(&mut greedy, Want::Preview)? > 0, "an app has a preview as well");
    Peer::start(CAMERASERVER)?.must_take(Want::Preview, FRAMES)
}

fn framebuffers() -> Outcome {
    let mut greedy = start([app(1)])?;
    fill(&mut greedy, Want::Framebuffer)?;
    Peer::start(SURFACEFLINGER)?.must_take(Want::Framebuffer, FRAMEBUFFERS)
}

fn twenty() -> Outcome {
    let mut greedy = start((0..20).map(app))?;
    fill(&mut greedy, Want::Preview)?;
    fill(&mut greedy, Want::Framebuffer)?;
    Peer::start(CAMERASERVER)?.must_take(Want::Preview, FRAMES)?;
    Peer::start(SURFACEFLINGER)?.must_take(Want::Framebuffer, FRAMEBUFFERS)
}

/// Of the camera's region, apps have 24 MiB and 32 MiB are kept: there are two frames for others.
fn class() -> Outcome {
    let mut greedy = start((0..3).map(app))?;
    fill(&mut greedy, Want::Preview)?;
    Peer::start(vendor(1))?.must_take(Want::Preview, 2)
}

fn kept() -> Outcome {
    let mut greedy = start((0..3).map(vendor))?;
    fill(&mut greedy, Want::Preview)?;
    Peer::start(CAMERASERVER)?.must_take(Want::Preview, FRAMES)
}

fn one_limit() -> Outcome {
    let mut processes = start([CAMERASERVER, CAMERASERVER])?;
    let given = processes.iter_mut().map(|peer| peer.fill(Want::Preview));
    assert_eq!(given.collect::<Result<Vec<_>>>()?, [OF_ONE_UID, 0]);
    Ok(())
}

/// What two of them ask for fits into the region, and not under the limit.
fn at_once() -> Outcome {
    const ROUNDS: u32 = 10;
    const COUNT: u32 = 10;
    let mut peers = start([CAMERASERVER; 4])?;
    for _ in 0..ROUNDS {
        for peer in &mut peers {
            peer.order(&format!("take {} {}", Want::Preview, COUNT))?;
        }
        let answers = peers.iter_mut().map(Peer::answer).collect::<Result<Vec<_>>>()?;
        let served = answers.iter().filter(|answer| answer.starts_with("given")).count();
        assert!(served <= 1, "{served} calls were served at once: {answers:?}");
        for peer in &mut peers {
            peer.ask("drop")?;
        }
    }
    Ok(())
}

fn back_again() -> Outcome {
    let first = Peer::start(app(1))?.fill(Want::Preview)?;
    for life in 1..5 {
        let mut again = Peer::start(app(1))?;
        assert_eq!(again.fill(Want::Preview)?, first, "in life {life}");
    }
    Ok(())
}

fn every_way() -> Outcome {
    for way in Way::ALL {
        let mut peer = Peer::start(app(1))?;
        let all = peer.fill(Want::Preview)?;
        peer.ask(&format!("keep {}", way.name()))?;
        assert_eq!(peer.fill(Want::Preview)?, 0, "held by {way:?}");
        peer.ask("drop")?;
        assert_eq!(peer.fill(Want::Preview)?, all, "let go, having been held by {way:?}");
    }
    Ok(())
}

/// Each of one class only if it is of any, so that it is the system's memory that is the limit.
fn all_at_once() -> Outcome {
    let kills = oom_kills()?;
    let mut peers = start((0..64).map(vendor))?;
    for count in [64, 2] {
        for peer in &mut peers {
            peer.order(&format!("take {} {count}", Want::Huge))?;
        }
        for peer in &mut peers {
            let answer = peer.answer()?;
            assert!(answer.starts_with("given") || answer.starts_with("refused"), "{answer}");
        }
    }
    assert_eq!(oom_kills()?, kills, "processes were killed for want of memory");
    Ok(())
}

fn reserved() -> Outcome {
    let mut peer = Peer::start(app(1))?;
    let before = sysinfo()?.ram_total() / 2;
    let count = peer.fill(Want::Reserved)?;
    let charged = charged(app(1))?;
    let least = u64::from(count) * ((8 << 20) + (16 << 10));
    assert!(charged >= least, "{count} buffers, and {charged} bytes are charged");
    assert!(charged <= before, "one app has {charged} bytes");
    Ok(())
}

/// While one uid has as many calls under way as it can, another's go through: of the long ones hardly
/// any ends while a short one waits, where all would have to that came before it.
fn busy() -> Outcome {
    const THREADS: u32 = 64;
    const CALLS: u32 = 20;
    let mut greedy = Peer::start(app(1))?;
    let mut other = Peer::start(app(2))?;
    greedy.ask(&format!("flood {} 4 {THREADS}", Want::Huge))?;
    let before = given(&greedy.ask("calls")?)?;
    for _ in 0..CALLS {
        assert_eq!(other.ask(&format!("supported {}", Want::Icon))?, "yes");
    }
    let ended = given(&greedy.ask("calls")?)? - before;
    assert!(ended < CALLS * THREADS / 4, "{ended} long calls ended before {CALLS} short ones");
    Ok(())
}

/// Bytes that the service has in the accounts of a uid.
fn charged(to: Identity) -> Result<u64> {
    let report = report()?;
    let callers = report["callers"].as_array().ok_or("the dump lists no callers")?;
    let of_uid = callers.iter().filter(|caller| caller["uid"] == to.uid);
    of_uid.map(|caller| Ok(caller["live_bytes"].as_u64().ok_or("no live_bytes")?)).sum()
}

/// Sixteen that take, change hands and let go; between the rounds the books are compared with what each
/// of them knows to hold, and one is killed.
fn random_steps() -> Outcome {
    const ROUNDS: u64 = 5;
    let steps = effort("SUITE_OPERATIONS", 10_000)?;
    let mut peers = start((0..16).map(app))?;
    let each = steps / ROUNDS / peers.len() as u64;
    for round in 0..ROUNDS {
        for peer in &mut peers {
            let seed = u64::from(peer.identity.uid) << 8 | round;
            peer.order(&format!("steps {seed} {each}"))?;
        }
        for peer in &mut peers {
            let held = holds(&peer.answer()?)?;
            baseline::require_same(&held, || charged(peer.identity))?;
        }
        let unlucky = usize::try_from(round)? % peers.len();
        peers[unlucky] = Peer::start(peers[unlucky].identity)?;
    }
    for peer in peers {
        let identity = peer.identity;
        drop(peer);
        baseline::require_same(&0, || charged(identity))?;
    }
    Ok(())
}

/// Bytes in the answer to `steps`.
fn holds(answer: &str) -> Result<u64> {
    let bytes = answer.strip_prefix("holds ").ok_or_else(|| format!("it {answer}"))?;
    Ok(bytes.parse()?)
}
