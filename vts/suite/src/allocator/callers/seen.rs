// SPDX-License-Identifier: Apache-2.0
//! Who has what, by all who tell: the clients themselves, the service's list of buffers, the driver's
//! map and the kernel's own list agree buffer by buffer, however each is held.

use std::collections::BTreeMap;
use std::fs;
use std::io::{Read, pipe};
use std::thread;

use dmaheap_aidl::binder;
use dmaheap_dmabuf::map;
use serde_json::Value;

use super::held::Way;
use super::peer::{CAMERASERVER, Peer, SURFACEFLINGER, app, vendor};
use super::wants::Want;
use super::{Result, start};
use crate::baseline::{BUFINFO, require_same};
use crate::harness::{Outcome, effort, instance, skip};
use crate::service::{dump, report};

/// Uid and bytes, by inode.
type Buffers = BTreeMap<u64, (u32, u64)>;

/// Three of three uids. Each holds pixels of a region, and one of scattered memory as well.
pub fn all_agree() -> Outcome {
    require_debugfs()?;
    let mut peers = start([app(1), CAMERASERVER, SURFACEFLINGER])?;
    for (peer, want) in peers.iter_mut().zip([Want::Preview, Want::Preview, Want::Framebuffer]) {
        peer.must_take(want, 2)?;
    }
    peers[0].must_take(Want::Icon, 1)?;
    agree(&mut peers)?;
    // Whoever has mapped or imported it has it.
    for (peer, way) in peers.iter_mut().zip([Way::Import, Way::Mapping, Way::Socket]) {
        peer.ask(&format!("keep {}", way.name()))?;
    }
    agree(&mut peers)?;
    let dead = peers.remove(1);
    let uid = dead.identity.uid;
    drop(dead);
    require_same(&Buffers::new(), || Ok(only(listed()?.0, &[uid])))?;
    agree(&mut peers)
}

/// No other client of these uids is there: the framework of the tests runs as root.
fn agree(peers: &mut [Peer]) -> Outcome {
    let uids: Vec<u32> = peers.iter().map(|peer| peer.identity.uid).collect();
    let mut held = Buffers::new();
    for peer in peers {
        held.extend(inodes(peer)?);
    }
    require_same(&held, || Ok(only(listed()?.0, &uids)))?;
    let (_, pixels) = listed()?;
    let pixels = only(pixels, &uids);
    assert!(pixels.len() >= 4, "{pixels:?}");
    require_same(&pixels, || Ok(only(named()?, &uids)))?;
    let in_regions: Buffers =
        (pixels.into_iter()).filter(|(_, (_, size))| *size > Want::ICON_SIZE).collect();
    require_same(&in_regions, || Ok(only(mapped()?, &uids)))
}

fn only(mut buffers: Buffers, uids: &[u32]) -> Buffers {
    buffers.retain(|_, (uid, _)| uids.contains(uid));
    buffers
}

fn require_debugfs() -> Outcome {
    match (map::regions(), fs::metadata(BUFINFO)) {
        (Ok(_), Ok(_)) => Ok(()),
        _ => skip("the kernel lists no buffers (debugfs)"),
    }
}

/// What it knows itself.
fn inodes(peer: &mut Peer) -> Result<Buffers> {
    let uid = peer.identity.uid;
    let answer = peer.ask("list")?;
    let words = answer.strip_prefix("holds").ok_or_else(|| format!("it {answer}"))?;
    let one = |word: &str| -> Result<_> {
        let (inode, size) = word.split_once(':').ok_or("no size")?;
        Ok((inode.parse()?, (uid, size.parse()?)))
    };
    words.split_whitespace().map(one).collect()
}

/// By the service: all dma-bufs, and those of pixels. Each line is complete.
fn listed() -> Result<(Buffers, Buffers)> {
    let (mut all, mut pixels) = (Buffers::new(), Buffers::new());
    for line in dump(&["--buffers", "--json"])?.lines() {
        let buffer: Value = serde_json::from_str(line)?;
        let number = |key: &str| buffer[key].as_u64().ok_or(format!("no {key} in {line}"));
        let entry = (number("inode")?, (u32::try_from(number("uid")?)?, number("size")?));
        for key in ["name", "context", "rule", "heap", "format", "usage"] {
            assert!(buffer[key].is_string(), "no {key} in {line}");
        }
        assert!(number("pid")? > 0 && buffer["at"].as_f64() > Some(0.0), "{line}");
        all.extend([entry]);
        if buffer["metadata"] == false {
            pixels.extend([entry]);
        }
    }
    Ok((all, pixels))
}

/// By the kernel's list of all dma-bufs, of which the name begins with a uid.
fn named() -> Result<Buffers> {
    let list = fs::read_to_string(BUFINFO)?;
    let buffer = |line: &str| {
        let words: Vec<&str> = line.split_whitespace().collect();
        let uid = words.get(6)?.parse().ok()?;
        Some((words.get(5)?.parse().ok()?, (uid, words.first()?.parse().ok()?)))
    };
    Ok(list.lines().filter_map(buffer).collect())
}

/// By the driver, likewise. A region is shown from its first byte to its last.
fn mapped() -> Result<Buffers> {
    let mut buffers = Buffers::new();
    for region in map::regions()? {
        let mut end = None;
        for extent in map::map(&region)? {
            if !matches!(extent.state, map::State::Small(..)) {
                assert!(end.is_none_or(|end| end == extent.start), "{region}: {extent:?}");
                end = Some(extent.end());
            }
            let (map::State::Buffer(inode, name) | map::State::Small(inode, name)) = extent.state
            else {
                continue;
            };
            let uid = name.split(' ').next().and_then(|uid| uid.parse().ok());
            buffers.extend(uid.map(|uid| (inode, (uid, extent.size))));
        }
    }
    Ok(buffers)
}

/// Every heap of a region has a node of the region's name.
pub fn dump_and_map_count_the_same() -> Outcome {
    require_debugfs()?;
    let report = report()?;
    let heaps = report["heaps"].as_array().ok_or("the dump lists no heaps")?;
    for heap in heaps.iter().filter(|heap| heap["kernel_region"].is_object()) {
        let node = heap["node"].as_str().ok_or("a region's heap has no node")?;
        let map = map::map(node)?;
        let size = map.iter().filter(|extent| !matches!(extent.state, map::State::Small(..)));
        let size: u64 = size.map(|extent| extent.size).sum();
        assert_eq!(heap["kernel_region"]["size"], size, "{node}");
    }
    Ok(())
}

/// SUITE_LIVE buffers, and a list of them that nobody reads while others ask.
pub fn thousands() -> Outcome {
    const AT_ONCE: u64 = 50;
    let count = effort("SUITE_LIVE", 1000)? / AT_ONCE * AT_ONCE;
    let mut peer = Peer::start(vendor(1))?;
    for _ in 0..count / AT_ONCE {
        peer.must_take(Want::Icon, u32::try_from(AT_ONCE)?)?;
        // As descriptors they would be too many.
        peer.ask(&format!("keep {}", Way::Mapping.name()))?;
    }
    let (mut from, to) = pipe()?;
    let list = thread::spawn(move || {
        let ended = binder::dump(instance(), &to, &["--buffers".to_owned()]);
        ended.map_err(|error| error.to_string())
    });
    // It has begun, and there is more of it than a pipe takes.
    from.read_exact(&mut [0])?;
    let mut other = Peer::start(app(1))?;
    for _ in 0..20 {
        assert_eq!(other.ask(&format!("supported {}", Want::Icon))?, "yes");
        other.must_take(Want::Icon, 1)?;
    }
    drop(from);
    let ended = list.join().map_err(|_| "asking for the list failed")?;
    assert!(ended.is_err(), "a list that nobody read was written");
    let listed = only(listed()?.0, &[peer.identity.uid]);
    assert_eq!(listed.len() as u64, 2 * count);
    Ok(())
}
