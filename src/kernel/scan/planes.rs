//! Bit planes: for each class of bytes that ends a field, one bit for every byte of a window.
//!
//! ```text
//!   bytes    10.0.0.1 - - [09/Mar/2026:…] "GET / HTTP/1.1" 200 512 …
//!   ' '      00000000 1 0 1 0 …                                          next end of a word: trailing zeros
//!   '"' '\'  00000000 0 0 0 0 …                                          next end of a quoted text
//! ```
//!
//! Planes are filled some thousand bytes at a time, just before they are read, so that bytes and bits are in the first
//! cache. A field of up to 57 bytes is then found by one load, one shift and one count, without a loop.

use super::byteset::ByteSet;
use super::simd::{Level, Member};

/// Planes at most, the line feeds' included; a power of two, so that masking an index keeps it inside.
const MAX_PLANES: usize = 32;
/// Bytes whose bits are found in one go.
const FILL_BYTES: usize = 4096;
/// Bits of one load that are sure to be there, whatever the offset in the first byte is.
const SURE_BITS: usize = 57;
/// Words that are looked at together where a field is long.
const FAR_WORDS: usize = 4;
/// The plane of the line feeds.
pub(super) const FEEDS: u8 = 0;

/// The planes of one window of bytes, from its first byte to the last one that was asked for.
pub struct Planes {
    /// Which bytes have a bit in each plane.
    members: Vec<Member>,
    bits: [Plane; MAX_PLANES],
    /// Bytes of the window whose bits are there: a multiple of 64, or all.
    filled: usize,
    level: Level,
}

/// Bit `i & 7` of byte `i >> 3` is that of byte `i` of the window.
#[derive(Default)]
pub(super) struct Plane(Vec<u8>);

impl Default for Planes {
    fn default() -> Self {
        Self::new(Level::best())
    }
}

impl Planes {
    /// Planes that are filled with this level's instructions.
    pub(super) fn new(level: Level) -> Self {
        let feeds = Member::new(ByteSet::of(b'\n'));
        Self { members: vec![feeds], bits: Default::default(), filled: 0, level }
    }

    /// Another window: nothing is known of it.
    pub fn reset(&mut self) {
        self.filled = 0;
    }

    /// Nobody looks at what is before `at` any more.
    pub fn skip_to(&mut self, at: usize) {
        self.filled = self.filled.max(at / 64 * 64);
    }

    /// Is there a plane of `set`?
    pub(super) fn has(&self, set: ByteSet) -> bool {
        set == ByteSet::ALL || self.members.iter().any(|member| member.set() == set)
    }

    /// The plane of `set`, filled as far as the others are. `None` if there are too many.
    pub(super) fn plane_of(&mut self, set: ByteSet, window: &[u8]) -> Option<u8> {
        if let Some(known) = self.members.iter().position(|member| member.set() == set) {
            return Some(known as u8);
        }
        let index = self.members.len();
        let plane = self.bits.get_mut(index)?;
        let member = Member::new(set);
        plane.fill(&member, window, (0, self.filled), self.level);
        self.members.push(member);
        Some(index as u8)
    }

    /// Sees to it that the bits of all bytes before `to` are there.
    #[inline]
    pub(super) fn fill(&mut self, window: &[u8], to: usize) {
        if to > self.filled {
            self.fill_more(window, to);
        }
    }

    #[cold]
    fn fill_more(&mut self, window: &[u8], to: usize) {
        let to = to.next_multiple_of(FILL_BYTES).min(window.len());
        for (plane, member) in self.bits.iter_mut().zip(&self.members) {
            plane.fill(member, window, (self.filled / 64 * 64, to), self.level);
        }
        self.filled = to;
    }

    /// The first line feed at or behind `at`.
    #[inline]
    pub fn next_feed(&mut self, window: &[u8], mut at: usize) -> Option<usize> {
        loop {
            let feed = self.plane(FEEDS).next(at, self.filled).min(self.filled);
            if feed < self.filled {
                return Some(feed);
            }
            if self.filled >= window.len() {
                return None;
            }
            at = at.max(self.filled);
            self.fill_more(window, self.filled + 1);
        }
    }

    #[inline(always)]
    pub(super) fn plane(&self, plane: u8) -> &Plane {
        &self.bits[usize::from(plane) & (MAX_PLANES - 1)]
    }
}

impl Plane {
    fn fill(&mut self, member: &Member, window: &[u8], (from, to): (usize, usize), level: Level) {
        // A load at the last bit reads seven bytes on.
        let wanted = to.div_ceil(64) * 8 + 8;
        let is_all = member.set() == ByteSet::ALL;
        if self.0.len() < wanted {
            self.0.resize(wanted.next_power_of_two(), if is_all { 0xff } else { 0 });
        }
        if is_all {
            return;
        }
        level.fill(member, &window[from..to], &mut self.0[from / 8..]);
    }

    #[inline(always)]
    fn word(&self, at: usize) -> u64 {
        self.0.get(at >> 3..).and_then(|bits| bits.first_chunk()).map_or(0, |bits| u64::from_le_bytes(*bits))
    }

    /// The first byte at or behind `at` that has a bit. What is found behind `limit` is behind `limit` and else unknown: up to
    /// there the plane must be filled.
    #[inline(always)]
    pub(super) fn next(&self, at: usize, limit: usize) -> usize {
        let word = self.word(at) >> (at & 7);
        if word != 0 { at + word.trailing_zeros() as usize } else { self.next_far(at, limit) }
    }

    // Out of the way of the loops over `next`, which have few registers.
    #[inline(never)]
    fn next_far(&self, at: usize, limit: usize) -> usize {
        let mut at = (at + SURE_BITS) & !7;
        // How far a long field goes is not foreseeable: several words at a time are looked at without a jump.
        while at < limit
            && let Some(words) = self.0.get(at >> 3..).and_then(|bits| bits.first_chunk::<{ 8 * FAR_WORDS }>())
        {
            let (words, _) = words.as_chunks::<8>();
            let (mut empty, mut passed) = (u64::MAX, 0);
            for word in words {
                let zeros = u64::from(u64::from_le_bytes(*word).trailing_zeros());
                passed += zeros & empty;
                // All ones as long as no word had a bit.
                empty &= (zeros >> 6).wrapping_neg();
            }
            at += passed as usize;
            if empty == 0 {
                return at;
            }
        }
        while at < limit {
            let word = self.word(at);
            if word != 0 {
                return at + word.trailing_zeros() as usize;
            }
            at += 64;
        }
        limit
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Bytes of every value, in runs and alone.
    fn window(len: usize) -> Vec<u8> {
        let mut state = 1u64;
        let mut bytes = vec![];
        while bytes.len() < len {
            state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
            let run = if state & 0x700 == 0 { state >> 57 } else { 1 };
            bytes.extend(std::iter::repeat_n((state >> 33) as u8, run as usize));
        }
        bytes.truncate(len);
        bytes
    }

    #[test]
    fn every_level_finds_what_a_plain_loop_finds() {
        let sets = [
            ByteSet::ALL,
            ByteSet::of(b' '),
            ByteSet::of(b'"').union(ByteSet::of(b'\\')),
            ByteSet::of(b' ').union(ByteSet::of(b'"')).union(ByteSet::of(0xff)),
            {
                let mut digits = ByteSet::EMPTY;
                digits.insert_range(b'0', b'9');
                digits.complement()
            },
            {
                let mut odd = ByteSet::EMPTY;
                (0..=255).step_by(7).for_each(|byte| odd.insert(byte));
                odd
            },
        ];
        for level in Level::all() {
            for len in [0, 1, 63, 64, 65, 4095, 4096, 4097, 9000] {
                let window = window(len);
                let mut planes = Planes::new(level);
                for set in sets {
                    planes.fill(&window, len / 2);
                    let plane = planes.plane_of(set, &window).expect("there is room");
                    planes.fill(&window, len);
                    for at in 0..len {
                        let slow = window[at..].iter().position(|&byte| set.contains(byte)).map_or(len, |next| at + next);
                        assert_eq!(planes.plane(plane).next(at, len).min(len), slow, "{level:?} {set:?} at {at} of {len}");
                    }
                }
                planes.reset();
                let mut feeds = vec![];
                while let Some(feed) = planes.next_feed(&window, feeds.last().map_or(0, |last| last + 1)) {
                    feeds.push(feed);
                }
                let slow: Vec<usize> = (0..len).filter(|&at| window[at] == b'\n').collect();
                assert_eq!(feeds, slow, "{level:?} {len}");
            }
        }
    }
}
