// SPDX-License-Identifier: Apache-2.0
//! The picture as text: a strip of letters for each region, and what they mean.

use std::fmt;

use crate::Picture;
use crate::picture::{Piece, Region, bytes};

/// Letters of a strip.
const LENGTH: usize = 64;

impl fmt::Display for Picture {
    fn fmt(&self, f: &mut fmt::Formatter) -> fmt::Result {
        for region in &self.regions {
            let Region { name, start, size, used, hole: (at, hole), .. } = region;
            let (size, used, hole) = (bytes(*size), bytes(*used), bytes(*hole));
            writeln!(f, "{name}: {size} from {start:#x}, {used} in buffers")?;
            writeln!(f, "  [{}]", strip(region, LENGTH))?;
            writeln!(f, "  largest hole {hole} at {at:#x}")?;
        }
        for (holder, letter) in self.holders.iter().zip(letters()) {
            let held = bytes(holder.bytes);
            let (name, uid, buffers) = (&holder.name, holder.uid, holder.buffers);
            writeln!(f, "{letter} {name}, uid {uid}: {buffers} buffers, {held}")?;
        }
        writeln!(
            f,
            "? not the allocator's   + pending   ~ to be cleared   # lent and busy   . free"
        )?;
        for (heap, why) in &self.refusals {
            writeln!(f, "last refusal of {heap}: {why}")?;
        }
        Ok(())
    }
}

/// One for each holder; the last is for all others.
pub fn letters() -> impl Iterator<Item = char> {
    ('A'..='Z').chain(std::iter::repeat('*'))
}

/// A region in so many letters: each is of what has most of its share.
pub fn strip(region: &Region, length: usize) -> String {
    let share = region.size.div_ceil(length.max(1) as u64).max(1);
    let letter = |at: usize| {
        let from = region.start + share * at as u64;
        let overlap = |piece: &&Piece| {
            let end = (piece.start + piece.size).min(from + share);
            end.saturating_sub(piece.start.max(from))
        };
        // Of equals the first.
        let most = region.pieces.iter().rev().max_by_key(overlap);
        most.filter(|piece| overlap(piece) > 0).map_or(' ', sign)
    };
    (0..length).map(letter).collect()
}

fn sign(piece: &Piece) -> char {
    match (piece.holder, piece.state) {
        (Some(holder), _) => letters().nth(holder).unwrap_or('*'),
        (None, "buffer") => '?',
        (None, "pending") => '+',
        (None, "dirty") => '~',
        (None, "busy") => '#',
        (None, _) => '.',
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Snapshot;
    use crate::snapshot::tests::text;

    #[test]
    fn strips_have_a_letter_for_each_holder() {
        let picture = Picture::new(&Snapshot::parse(&text()).unwrap());
        assert_eq!(strip(&picture.regions[0], 8), "A~..B...");
        assert_eq!(strip(&picture.regions[1], 8), "....####");
        let said = picture.to_string();
        for part in [
            "camera@54000000: 8 MiB from 0x54000000, 2 MiB in buffers",
            "largest hole 3 MiB at 0x54100000",
            "A cameraserver, uid 1047: 1 buffers",
            "last refusal of camera: heap camera is full",
        ] {
            assert!(said.contains(part), "{part} is missing in:\n{said}");
        }
    }

    #[test]
    fn everybody_beyond_the_alphabet_is_a_star() {
        assert_eq!(letters().nth(25), Some('Z'));
        assert_eq!(letters().nth(26), Some('*'));
    }
}
