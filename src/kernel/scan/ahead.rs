//! What can come next in a record, as far as its next few bytes can tell.
//!
//! ```text
//!   (?:\d{4} )?\d\d:\d\d     take the year?   0-9  0-9  0-9  0-9  ' '
//!                            or the clock?    0-9  0-9  ':'  0-9  0-9     the third byte decides
//! ```
//!
//! Sets may be larger than they need be: then a choice is open that could have been decided, never decided wrongly.

use std::fmt;

use super::byteset::ByteSet;

/// How many bytes a choice looks at.
pub(super) const DEPTH: usize = 8;
/// How many bytes are looked at to see whether a line may be one of a family: its stamp, and some of what is behind it.
const BEGIN_DEPTH: usize = 40;

/// What a line of a family can begin with.
pub(crate) type Begin = Ahead<BEGIN_DEPTH>;

/// For each of the next bytes, the values that it can have, and whether the record can be over there.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) struct Ahead<const N: usize = DEPTH> {
    sets: [ByteSet; N],
    /// Bit `i`: the record can end before byte `i`. Behind its end it stays ended.
    ends: u64,
}

/// As [`Ahead::from_raw`] reads it: the build script writes code with it.
impl<const N: usize> fmt::Debug for Ahead<N> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:?}", (self.sets.map(ByteSet::to_raw), self.ends))
    }
}

impl<const N: usize> Ahead<N> {
    /// The bits of all bytes.
    const ALL_ENDS: u64 = u64::MAX >> (64 - N);
    /// Nothing can come, not even the end.
    pub(crate) const NOTHING: Self = Self { sets: [ByteSet::EMPTY; N], ends: 0 };
    /// The end of the record.
    pub(super) const END: Self = Self { sets: [ByteSet::EMPTY; N], ends: Self::ALL_ENDS };
    /// Anything.
    pub(super) const ANYTHING: Self = Self { sets: [ByteSet::ALL; N], ends: Self::ALL_ENDS };

    /// What is written down of one.
    pub(crate) const fn from_raw((sets, ends): ([[u64; 4]; N], u64)) -> Self {
        let mut ahead = Self { sets: [ByteSet::EMPTY; N], ends };
        let mut i = 0;
        while i < N {
            ahead.sets[i] = ByteSet::from_raw(sets[i]);
            i += 1;
        }
        ahead
    }

    /// The values of the very next byte.
    pub(crate) fn first(&self) -> ByteSet {
        self.sets[0]
    }

    /// Can the record be over here?
    pub(super) fn can_end(&self) -> bool {
        self.ends & 1 != 0
    }

    /// What either allows.
    pub(crate) fn union(mut self, other: &Self) -> Self {
        for (set, other) in self.sets.iter_mut().zip(&other.sets) {
            *set = set.union(*other);
        }
        self.ends |= other.ends;
        self
    }

    /// So many bytes of `set`, and then this.
    pub(super) fn behind(&self, set: ByteSet, count: usize) -> Self {
        let mut ahead = *self;
        let count = count.min(N);
        ahead.sets.copy_within(..N - count, count);
        ahead.sets[..count].fill(set);
        ahead.ends = self.ends.checked_shl(count as u32).unwrap_or(0) & Self::ALL_ENDS;
        ahead
    }

    /// The text, and then this.
    pub(super) fn behind_text(&self, text: &[u8]) -> Self {
        let near = &text[..text.len().min(N)];
        let mut ahead = self.behind(ByteSet::EMPTY, near.len());
        ahead.sets.iter_mut().zip(near).for_each(|(set, &byte)| *set = ByteSet::of(byte));
        ahead
    }

    /// `min` to `max` bytes of `set`, and then this.
    pub(super) fn behind_run(&self, set: ByteSet, min: u32, max: u32) -> Self {
        let mut ahead = *self;
        let more = max.saturating_sub(min) as usize;
        if more >= N {
            let mut before = ByteSet::EMPTY;
            for own in &mut ahead.sets {
                before = before.union(*own);
                *own = before.union(set);
            }
        } else {
            for _ in 0..more {
                ahead = ahead.behind(set, 1).union(self);
            }
        }
        ahead.behind(set, min as usize)
    }

    /// The bytes that can have but one value, as a number and a mask, if there are enough of them to tell this from other text.
    pub(super) fn fixed(&self) -> Option<(u64, u64)> {
        let (mut text, mut mask) = (0, 0);
        for (i, set) in self.sets.iter().enumerate().filter(|(i, set)| set.len() == 1 && self.ends & 1 << i == 0) {
            text |= set.iter().next().map_or(0, u64::from) << (8 * i);
            mask |= 0xff << (8 * i);
        }
        (self.sets[..2].iter().all(|set| set.len() == 1) && mask > 0).then_some((text, mask))
    }

    /// Is there nothing that both allow?
    pub(super) fn is_disjoint(&self, other: &Self) -> bool {
        let ends = self.ends & other.ends;
        (0..N).any(|i| ends & 1 << i == 0 && self.sets[i].is_disjoint(other.sets[i]))
    }

    /// Can this come at `at`? If not, at which byte that is seen.
    #[inline]
    pub(super) fn check(&self, record: &[u8], at: usize) -> Result<(), usize> {
        for (i, set) in self.sets.iter().enumerate() {
            match record.get(at + i) {
                Some(&byte) if set.contains(byte) => {}
                None if self.ends & 1 << i != 0 => return Ok(()),
                _ => return Err(at + i),
            }
        }
        Ok(())
    }

    #[inline]
    pub(crate) fn accepts(&self, record: &[u8], at: usize) -> bool {
        self.check(record, at).is_ok()
    }
}

#[cfg(test)]
mod tests {
    use super::{ByteSet, DEPTH};

    type Ahead = super::Ahead<DEPTH>;

    fn digits() -> ByteSet {
        let mut set = ByteSet::EMPTY;
        set.insert_range(b'0', b'9');
        set
    }

    #[test]
    fn a_later_byte_tells_what_the_first_one_does_not() {
        let clock = Ahead::ANYTHING.behind(ByteSet::of(b':'), 1).behind(digits(), 2);
        let year = clock.behind(ByteSet::of(b' '), 1).behind(digits(), 4);
        assert!(!year.first().is_disjoint(clock.first()));
        assert!(year.is_disjoint(&clock));
        assert_eq!(year.check(b"12:00", 0), Err(2));
        assert_eq!(year.check(b"x2026 12:0", 1), Ok(()));
        assert!(clock.accepts(b"12:00", 0) && !clock.accepts(b"12", 0));
        assert!(!year.union(&clock).is_disjoint(&clock));
    }

    #[test]
    fn the_end_of_a_record_stays() {
        let number = Ahead::END.behind_run(digits(), 1, 3);
        assert!([&b"1"[..], b"12", b"123"].iter().all(|text| number.accepts(text, 0)));
        assert!(["", "x", "1234", "1x"].iter().all(|text| !number.accepts(text.as_bytes(), 0)));
        let more = Ahead::END.behind_run(digits(), 0, u32::MAX);
        assert!(more.accepts(b"", 0) && more.accepts(b"12345678901", 0) && !more.accepts(b"12 ", 0));
        assert!(Ahead::NOTHING.is_disjoint(&Ahead::ANYTHING));
        assert!(Ahead::END.is_disjoint(&Ahead::ANYTHING.behind(ByteSet::ALL, 1)));
        assert!(!Ahead::END.is_disjoint(&more));
        let long = Ahead::END.behind(digits(), 20);
        assert!(long.accepts(b"1234567890", 0) && !long.accepts(b"1234567", 0));
        let deep = super::Begin::END.behind(ByteSet::of(b'x'), 1).behind_run(digits(), 9, 20);
        assert!(deep.accepts(b"123456789x", 0) && deep.accepts(b"12345678901234567890x", 0));
        assert!(!deep.accepts(b"12345678x", 0) && !deep.accepts(b"123456789", 0) && !deep.accepts(b"123456789.", 0));
    }
}
