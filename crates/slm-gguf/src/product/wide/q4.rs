//! Q4_0 and Q4_1: 16 bytes, of which the upper halves are the second half of the block.

use std::arch::x86_64::*;

use super::{half_at, load_half_at};

/// The four low bits of 32 codes in 16 bytes.
#[target_feature(enable = "avx2")]
#[inline]
pub(super) fn nibbles(bytes: &[u8], at: usize) -> __m256i {
    let both = _mm256_broadcastsi128_si256(load_half_at(bytes, at));
    let down = _mm256_srlv_epi32(both, _mm256_setr_epi32(0, 0, 0, 0, 4, 4, 4, 4));
    _mm256_and_si256(down, _mm256_set1_epi8(0xf))
}

/// A block of 32 with one line.
macro_rules! small {
    ($type:ident, $bytes:literal, $zero_bits:expr, $offset_at:expr, $codes:expr) => {
        pub(in super::super) mod $type {
            use super::*;

            pub(in super::super) const BYTES: usize = $bytes;
            pub(in super::super) const GROUPS: usize = 1;
            pub(in super::super) const ZERO_BITS: Option<i32> = $zero_bits;
            pub(in super::super) const ARE_BYTES: bool = false;
            pub(in super::super) const HAS_OFFSETS: bool = OFFSET_AT.is_some();
            const OFFSET_AT: Option<usize> = $offset_at;

            /// Scale, and offset, which the file has with the other sign.
            #[target_feature(enable = "avx2,f16c")]
            #[inline]
            pub(in super::super) fn lines(block: &[u8; BYTES]) -> [__m256; 2] {
                let offset = match OFFSET_AT {
                    Some(at) => _mm256_sub_ps(_mm256_setzero_ps(), half_at(block, at)),
                    None => _mm256_setzero_ps(),
                };
                [half_at(block, 0), offset]
            }

            pub(in super::super) const NO_SCALES: __m256 = super::super::ZERO;

            #[target_feature(enable = "avx2")]
            #[inline]
            pub(in super::super) fn scales(lines: &[__m256; 2], steps: &[f32; GROUPS]) -> __m256 {
                _mm256_mul_ps(lines[0], _mm256_set1_ps(steps[0]))
            }

            #[target_feature(enable = "avx2")]
            #[inline]
            pub(in super::super) fn scale<const K: usize>(scales: &__m256) -> __m256 {
                *scales
            }

            #[target_feature(enable = "avx2")]
            #[inline]
            pub(in super::super) fn offsets(lines: &[__m256; 2]) -> __m256 {
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
pub(super) use small;

small!(q4_0, 18, Some(3), None, |block| nibbles(block, 2));
small!(q4_1, 20, None, Some(2), |block| nibbles(block, 4));
