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

/// Planes at most, the line feeds' included.
const MAX_PLANES: usize = 12;
/// Bytes whose bits are found in one go.
const FILL_BYTES: usize = 4096;
/// Bits of one load that are sure to be there, whatever the offset in the first byte is.
const SURE_BITS: usize = 57;
/// The plane of the line feeds.
pub(super) const FEEDS: u8 = 0;

struct Plane {
    /// Which bytes have a bit.
    set: ByteSet,
    member: Member,
    /// Bit `i & 7` of byte `i >> 3` is that of byte `i` of the window.
    bits: Vec<u8>,
}

/// The planes of one window of bytes, from its first byte to the last one that was asked for.
pub struct Planes {
    planes: Vec<Plane>,
    /// Bytes of the window whose bits are there: a multiple of 64, or all.
    filled: usize,
    level: Level,
}

impl Default for Planes {
    fn default() -> Self {
        Self::new(Level::best())
    }
}

impl Planes {
    /// Planes that are filled with this level's instructions.
    pub(super) fn new(level: Level) -> Self {
        let mut planes = Self { planes: vec![], filled: 0, level };
        planes.push(ByteSet::of(b'\n'));
        planes
    }

    fn push(&mut self, set: ByteSet) {
        self.planes.push(Plane { set, member: Member::new(set), bits: vec![] });
    }

    /// Another window: nothing is known of it.
    pub fn reset(&mut self) {
        self.filled = 0;
    }

    /// The plane of `set`; a new one is filled from `from` on. `None` if there are too many.
    pub(super) fn plane_of(&mut self, set: ByteSet, window: &[u8], from: usize) -> Option<u8> {
        if let Some(known) = self.planes.iter().position(|plane| plane.set == set) {
            return Some(known as u8);
        }
        if self.planes.len() == MAX_PLANES {
            return None;
        }
        self.push(set);
        let from = from / 64 * 64;
        let (filled, level) = (self.filled, self.level);
        if let Some(plane) = self.planes.last_mut()
            && from < filled
        {
            plane.fill(window, from, filled, level);
        }
        Some(self.planes.len() as u8 - 1)
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
        for plane in &mut self.planes {
            plane.fill(window, self.filled / 64 * 64, to, self.level);
        }
        self.filled = to;
    }

    /// The first line feed at or behind `at`.
    #[inline]
    pub fn next_feed(&mut self, window: &[u8], mut at: usize) -> Option<usize> {
        loop {
            let feed = self.next(FEEDS, at, self.filled);
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

    /// The first byte at or behind `at` that has a bit, or `limit`, up to which the plane must be filled.
    #[inline]
    pub(super) fn next(&self, plane: u8, at: usize, limit: usize) -> usize {
        let Some(plane) = self.planes.get(usize::from(plane)) else { return limit };
        let word = plane.word(at) >> (at & 7);
        if word != 0 { (at + word.trailing_zeros() as usize).min(limit) } else { plane.next_far(at, limit) }
    }
}

impl Plane {
    fn fill(&mut self, window: &[u8], from: usize, to: usize, level: Level) {
        // A load at the last bit reads seven bytes on.
        let wanted = to.div_ceil(64) * 8 + 8;
        if self.bits.len() < wanted {
            self.bits.resize(wanted.next_power_of_two(), 0);
        }
        level.fill(&self.member, &window[from..to], &mut self.bits[from / 8..]);
    }

    #[inline]
    fn word(&self, at: usize) -> u64 {
        self.bits.get(at >> 3..).and_then(|bits| bits.first_chunk()).map_or(0, |bits| u64::from_le_bytes(*bits))
    }

    fn next_far(&self, at: usize, limit: usize) -> usize {
        let mut at = (at + SURE_BITS) & !7;
        while at < limit {
            let word = self.word(at);
            if word != 0 {
                return (at + word.trailing_zeros() as usize).min(limit);
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
                    // A plane that comes late knows nothing before its line; this line begins at 0.
                    planes.fill(&window, len / 2);
                    let plane = planes.plane_of(set, &window, 0).expect("there is room");
                    planes.fill(&window, len);
                    for at in 0..len {
                        let slow = window[at..].iter().position(|&byte| set.contains(byte)).map_or(len, |next| at + next);
                        assert_eq!(planes.next(plane, at, len), slow, "{level:?} {set:?} at {at} of {len}");
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
