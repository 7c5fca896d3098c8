//! Finds the next of one, two or three bytes. Fields of log lines are short (a third of them has one or two bytes), so the
//! first bytes are looked at in line, and only a long field pays for the call of memchr.

/// How many bytes are looked at in line before memchr is called.
const NEAR: usize = 32;

/// The offset of the first `a` at or behind `from`, or the length.
#[inline]
pub(super) fn find1(hay: &[u8], from: usize, a: u8) -> usize {
    match near(hay, from, |lane| lane.equals(a)) {
        Ok(at) => at,
        Err(from) => memchr::memchr(a, &hay[from..]).map_or(hay.len(), |at| from + at),
    }
}

/// The offset of the first `a` or `b` at or behind `from`, or the length.
#[inline]
pub(super) fn find2(hay: &[u8], from: usize, a: u8, b: u8) -> usize {
    match near(hay, from, |lane| lane.equals(a) | lane.equals(b)) {
        Ok(at) => at,
        Err(from) => memchr::memchr2(a, b, &hay[from..]).map_or(hay.len(), |at| from + at),
    }
}

/// The offset of the first `a`, `b` or `c` at or behind `from`, or the length.
#[inline]
pub(super) fn find3(hay: &[u8], from: usize, a: u8, b: u8, c: u8) -> usize {
    match near(hay, from, |lane| lane.equals(a) | lane.equals(b) | lane.equals(c)) {
        Ok(at) => at,
        Err(from) => memchr::memchr3(a, b, c, &hay[from..]).map_or(hay.len(), |at| from + at),
    }
}

/// Looks at the [`NEAR`] next bytes: where the first hit is, or from where on memchr is to look.
#[cfg(target_arch = "x86_64")]
#[inline(always)]
fn near(hay: &[u8], mut from: usize, hits: impl Fn(lane::Lane) -> u32) -> Result<usize, usize> {
    for _ in 0..NEAR / lane::BYTES {
        let Some(bytes) = hay.get(from..).and_then(|rest| rest.first_chunk()) else { break };
        let found = hits(lane::Lane::load(bytes));
        if found != 0 {
            return Ok(from + found.trailing_zeros() as usize);
        }
        from += lane::BYTES;
    }
    Err(from)
}

/// Elsewhere memchr does all of the work.
#[cfg(not(target_arch = "x86_64"))]
#[inline(always)]
fn near(_: &[u8], from: usize, _: impl Fn(lane::Lane) -> u32) -> Result<usize, usize> {
    Err(from)
}

#[cfg(target_arch = "x86_64")]
mod lane {
    use std::arch::x86_64::{__m128i, _mm_cmpeq_epi8, _mm_loadu_si128, _mm_movemask_epi8, _mm_set1_epi8};

    pub(super) const BYTES: usize = 16;

    /// Sixteen bytes in a register. SSE2 is part of x86-64, so no CPU needs to be asked.
    #[derive(Clone, Copy)]
    pub(super) struct Lane(__m128i);

    impl Lane {
        #[inline(always)]
        pub(super) fn load(bytes: &[u8; BYTES]) -> Self {
            // SAFETY: the reference covers the 16 bytes that are read, and the load needs no alignment.
            Self(unsafe { _mm_loadu_si128(bytes.as_ptr().cast()) })
        }

        /// One bit for each byte that equals `byte`.
        #[inline(always)]
        pub(super) fn equals(self, byte: u8) -> u32 {
            // SAFETY: SSE2 is part of every x86-64 CPU; the operations touch registers only.
            unsafe { _mm_movemask_epi8(_mm_cmpeq_epi8(self.0, _mm_set1_epi8(byte.cast_signed()))).cast_unsigned() }
        }
    }
}

#[cfg(not(target_arch = "x86_64"))]
mod lane {
    #[derive(Clone, Copy)]
    pub(super) struct Lane;
    impl Lane {
        pub(super) fn equals(self, _: u8) -> u32 {
            0
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_finder_agrees_with_a_plain_loop_at_every_offset() {
        for len in 0..100 {
            for at in 0..=len {
                for needle in [b'a', b'b', b'c'] {
                    let mut hay = vec![b'x'; len];
                    if at < len {
                        hay[at] = needle;
                    }
                    for from in 0..=len {
                        let slow = |set: &[u8]| hay[from..].iter().position(|b| set.contains(b)).map_or(len, |i| from + i);
                        assert_eq!(find1(&hay, from, b'a'), slow(b"a"), "len {len}, at {at}, from {from}");
                        assert_eq!(find2(&hay, from, b'a', b'b'), slow(b"ab"), "len {len}, at {at}, from {from}");
                        assert_eq!(find3(&hay, from, b'a', b'b', b'c'), slow(b"abc"), "len {len}, at {at}, from {from}");
                    }
                }
            }
        }
    }
}
