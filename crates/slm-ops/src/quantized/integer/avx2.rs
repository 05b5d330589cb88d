//! AVX2, with VNNI and without.

use std::arch::x86_64::*;

use super::kernel::{Sums, TILE};
use super::panels::{PANEL, Slice};
use super::tokens::TokenTile;

/// Columns in a vector.
const LANES: usize = 8;
/// Vectors that are computed together: with six rows, 12 of 16 registers hold sums.
const WIDE: usize = 2;

/// `$tile` made of `$add(sum, w, x)`, less `$excess` times the row's sum.
macro_rules! tile {
    ($tile:ident, $features:literal, $excess:literal, $add:ident) => {
        #[target_feature(enable = $features)]
        pub(super) fn $tile(rows: &TokenTile<'_>, panel: &[Slice], sums: &mut Sums) {
            let x = rows
                .codes
                .map(|row| row[..panel.len()].as_ptr().cast::<i32>());
            for first in (0..PANEL / LANES).step_by(WIDE) {
                let mut all = [[_mm256_setzero_si256(); WIDE]; TILE];
                for (k, slice) in panel.iter().enumerate() {
                    let at = slice.as_ptr().cast::<__m256i>();
                    #[expect(unsafe_code, reason = "vectors are read through pointers")]
                    // SAFETY: a slice is eight vectors.
                    let w: [__m256i; WIDE] =
                        std::array::from_fn(|j| unsafe { _mm256_loadu_si256(at.add(first + j)) });
                    for i in 0..TILE {
                        #[expect(unsafe_code, reason = "bounds are checked once")]
                        // SAFETY: a row has a quad for every slice.
                        let quad = unsafe { x[i].add(k).read_unaligned() };
                        for j in 0..WIDE {
                            all[i][j] = $add(all[i][j], w[j], _mm256_set1_epi32(quad));
                        }
                    }
                }
                for ((all, sums), sum) in all.iter().zip(&mut *sums).zip(rows.sums) {
                    let excess = _mm256_set1_epi32($excess * sum);
                    let at = sums.as_mut_ptr().cast::<__m256i>();
                    for (j, vector) in all.iter().enumerate() {
                        #[expect(unsafe_code, reason = "vectors are written through pointers")]
                        // SAFETY: a row of sums is eight vectors.
                        unsafe {
                            _mm256_storeu_si256(
                                at.add(first + j),
                                _mm256_sub_epi32(*vector, excess),
                            );
                        }
                    }
                }
            }
        }
    };
}

// Columns hold 128 too much.
tile!(tile_vnni, "avx2,avxvnni", 128, _mm256_dpbusd_avx_epi32);
tile!(tile, "avx2", 0, add);

/// Two products of magnitudes up to 127 are at most 32,258, which 16 bits hold; with bytes up to 255 they would saturate.
#[target_feature(enable = "avx2")]
#[inline]
fn add(sum: __m256i, w: __m256i, x: __m256i) -> __m256i {
    let w = _mm256_xor_si256(w, _mm256_set1_epi8(i8::MIN));
    let pairs = _mm256_maddubs_epi16(_mm256_abs_epi8(w), _mm256_sign_epi8(x, w));
    _mm256_add_epi32(sum, _mm256_madd_epi16(pairs, _mm256_set1_epi16(1)))
}
