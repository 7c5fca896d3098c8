//! A stretch of a record in which every byte has its place, such as a stamp: `09/Mar/2026:00:00:00 +0000] "`.
//!
//! Which byte may be where is one range per place, so that sixteen places are checked by three instructions, without
//! looking for the end of anything and without a jump.

use super::byteset::ByteSet;

/// Bytes of a shape at most.
pub(super) const MAX_BYTES: usize = 64;
/// Places at most that allow something else than a range.
const MAX_ODD: usize = 6;
/// The top bit of every byte.
const TOPS: u64 = 0x8080_8080_8080_8080;

/// What may be where.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Shape {
    len: u8,
    ranges: Vec<Ranges>,
    odd: Vec<(u8, ByteSet)>,
}

/// The end of a run that is short: it is looked for in the bytes themselves, eight at a time.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Near {
    first: u64,
    last: u64,
    /// Top bits if what is between `first` and `last` ends the run, and none if all else does.
    flip: u64,
}

impl Near {
    /// `None` if the bytes that end the run are neither what is between two bytes nor all but these.
    pub(super) fn new(stops: ByteSet) -> Option<Self> {
        let (range, flip) = match range_of(stops.complement()) {
            Some(range) => (range, TOPS),
            None => (range_of(stops)?, 0),
        };
        Some(Self { first: u64::from_le_bytes([range.0; 8]), last: u64::from_le_bytes([range.1; 8]), flip })
    }

    /// The first byte at or behind `at` that ends the run. What is found behind `limit` is behind `limit` and else unknown.
    #[inline(always)]
    pub(super) fn next(&self, window: &[u8], mut at: usize, limit: usize) -> usize {
        while at < limit
            && let Some(eight) = window.get(at..).and_then(|rest| rest.first_chunk())
        {
            let ends = (in_range(u64::from_le_bytes(*eight), self.first, self.last) ^ self.flip) & TOPS;
            if ends != 0 {
                return at + (ends.trailing_zeros() / 8) as usize;
            }
            at += 8;
        }
        while at < limit
            && let Some(byte) = window.get(at)
        {
            if (in_range(u64::from(*byte), self.first & 0xff, self.last & 0xff) ^ self.flip) & 0x80 != 0 {
                return at;
            }
            at += 1;
        }
        at.max(limit)
    }
}

/// In the top bit of each byte, whether it is between that of `first` and that of `last`, which are ASCII.
#[inline(always)]
fn in_range(bytes: u64, first: u64, last: u64) -> u64 {
    let low = bytes & !TOPS;
    // The top bit is what is left of the one that was put there: no byte borrows from its neighbour.
    ((low | TOPS) - first) & ((last | TOPS) - low) & !bytes
}

/// Bytes that are checked together.
const TOGETHER: usize = 16;

/// For each of some bytes, the first value that it may have, and how many more there are.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Ranges {
    first: [u8; TOGETHER],
    more: [u8; TOGETHER],
}

impl Ranges {
    /// Zero for each byte that is what it may be.
    #[inline(always)]
    fn wrong(&self, bytes: &[u8; TOGETHER]) -> u128 {
        let mut wrong = [0; TOGETHER];
        for place in 0..TOGETHER {
            wrong[place] = bytes[place].wrapping_sub(self.first[place]).saturating_sub(self.more[place]);
        }
        u128::from_le_bytes(wrong)
    }
}

impl Shape {
    /// A shape of these places. `None` if it would not be quick.
    pub(super) fn new(places: &[ByteSet]) -> Option<Self> {
        if places.len() > MAX_BYTES {
            return None;
        }
        let mut shape = Self { len: places.len() as u8, ..Self::default() };
        for (chunk, together) in places.chunks(TOGETHER).enumerate() {
            let (mut first, mut more) = ([0; TOGETHER], [u8::MAX; TOGETHER]);
            for (place, set) in together.iter().enumerate() {
                match range_of(*set) {
                    Some((low, high)) => (first[place], more[place]) = (low, high - low),
                    None => shape.odd.push(((chunk * TOGETHER + place) as u8, *set)),
                }
            }
            shape.ranges.push(Ranges { first, more });
        }
        (shape.odd.len() <= MAX_ODD).then_some(shape)
    }

    /// How many bytes it has.
    #[inline(always)]
    pub(super) fn len(&self) -> usize {
        usize::from(self.len)
    }

    /// Does the record that ends at `limit` have it at `at`? Not answered with yes where the window ends soon behind it.
    #[inline(always)]
    pub(super) fn is_at(&self, window: &[u8], at: usize, limit: usize) -> bool {
        let bytes = window.get(at..at + TOGETHER * self.ranges.len());
        let Some(bytes) = bytes.filter(|_| at + self.len() <= limit) else { return false };
        let (chunks, _) = bytes.as_chunks();
        let mut wrong = 0;
        for (ranges, chunk) in self.ranges.iter().zip(chunks) {
            wrong |= ranges.wrong(chunk);
        }
        wrong == 0 && self.odd.iter().all(|(place, set)| set.contains(bytes[usize::from(*place)]))
    }
}

impl Shape {
    /// Where it ends to be at `at`, or its begin where the window ends soon behind it.
    pub(super) fn differs_at(&self, window: &[u8], at: usize, limit: usize) -> usize {
        let Some(bytes) = window.get(at..at + TOGETHER * self.ranges.len()) else { return at };
        let (chunks, _) = bytes.as_chunks();
        let wrong = self.ranges.iter().zip(chunks).map(|(ranges, chunk)| ranges.wrong(chunk));
        let place = wrong.enumerate().find(|(_, wrong)| *wrong != 0);
        let place = place.map_or(self.len(), |(chunk, wrong)| chunk * TOGETHER + (wrong.trailing_zeros() / 8) as usize);
        let odd = self.odd.iter().find(|(place, set)| !set.contains(bytes[usize::from(*place)]));
        (at + place.min(odd.map_or(self.len(), |(place, _)| usize::from(*place)))).min(limit)
    }
}

/// The first and the last byte of a set that is nothing but what is between them, all of them ASCII.
fn range_of(set: ByteSet) -> Option<(u8, u8)> {
    let (first, last) = (set.iter().next()?, set.iter().last()?);
    (last < 0x80 && usize::from(last - first) + 1 == set.len()).then_some((first, last))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_near_end_is_the_first_byte_that_a_plain_loop_finds() {
        let mut digits = ByteSet::EMPTY;
        digits.insert_range(b'0', b'9');
        let window: Vec<u8> = (0..1000u32).map(|i| (i.wrapping_mul(i) / 7 % 251) as u8).chain([b'5'; 21]).collect();
        for stops in [digits, digits.complement(), ByteSet::of(b'5'), ByteSet::of(0), ByteSet::of(0x7f).complement()] {
            let near = Near::new(stops).expect("a range");
            for at in 0..window.len() {
                for limit in
                    [at, at + 1, at + 7, at + 8, at + 20, window.len()].into_iter().filter(|&limit| limit <= window.len())
                {
                    let slow = window[at..limit].iter().position(|&byte| stops.contains(byte)).map_or(limit, |next| at + next);
                    assert_eq!(near.next(&window, at, limit).min(limit), slow, "{stops:?} at {at} before {limit}");
                }
            }
        }
        assert_eq!(Near::new(digits.union(ByteSet::of(b' '))), None);
        assert_eq!(Near::new(ByteSet::of(0xff)), None);
    }

    #[test]
    fn a_shape_is_where_each_byte_is_one_of_its_place() {
        let range = |first, last| {
            let mut set = ByteSet::EMPTY;
            set.insert_range(first, last);
            set
        };
        let odd = ByteSet::of(b'+').union(ByteSet::of(b'-'));
        let places = [
            range(b'0', b'9'),
            range(b'0', b'9'),
            ByteSet::of(b'/'),
            range(b'A', b'Z'),
            odd,
            range(0, 0x7f),
            ByteSet::of(0xff),
            ByteSet::ALL,
            range(b'a', b'a'),
        ];
        let shape = Shape::new(&places).expect("a shape");
        let right = *b"07/Q+\x00\xff\xe4a";
        let mut window = right.to_vec();
        window.extend_from_slice(b"and what is behind it");
        for at in 0..right.len() {
            for byte in 0..=255 {
                window[at] = byte;
                assert_eq!(shape.is_at(&window, 0, window.len()), places[at].contains(byte), "{byte} at {at}");
            }
            window[at] = right[at];
        }
        assert!(!shape.is_at(&window, 0, 8), "the record ends in it");
        assert!(shape.is_at(&window, 0, 9));
        assert!(Shape::new(&[odd; 7]).is_none(), "this is what planes are for");
    }
}
