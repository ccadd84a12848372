// SPDX-License-Identifier: Apache-2.0
//! Regions as strips of physical addresses, with who holds what, and where there is room.

use std::collections::BTreeMap;

use dmaheap_allocator::dump::buffers::BufferReport;
use dmaheap_dmabuf::map::{Extent, State};
use dmaheap_dmabuf::node::selinux_type;

use crate::Snapshot;

/// So many holders have a colour of their own; beyond them it is shared.
pub const COLOURS: usize = 8;

/// All regions, and those who hold something of them or of other memory.
#[derive(Debug)]
pub struct Picture {
    /// In the order of their addresses.
    pub regions: Vec<Region>,
    /// Who holds most first.
    pub holders: Vec<Holder>,
    /// The last refusal of each heap that has one.
    pub refusals: Vec<(String, String)>,
}

/// Who holds buffers: all processes of a name and a uid.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Holder {
    /// The process that asked, or its domain where it is gone or not to be seen.
    pub name: String,
    /// Its uid.
    pub uid: u32,
    /// How many buffers, and the bytes of them and of their metadata.
    pub buffers: usize,
    /// See above.
    pub bytes: u64,
}

/// One region.
#[derive(Debug)]
pub struct Region {
    /// Its name.
    pub name: String,
    /// Where it begins, and its bytes.
    pub start: u64,
    /// See above.
    pub size: u64,
    /// Bytes that are in buffers.
    pub used: u64,
    /// Where the longest extent without a buffer is, and its bytes.
    pub hole: (u64, u64),
    /// From its first byte to its last.
    pub pieces: Vec<Piece>,
}

/// An extent of one state.
#[derive(Debug)]
pub struct Piece {
    /// Where it begins.
    pub start: u64,
    /// Its bytes.
    pub size: u64,
    /// What it is: a word of the driver's map.
    pub state: &'static str,
    /// Whose buffer it is: a place among the holders.
    pub holder: Option<usize>,
    /// What a person is told about it.
    pub details: String,
}

impl Picture {
    /// Puts together what the driver and the service know.
    pub fn new(snapshot: &Snapshot) -> Picture {
        let holders = holders(&snapshot.buffers);
        let by_inode: BTreeMap<u64, &BufferReport> =
            snapshot.buffers.iter().map(|buffer| (buffer.inode, buffer)).collect();
        let piece = |extent: &Extent| Piece::new(extent, &by_inode, &holders);
        let mut regions: Vec<Region> = (snapshot.regions.iter())
            .map(|(name, extents)| {
                let inside = extents.iter().filter(|e| !matches!(e.state, State::Small(..)));
                Region::new(name, extents, inside.map(piece).collect())
            })
            .collect();
        regions.sort_by_key(|region| region.start);
        Picture { regions, holders, refusals: snapshot.refusals.clone() }
    }

    /// Who holds a piece.
    pub fn holder(&self, piece: &Piece) -> Option<&Holder> {
        self.holders.get(piece.holder?)
    }
}

/// By process and uid; who holds most first.
pub fn holders(buffers: &[BufferReport]) -> Vec<Holder> {
    let mut all = BTreeMap::<(String, u32), Holder>::new();
    for buffer in buffers {
        let key = key(buffer);
        let (name, uid) = key.clone();
        let holder = all.entry(key).or_insert(Holder { name, uid, buffers: 0, bytes: 0 });
        holder.buffers += usize::from(!buffer.metadata);
        holder.bytes += buffer.size;
    }
    let mut holders: Vec<Holder> = all.into_values().collect();
    holders.sort_by(|a, b| b.bytes.cmp(&a.bytes).then_with(|| a.name.cmp(&b.name)));
    holders
}

fn key(buffer: &BufferReport) -> (String, u32) {
    let domain = buffer.context.as_deref().and_then(selinux_type);
    let name = buffer.process.as_deref().or(domain).unwrap_or("-");
    (name.to_owned(), buffer.uid)
}

impl Region {
    fn new(name: &str, extents: &[Extent], pieces: Vec<Piece>) -> Region {
        let start = pieces.first().map_or(0, |piece| piece.start);
        let mut hole = (start, 0);
        let mut room = (start, 0);
        for extent in extents.iter().filter(|e| !matches!(e.state, State::Small(..))) {
            room = match (extent.has_room(), room.1) {
                (false, _) => (extent.end(), 0),
                (true, 0) => (extent.start, extent.size),
                (true, so_far) => (room.0, so_far + extent.size),
            };
            if room.1 > hole.1 {
                hole = room;
            }
        }
        let size = pieces.iter().map(|piece| piece.size).sum();
        let used = pieces.iter().filter(|p| ["buffer", "pending"].contains(&p.state));
        Region {
            name: name.to_owned(),
            start,
            size,
            used: used.map(|p| p.size).sum(),
            hole,
            pieces,
        }
    }

    /// Where a piece is on a strip of 100, and how long.
    pub fn place(&self, piece: &Piece) -> (f64, f64) {
        let share = |bytes: u64| 100.0 * bytes as f64 / self.size.max(1) as f64;
        (share(piece.start - self.start), share(piece.size))
    }
}

impl Piece {
    fn new(extent: &Extent, buffers: &BTreeMap<u64, &BufferReport>, holders: &[Holder]) -> Piece {
        let (state, what) = match &extent.state {
            State::Buffer(inode, name) | State::Small(inode, name) => {
                let named = format!("{name:?}, which the allocator does not know");
                let known = buffers.get(inode).map(|buffer| {
                    let BufferReport { width, height, format, name, rule, pid, .. } = buffer;
                    format!("{name:?} {width} x {height} {format} by rule {rule}, pid {pid}")
                });
                ("buffer", format!("inode {inode}: {}", known.unwrap_or(named)))
            }
            State::Pending => ("pending", "being made or given back".to_owned()),
            State::Clean => ("clean", "free, cleared".to_owned()),
            State::Dirty => ("dirty", "free, to be cleared".to_owned()),
            State::Free => ("free", "free, lent to nobody".to_owned()),
            State::Busy => ("busy", "lent, to be moved before a buffer can be here".to_owned()),
        };
        let buffer = extent.inode().and_then(|inode| buffers.get(&inode));
        let is_holder =
            |holder: &Holder| buffer.is_some_and(|b| key(b) == (holder.name.clone(), holder.uid));
        let (start, size) = (extent.start, extent.size);
        Piece { start, size, state, holder: holders.iter().position(is_holder), details: what }
    }
}

/// Bytes as people say them.
pub fn bytes(bytes: u64) -> String {
    const UNITS: [(&str, u64); 3] = [("GiB", 1 << 30), ("MiB", 1 << 20), ("KiB", 1 << 10)];
    match UNITS.into_iter().find(|(_, unit)| bytes >= *unit) {
        Some((name, unit)) if bytes.is_multiple_of(unit) => format!("{} {name}", bytes / unit),
        Some((name, unit)) => format!("{:.1} {name}", bytes as f64 / unit as f64),
        None => format!("{bytes} B"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::snapshot::tests::text;

    #[test]
    fn holes_reach_over_all_that_has_room() {
        let picture = Picture::new(&Snapshot::parse(&text()).unwrap());
        let [camera, default] = &picture.regions[..] else { panic!("{picture:?}") };
        assert_eq!((camera.start, camera.size, camera.used), (0x5400_0000, 8 << 20, 2 << 20));
        // Dirty and clean together, and not behind the second buffer, where as much is left.
        assert_eq!(camera.hole, (0x5410_0000, 3 << 20));
        assert_eq!(default.hole, (0x7800_0000, 8 << 20));
        assert_eq!(camera.place(&camera.pieces[3]), (50.0, 12.5));
    }

    #[test]
    fn holders_are_processes_or_what_is_left_of_them() {
        let picture = Picture::new(&Snapshot::parse(&text()).unwrap());
        let holder =
            |name: &str, uid, buffers, bytes| Holder { name: name.to_owned(), uid, buffers, bytes };
        let camera = holder("cameraserver", 1047, 1, (1 << 20) + 4096);
        assert_eq!(picture.holders, [camera, holder("untrusted_app", 10123, 1, 1 << 20)]);
        assert_eq!(picture.holder(&picture.regions[0].pieces[0]), Some(&picture.holders[0]));
        assert_eq!(picture.holder(&picture.regions[0].pieces[1]), None);
    }

    #[test]
    fn bytes_are_said_in_the_largest_unit() {
        for (number, said) in
            [(1023, "1023 B"), (4096, "4 KiB"), (3 << 19, "1.5 MiB"), (1 << 30, "1 GiB")]
        {
            assert_eq!(bytes(number), said);
        }
    }
}
