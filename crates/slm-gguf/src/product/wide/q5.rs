//! Q5_0 and Q5_1: as Q4, with the fifth bits in four bytes before.

use std::arch::x86_64::*;

use super::half_at;
use super::q4::{nibbles, small};

/// The fifth bits of 32 codes, where they belong.
#[target_feature(enable = "avx2")]
#[inline]
fn fifths(bytes: &[u8], at: usize) -> __m256i {
    let bits = i32::from_le_bytes([bytes[at], bytes[at + 1], bytes[at + 2], bytes[at + 3]]);
    let bytes = _mm256_shuffle_epi8(
        _mm256_set1_epi32(bits),
        _mm256_setr_epi64x(
            0,
            0x0101_0101_0101_0101,
            0x0202_0202_0202_0202,
            0x0303_0303_0303_0303,
        ),
    );
    let own = _mm256_set1_epi64x(0x8040_2010_0804_0201_u64 as i64);
    let is_set = _mm256_cmpeq_epi8(_mm256_and_si256(bytes, own), own);
    _mm256_and_si256(is_set, _mm256_set1_epi8(16))
}

#[target_feature(enable = "avx2")]
#[inline]
fn with_fifths(bytes: &[u8], fifths_at: usize) -> __m256i {
    _mm256_or_si256(nibbles(bytes, fifths_at + 4), fifths(bytes, fifths_at))
}

small!(q5_0, 22, Some(4), None, |block| with_fifths(block, 2));
small!(q5_1, 24, None, Some(2), |block| with_fifths(block, 4));
