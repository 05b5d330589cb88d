//! Q6_K: sixteen groups of 16, two in a vector.

use std::arch::x86_64::*;

use super::{half_at, load_at, load_half_at, of_groups};

pub(super) const BYTES: usize = 210;
pub(super) const GROUPS: usize = 8;
pub(super) const ZERO_BITS: Option<i32> = Some(5);
pub(super) const ARE_BYTES: bool = false;
pub(super) const HAS_OFFSETS: bool = false;

/// Scales of the first eight groups of 16 and of the others.
#[target_feature(enable = "avx2,f16c")]
#[inline]
pub(super) fn lines(block: &[u8; BYTES]) -> [__m256; 2] {
    let (d, scales) = (half_at(block, 208), load_half_at(block, 192));
    let upper = _mm_unpackhi_epi64(scales, scales);
    [scales, upper].map(|eight| {
        let floats = _mm256_cvtepi32_ps(_mm256_cvtepi8_epi32(eight));
        _mm256_mul_ps(d, floats)
    })
}

pub(super) const NO_SCALES: [__m256; 2] = [super::ZERO; 2];

/// A group of 16 in a lane.
#[target_feature(enable = "avx2")]
#[inline]
pub(super) fn scales(lines: &[__m256; 2], steps: &[f32; GROUPS]) -> [__m256; 2] {
    let steps = of_groups(steps);
    let twice = [
        _mm256_setr_epi32(0, 0, 1, 1, 2, 2, 3, 3),
        _mm256_setr_epi32(4, 4, 5, 5, 6, 6, 7, 7),
    ];
    [
        _mm256_mul_ps(lines[0], _mm256_permutevar8x32_ps(steps, twice[0])),
        _mm256_mul_ps(lines[1], _mm256_permutevar8x32_ps(steps, twice[1])),
    ]
}

#[target_feature(enable = "avx2")]
#[inline]
pub(super) fn scale<const K: usize>(scales: &[__m256; 2]) -> __m256 {
    let (a, b) = (2 * (K % 4) as i32, 2 * (K % 4) as i32 + 1);
    _mm256_permutevar8x32_ps(scales[K / 4], _mm256_setr_epi32(a, a, a, a, b, b, b, b))
}

#[target_feature(enable = "avx2")]
#[inline]
pub(super) fn offsets(_: &[__m256; 2]) -> __m256 {
    _mm256_setzero_ps()
}

#[target_feature(enable = "avx2")]
#[inline]
pub(super) fn codes<const K: usize>(block: &[u8; BYTES]) -> __m256i {
    let low = load_at(block, K / 4 * 64 + K % 2 * 32);
    let low = match K % 4 / 2 {
        0 => low,
        _ => _mm256_srli_epi16(low, 4),
    };
    let high = load_at(block, 128 + K / 4 * 32);
    let high = match K % 4 {
        0 => _mm256_slli_epi16(high, 4),
        1 => _mm256_slli_epi16(high, 2),
        2 => high,
        _ => _mm256_srli_epi16(high, 2),
    };
    _mm256_or_si256(
        _mm256_and_si256(low, _mm256_set1_epi8(0xf)),
        _mm256_and_si256(high, _mm256_set1_epi8(0x30)),
    )
}
