// SPDX-License-Identifier: Apache-2.0
//! Quantities that must not be mixed.

use std::fmt;

/// A number of bytes.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Bytes(pub u64);

/// A number of pixels along a row or a column.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Pixels(pub u32);

/// What IAllocator and the metadata STRIDE say lies between one row and the
/// next: pixels, or bytes of the formats that are defined so.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Stride(pub u32);

impl Bytes {
    /// The sum, if it can be expressed.
    pub fn checked_add(self, other: Bytes) -> Option<Bytes> {
        self.0.checked_add(other.0).map(Bytes)
    }

    /// `n` times as much, if it can be expressed.
    pub fn checked_mul(self, n: u64) -> Option<Bytes> {
        self.0.checked_mul(n).map(Bytes)
    }

    /// The next multiple of `align` from here, if there is one. Zero aligns
    /// like one: not at all.
    pub fn align_up(self, align: Bytes) -> Option<Bytes> {
        self.0.checked_next_multiple_of(align.0.max(1)).map(Bytes)
    }
}

impl fmt::Display for Bytes {
    /// In the largest unit that needs no fraction.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.0 {
            n if n != 0 && n.trailing_zeros() >= 30 => write!(f, "{} GiB", n >> 30),
            n if n != 0 && n.trailing_zeros() >= 20 => write!(f, "{} MiB", n >> 20),
            n if n != 0 && n.trailing_zeros() >= 10 => write!(f, "{} KiB", n >> 10),
            n => write!(f, "{n} B"),
        }
    }
}

impl fmt::Display for Pixels {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} px", self.0)
    }
}

/// The least common multiple, if it can be expressed. Zero counts as one.
pub(crate) fn lcm(a: u64, b: u64) -> Option<u64> {
    let (a, b) = (a.max(1), b.max(1));
    a.checked_mul(b.checked_div(gcd(a, b))?)
}

fn gcd(a: u64, b: u64) -> u64 {
    match a.checked_rem(b) {
        None => a,
        Some(rest) => gcd(b, rest),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lcm_of_alignments() {
        assert_eq!(lcm(64, 3), Some(192));
        assert_eq!(lcm(64, 16), Some(64));
        assert_eq!(lcm(0, 7), Some(7));
        assert_eq!(lcm(u64::MAX, u64::MAX - 1), None);
    }

    #[test]
    fn sizes_are_printed_in_the_largest_whole_unit() {
        assert_eq!(Bytes(8 << 20).to_string(), "8 MiB");
        assert_eq!(Bytes(8100 << 10).to_string(), "8100 KiB");
        assert_eq!(Bytes(1000).to_string(), "1000 B");
        assert_eq!(Bytes(0).to_string(), "0 B");
    }
}
