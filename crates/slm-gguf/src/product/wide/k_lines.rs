//! Q4_K and Q5_K: eight groups, each with a line of its own.

use std::arch::x86_64::*;

use super::super::scalar::six_bits;
use super::{half_at, load_at, of_groups};

/// Scales and offsets, a group in a lane.
pub(super) type Lines = [__m256; 2];

#[target_feature(enable = "avx2,f16c")]
#[inline]
fn lines(block: &[u8; 16]) -> Lines {
    let (scales, offsets) = block[4..].first_chunk().map_or(([0; 8], [0; 8]), six_bits);
    [
        _mm256_mul_ps(half_at(block, 0), floats(scales)),
        _mm256_mul_ps(half_at(block, 2), floats(offsets)),
    ]
}

#[target_feature(enable = "avx2")]
#[inline]
fn floats(numbers: [u8; 8]) -> __m256 {
    let bytes = _mm_cvtsi64_si128(i64::from_le_bytes(numbers));
    _mm256_cvtepi32_ps(_mm256_cvtepu8_epi32(bytes))
}

/// The low bits of group `K`: half of each of 32 bytes.
#[target_feature(enable = "avx2")]
#[inline]
fn nibbles<const K: usize>(bytes: &[u8], at: usize) -> __m256i {
    let bytes = load_at(bytes, at + K / 2 * 32);
    let down = match K % 2 {
        0 => bytes,
        _ => _mm256_srli_epi16(bytes, 4),
    };
    _mm256_and_si256(down, _mm256_set1_epi8(0xf))
}

/// The fifth bits of group `K`, where they belong.
#[target_feature(enable = "avx2")]
#[inline]
fn fifths<const K: usize>(bytes: &[u8], at: usize) -> __m256i {
    let bytes = load_at(bytes, at);
    let moved = match K {
        0 => _mm256_slli_epi16(bytes, 4),
        1 => _mm256_slli_epi16(bytes, 3),
        2 => _mm256_slli_epi16(bytes, 2),
        3 => _mm256_slli_epi16(bytes, 1),
        4 => bytes,
        5 => _mm256_srli_epi16(bytes, 1),
        6 => _mm256_srli_epi16(bytes, 2),
        _ => _mm256_srli_epi16(bytes, 3),
    };
    _mm256_and_si256(moved, _mm256_set1_epi8(16))
}

macro_rules! with_lines {
    ($type:ident, $bytes:literal, $codes:expr) => {
        pub(super) mod $type {
            use super::*;

            pub(in super::super) const BYTES: usize = $bytes;
            pub(in super::super) const GROUPS: usize = 8;
            pub(in super::super) const ZERO_BITS: Option<i32> = None;
            pub(in super::super) const ARE_BYTES: bool = false;
            pub(in super::super) const HAS_OFFSETS: bool = true;

            #[target_feature(enable = "avx2,f16c")]
            #[inline]
            pub(in super::super) fn lines(block: &[u8; BYTES]) -> Lines {
                super::lines(block.first_chunk().unwrap_or(&[0; 16]))
            }

            pub(in super::super) const NO_SCALES: __m256 = super::super::ZERO;

            /// A group in a lane.
            #[target_feature(enable = "avx2")]
            #[inline]
            pub(in super::super) fn scales(lines: &Lines, steps: &[f32; GROUPS]) -> __m256 {
                _mm256_mul_ps(lines[0], of_groups(steps))
            }

            #[target_feature(enable = "avx2")]
            #[inline]
            pub(in super::super) fn scale<const K: usize>(scales: &__m256) -> __m256 {
                _mm256_permutevar8x32_ps(*scales, _mm256_set1_epi32(K as i32))
            }

            #[target_feature(enable = "avx2")]
            #[inline]
            pub(in super::super) fn offsets(lines: &Lines) -> __m256 {
                lines[1]
            }

            #[target_feature(enable = "avx2")]
            #[inline]
            pub(in super::super) fn codes<const K: usize>(block: &[u8; BYTES]) -> __m256i {
                $codes(block)
            }
        }
    };
}

with_lines!(q4_k, 144, |block| nibbles::<K>(block, 16));
with_lines!(q5_k, 176, |block| _mm256_or_si256(
    nibbles::<K>(block, 48),
    fifths::<K>(block, 16)
));
