//! Q8_0, as bytes from 0 up with their zero at 128.

use std::arch::x86_64::*;

use super::{half_at, load_at};

pub(super) const BYTES: usize = 34;
pub(super) const GROUPS: usize = 1;
pub(super) const ZERO_BITS: Option<i32> = Some(7);
pub(super) const ARE_BYTES: bool = true;
pub(super) const HAS_OFFSETS: bool = false;

#[target_feature(enable = "avx2,f16c")]
#[inline]
pub(super) fn lines(block: &[u8; BYTES]) -> __m256 {
    half_at(block, 0)
}

pub(super) const NO_SCALES: __m256 = super::ZERO;

#[target_feature(enable = "avx2")]
#[inline]
pub(super) fn scales(lines: &__m256, steps: &[f32; GROUPS]) -> __m256 {
    _mm256_mul_ps(*lines, _mm256_set1_ps(steps[0]))
}

#[target_feature(enable = "avx2")]
#[inline]
pub(super) fn scale<const K: usize>(scales: &__m256) -> __m256 {
    *scales
}

#[target_feature(enable = "avx2")]
#[inline]
pub(super) fn offsets(_: &__m256) -> __m256 {
    _mm256_setzero_ps()
}

#[target_feature(enable = "avx2")]
#[inline]
pub(super) fn codes<const K: usize>(block: &[u8; BYTES]) -> __m256i {
    _mm256_xor_si256(load_at(block, 2), _mm256_set1_epi8(i8::MIN))
}
