//! Which of 64 bytes are in a set, as 64 bits: the only place that knows of vector instructions.
//!
//! The level is chosen once per process. `LOGSQL_SIMD=scalar` forces the twin that every other level is tested against.

use std::sync::OnceLock;

use super::byteset::ByteSet;

/// Instructions to use.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Level {
    Scalar,
    #[cfg(target_arch = "aarch64")]
    Neon,
    #[cfg(target_arch = "x86_64")]
    Ssse3,
    #[cfg(target_arch = "x86_64")]
    Avx2,
    #[cfg(target_arch = "x86_64")]
    Avx512,
}

/// A set in the form that a level asks quickly.
pub(super) struct Member {
    set: ByteSet,
    /// Up to three bytes: comparing with each is quicker than asking tables.
    few: Option<[u8; 3]>,
    /// For the low half of a byte (below and above 128), which high halves are in the set.
    low: [[u8; 16]; 2],
}

impl Member {
    pub(super) fn new(set: ByteSet) -> Self {
        let bytes: Vec<u8> = if set.len() <= 3 { set.iter().collect() } else { vec![] };
        let few = bytes.first().map(|&first| std::array::from_fn(|index| bytes.get(index).copied().unwrap_or(first)));
        let mut low = [[0; 16]; 2];
        for byte in set.iter() {
            low[usize::from(byte >> 7)][usize::from(byte & 15)] |= 1 << (byte >> 4 & 7);
        }
        Self { set, few, low }
    }

    pub(super) fn set(&self) -> ByteSet {
        self.set
    }
}

impl Level {
    /// The best level of this CPU.
    pub(super) fn best() -> Self {
        static BEST: OnceLock<Level> = OnceLock::new();
        *BEST.get_or_init(|| {
            let wanted = std::env::var("LOGSQL_SIMD").unwrap_or_default();
            let levels = Self::all();
            levels
                .iter()
                .rev()
                .find(|level| wanted.is_empty() || wanted.eq_ignore_ascii_case(level.name()))
                .copied()
                .unwrap_or(levels[0])
        })
    }

    /// All levels that this CPU has, the slowest first.
    pub(super) fn all() -> Vec<Self> {
        let mut levels = vec![Self::Scalar];
        // Part of every such CPU.
        #[cfg(target_arch = "aarch64")]
        levels.push(Self::Neon);
        #[cfg(target_arch = "x86_64")]
        {
            if is_x86_feature_detected!("ssse3") {
                levels.push(Self::Ssse3);
            }
            if is_x86_feature_detected!("avx2") {
                levels.push(Self::Avx2);
            }
            if is_x86_feature_detected!("avx512bw") {
                levels.push(Self::Avx512);
            }
        }
        levels
    }

    pub(super) fn name(self) -> &'static str {
        match self {
            Self::Scalar => "scalar",
            #[cfg(target_arch = "aarch64")]
            Self::Neon => "neon",
            #[cfg(target_arch = "x86_64")]
            Self::Ssse3 => "ssse3",
            #[cfg(target_arch = "x86_64")]
            Self::Avx2 => "avx2",
            #[cfg(target_arch = "x86_64")]
            Self::Avx512 => "avx512",
        }
    }

    /// One bit for each of `bytes` that is in the set, as little-endian words of 64; `bits` has room for the last one.
    pub(super) fn fill(self, member: &Member, bytes: &[u8], bits: &mut [u8]) {
        match self {
            Self::Scalar => fill_with(bytes, bits, |block| scalar(member.set, block)),
            #[cfg(target_arch = "aarch64")]
            // SAFETY: NEON is part of aarch64.
            Self::Neon => unsafe { arm::fill_neon(member, bytes, bits) },
            #[cfg(target_arch = "x86_64")]
            // SAFETY: `all` and `best` give this level only where the CPU has SSSE3.
            Self::Ssse3 => unsafe { x86::fill_ssse3(member, bytes, bits) },
            #[cfg(target_arch = "x86_64")]
            // SAFETY: `all` and `best` give this level only where the CPU has AVX2.
            Self::Avx2 => unsafe { x86::fill_avx2(member, bytes, bits) },
            #[cfg(target_arch = "x86_64")]
            // SAFETY: `all` and `best` give this level only where the CPU has AVX-512 BW.
            Self::Avx512 => unsafe { x86::fill_avx512(member, bytes, bits) },
        }
    }
}

/// Goes through all blocks of 64 bytes; the last one is padded.
#[inline(always)]
fn fill_with(bytes: &[u8], bits: &mut [u8], word: impl Fn(&[u8; 64]) -> u64) {
    let (blocks, rest) = bytes.as_chunks::<64>();
    let (words, _) = bits.as_chunks_mut::<8>();
    for (block, bits) in blocks.iter().zip(words.iter_mut()) {
        prefetch(block.as_ptr().wrapping_add(PREFETCH_BYTES));
        *bits = word(block).to_le_bytes();
    }
    if !rest.is_empty()
        && let Some(bits) = words.get_mut(blocks.len())
    {
        let mut block = [0; 64];
        block[..rest.len()].copy_from_slice(rest);
        *bits = word(&block).to_le_bytes();
    }
}

/// How far ahead of the bytes that are read the next ones are asked for. CPUs do that on their own, but not over the border
/// of a page, which is every fill.
const PREFETCH_BYTES: usize = 8192;

#[inline(always)]
fn prefetch(address: *const u8) {
    #[cfg(target_arch = "x86_64")]
    // SAFETY: SSE is part of x86-64, and a prefetch of any address does nothing that can be seen.
    unsafe {
        std::arch::x86_64::_mm_prefetch::<{ std::arch::x86_64::_MM_HINT_T0 }>(address.cast());
    }
    #[cfg(not(target_arch = "x86_64"))]
    let _ = address;
}

fn scalar(set: ByteSet, block: &[u8; 64]) -> u64 {
    block.iter().rev().fold(0, |bits, &byte| bits << 1 | u64::from(set.contains(byte)))
}

/// The bit of each high half of a byte.
#[cfg(any(target_arch = "aarch64", target_arch = "x86_64"))]
const HIGH: [u8; 16] = [1, 2, 4, 8, 16, 32, 64, 128, 1, 2, 4, 8, 16, 32, 64, 128];

#[cfg(target_arch = "aarch64")]
mod arm {
    use std::arch::aarch64::{
        uint8x16_t, vandq_u8, vceqq_u8, vdupq_n_u8, veorq_u8, vgetq_lane_u64, vld1q_u8, vorrq_u8, vpaddq_u8, vqtbl1q_u8,
        vreinterpretq_u64_u8, vshrq_n_u8, vtstq_u8,
    };

    use super::{HIGH, Member, fill_with};

    #[target_feature(enable = "neon")]
    pub(super) fn fill_neon(member: &Member, bytes: &[u8], bits: &mut [u8]) {
        // SAFETY: the arrays have the 16 bytes that are read, and the load needs no alignment.
        let load = |bytes: &[u8; 16]| unsafe { vld1q_u8(bytes.as_ptr()) };
        let bit_of_lane = load(&HIGH);
        // A word of the answers (all ones or none) for four times 16 bytes.
        macro_rules! fill {
            (|$quarter:ident| $answers:expr) => {
                fill_with(bytes, bits, |block| {
                    let (quarters, _) = block.as_chunks::<16>();
                    let [a, b, c, d] = [0, 1, 2, 3].map(|quarter: usize| {
                        let $quarter = load(&quarters[quarter]);
                        vandq_u8($answers, bit_of_lane)
                    });
                    let sums = vpaddq_u8(vpaddq_u8(a, b), vpaddq_u8(c, d));
                    vgetq_lane_u64::<0>(vreinterpretq_u64_u8(vpaddq_u8(sums, sums)))
                })
            };
        }
        if let Some(few) = member.few {
            let [a, b, c] = few.map(|byte| vdupq_n_u8(byte));
            fill!(|bytes| vorrq_u8(vorrq_u8(vceqq_u8(bytes, a), vceqq_u8(bytes, b)), vceqq_u8(bytes, c)));
            return;
        }
        let [below, above, high] = [load(&member.low[0]), load(&member.low[1]), bit_of_lane];
        // A lookup beyond the table gives 0: each half of the values is asked of its own table.
        let (top, low_half) = (vdupq_n_u8(0x80), vdupq_n_u8(0x8f));
        fill!(|bytes| {
            let low = vqtbl1q_u8(below, vandq_u8(bytes, low_half));
            let low = vorrq_u8(low, vqtbl1q_u8(above, vandq_u8(veorq_u8(bytes, top), low_half)));
            vtstq_u8(low, vqtbl1q_u8(high, vshrq_n_u8::<4>(bytes)))
        });
    }
}

#[cfg(target_arch = "x86_64")]
mod x86 {
    use std::arch::x86_64::{
        __m128i, _mm_and_si128, _mm_cmpeq_epi8, _mm_loadu_si128, _mm_movemask_epi8, _mm_or_si128, _mm_set1_epi8,
        _mm_setzero_si128, _mm_shuffle_epi8, _mm_srli_epi16, _mm_xor_si128, _mm256_and_si256, _mm256_broadcastsi128_si256,
        _mm256_cmpeq_epi8, _mm256_loadu_si256, _mm256_movemask_epi8, _mm256_or_si256, _mm256_set1_epi8, _mm256_setzero_si256,
        _mm256_shuffle_epi8, _mm256_srli_epi16, _mm256_xor_si256, _mm512_and_si512, _mm512_broadcast_i32x4,
        _mm512_cmpeq_epi8_mask, _mm512_loadu_si512, _mm512_or_si512, _mm512_set1_epi8, _mm512_shuffle_epi8, _mm512_srli_epi16,
        _mm512_test_epi8_mask, _mm512_xor_si512,
    };

    use super::{HIGH, Member, fill_with};

    #[target_feature(enable = "ssse3")]
    pub(super) fn fill_ssse3(member: &Member, bytes: &[u8], bits: &mut [u8]) {
        // SAFETY: the arrays have the 16 bytes that are read, and the load needs no alignment.
        let load = |bytes: &[u8; 16]| unsafe { _mm_loadu_si128(bytes.as_ptr().cast()) };
        // A word of four times 16 bits.
        macro_rules! fill {
            (|$quarter:ident| $bits:expr) => {
                fill_with(bytes, bits, |block| {
                    let (quarters, _) = block.as_chunks::<16>();
                    quarters.iter().rev().fold(0, |word, quarter| {
                        let $quarter: __m128i = load(quarter);
                        word << 16 | u64::from($bits as u16)
                    })
                })
            };
        }
        if let Some(few) = member.few {
            let [a, b, c] = few.map(|byte| _mm_set1_epi8(byte.cast_signed()));
            fill!(|bytes| {
                let ab = _mm_or_si128(_mm_cmpeq_epi8(bytes, a), _mm_cmpeq_epi8(bytes, b));
                _mm_movemask_epi8(_mm_or_si128(ab, _mm_cmpeq_epi8(bytes, c)))
            });
            return;
        }
        let [below, above, high] = [load(&member.low[0]), load(&member.low[1]), load(&HIGH)];
        let (top, seven, zero) = (_mm_set1_epi8(0x80_u8.cast_signed()), _mm_set1_epi8(7), _mm_setzero_si128());
        fill!(|bytes| {
            let low = _mm_shuffle_epi8(below, bytes);
            let low = _mm_or_si128(low, _mm_shuffle_epi8(above, _mm_xor_si128(bytes, top)));
            let bit = _mm_shuffle_epi8(high, _mm_and_si128(_mm_srli_epi16(bytes, 4), seven));
            !_mm_movemask_epi8(_mm_cmpeq_epi8(_mm_and_si128(low, bit), zero))
        });
    }

    #[target_feature(enable = "avx2")]
    pub(super) fn fill_avx2(member: &Member, bytes: &[u8], bits: &mut [u8]) {
        // A word of the bits of two halves.
        macro_rules! fill {
            (|$half:ident| $bits:expr) => {
                fill_with(bytes, bits, |block| {
                    let (low, high) = block.split_at(32);
                    // SAFETY: each half has the 32 bytes that are read, and the load needs no alignment.
                    let halves = unsafe { [_mm256_loadu_si256(low.as_ptr().cast()), _mm256_loadu_si256(high.as_ptr().cast())] };
                    let low = {
                        let $half = halves[0];
                        $bits
                    }
                    .cast_unsigned();
                    let high = {
                        let $half = halves[1];
                        $bits
                    }
                    .cast_unsigned();
                    u64::from(low) | u64::from(high) << 32
                })
            };
        }
        if let Some([a, b, c]) = member.few {
            let one = |byte: u8| _mm256_set1_epi8(byte.cast_signed());
            let (is_one, a, b, c) = (a == b && b == c, one(a), one(b), one(c));
            if is_one {
                fill!(|bytes| _mm256_movemask_epi8(_mm256_cmpeq_epi8(bytes, a)));
            } else {
                fill!(|bytes| {
                    let ab = _mm256_or_si256(_mm256_cmpeq_epi8(bytes, a), _mm256_cmpeq_epi8(bytes, b));
                    _mm256_movemask_epi8(_mm256_or_si256(ab, _mm256_cmpeq_epi8(bytes, c)))
                });
            }
            return;
        }
        // SAFETY: the arrays have the 16 bytes that are read.
        let table = |table: &[u8; 16]| unsafe { _mm256_broadcastsi128_si256(_mm_loadu_si128(table.as_ptr().cast())) };
        let [below, above, high] = [table(&member.low[0]), table(&member.low[1]), table(&HIGH)];
        let (top, seven, zero) = (_mm256_set1_epi8(0x80_u8.cast_signed()), _mm256_set1_epi8(7), _mm256_setzero_si256());
        fill!(|bytes| {
            // A shuffle gives 0 where the top bit is set: each half of the values is asked of its own table.
            let low = _mm256_shuffle_epi8(below, bytes);
            let low = _mm256_or_si256(low, _mm256_shuffle_epi8(above, _mm256_xor_si256(bytes, top)));
            let bit = _mm256_shuffle_epi8(high, _mm256_and_si256(_mm256_srli_epi16(bytes, 4), seven));
            !_mm256_movemask_epi8(_mm256_cmpeq_epi8(_mm256_and_si256(low, bit), zero))
        });
    }

    #[target_feature(enable = "avx512bw,avx512f")]
    pub(super) fn fill_avx512(member: &Member, bytes: &[u8], bits: &mut [u8]) {
        // SAFETY: the block has the 64 bytes that are read, and the load needs no alignment.
        let load = |block: &[u8; 64]| unsafe { _mm512_loadu_si512(block.as_ptr().cast()) };
        if let Some(few) = member.few {
            let one = |byte: u8| _mm512_set1_epi8(byte.cast_signed());
            let (a, b, c) = (one(few[0]), one(few[1]), one(few[2]));
            fill_with(bytes, bits, |block| {
                let bytes = load(block);
                _mm512_cmpeq_epi8_mask(bytes, a) | _mm512_cmpeq_epi8_mask(bytes, b) | _mm512_cmpeq_epi8_mask(bytes, c)
            });
            return;
        }
        // SAFETY: the arrays have the 16 bytes that are read.
        let table = |table: &[u8; 16]| unsafe { _mm512_broadcast_i32x4(_mm_loadu_si128(table.as_ptr().cast())) };
        let [below, above, high] = [table(&member.low[0]), table(&member.low[1]), table(&HIGH)];
        let (top, seven) = (_mm512_set1_epi8(0x80_u8.cast_signed()), _mm512_set1_epi8(7));
        fill_with(bytes, bits, |block| {
            let bytes = load(block);
            let low = _mm512_shuffle_epi8(below, bytes);
            let low = _mm512_or_si512(low, _mm512_shuffle_epi8(above, _mm512_xor_si512(bytes, top)));
            let bit = _mm512_shuffle_epi8(high, _mm512_and_si512(_mm512_srli_epi16(bytes, 4), seven));
            _mm512_test_epi8_mask(low, bit)
        });
    }
}
