//! A set of bytes, as 256 bits.

use std::fmt;

/// A set of byte values.
#[derive(Clone, Copy, PartialEq, Eq, Default)]
pub struct ByteSet([u64; 4]);

impl ByteSet {
    /// The empty set.
    pub const EMPTY: Self = Self([0; 4]);
    /// Every byte.
    pub const ALL: Self = Self([u64::MAX; 4]);

    /// As numbers, for code that is generated.
    pub(super) const fn to_raw(self) -> [u64; 4] {
        self.0
    }

    /// What [`to_raw`](Self::to_raw) gave.
    pub(super) const fn from_raw(bits: [u64; 4]) -> Self {
        Self(bits)
    }

    /// The set of one byte.
    pub fn of(byte: u8) -> Self {
        let mut set = Self::EMPTY;
        set.insert(byte);
        set
    }

    /// Adds a byte.
    pub fn insert(&mut self, byte: u8) {
        self.0[usize::from(byte >> 6)] |= 1 << (byte & 63);
    }

    /// Adds all bytes from `first` to `last`, both included.
    pub fn insert_range(&mut self, first: u8, last: u8) {
        for (word, from) in self.0.iter_mut().zip([0, 64, 128, 192u8]) {
            let (low, high) = (first.max(from), last.min(from + 63));
            if low <= high {
                *word |= u64::MAX >> (63 - (high - low)) << (low - from);
            }
        }
    }

    /// Is the byte in the set?
    #[inline]
    pub fn contains(&self, byte: u8) -> bool {
        self.0[usize::from(byte >> 6)] & (1 << (byte & 63)) != 0
    }

    /// The bytes of either set.
    #[must_use]
    pub fn union(self, other: Self) -> Self {
        Self(std::array::from_fn(|i| self.0[i] | other.0[i]))
    }

    /// The bytes that are not in the set.
    #[must_use]
    pub fn complement(self) -> Self {
        Self(self.0.map(|bits| !bits))
    }

    /// Have the sets no byte in common?
    pub fn is_disjoint(self, other: Self) -> bool {
        self.0.iter().zip(other.0).all(|(a, b)| a & b == 0)
    }

    /// How many bytes the set has.
    pub fn len(self) -> usize {
        self.0.iter().map(|bits| bits.count_ones() as usize).sum()
    }

    /// Is the set empty?
    pub fn is_empty(self) -> bool {
        self.0 == [0; 4]
    }

    /// The bytes of the set in order.
    pub fn iter(self) -> impl Iterator<Item = u8> {
        let bytes = |(mut bits, base): (u64, u8)| {
            std::iter::from_fn(move || {
                let byte = (bits != 0).then(|| base + bits.trailing_zeros() as u8);
                bits &= bits.wrapping_sub(1);
                byte
            })
        };
        self.0.into_iter().zip([0, 64, 128, 192]).flat_map(bytes)
    }

    /// The same as ranges: the first byte of each, and the last.
    pub(super) fn ranges(self) -> impl Iterator<Item = (u8, u8)> {
        let mut bytes = self.iter().peekable();
        std::iter::from_fn(move || {
            let first = bytes.next()?;
            let mut last = first;
            while let Some(next) = bytes.next_if(|&next| next == last.wrapping_add(1)) {
                last = next;
            }
            Some((first, last))
        })
    }
}

impl fmt::Debug for ByteSet {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (negated, shown) = if self.len() > 128 { ("^", self.complement()) } else { ("", *self) };
        write!(f, "[{negated}")?;
        for (first, last) in shown.ranges() {
            write!(f, "{}", first.escape_ascii())?;
            if last > first {
                write!(f, "-{}", last.escape_ascii())?;
            }
        }
        write!(f, "]")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_range_is_all_of_its_bytes() {
        for first in 0..=255 {
            for last in 0..=255 {
                let mut set = ByteSet::EMPTY;
                set.insert_range(first, last);
                assert!((0..=255).all(|byte| set.contains(byte) == (first..=last).contains(&byte)), "{first} {last}");
                assert!(set.iter().eq(first..=last), "{first} {last}");
                assert!(set.ranges().eq((first <= last).then_some((first, last))), "{first} {last}");
                let others = (0..=255).filter(|byte| !set.contains(*byte));
                assert!(set.complement().iter().eq(others), "{first} {last}");
                assert!(set.complement().ranges().count() <= 2, "{first} {last}");
            }
        }
    }
}
