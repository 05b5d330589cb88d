//! AVX-512 with VNNI.

use std::arch::x86_64::*;

use super::kernel::{Sums, TILE};
use super::panels::Slice;
use super::tokens::TokenTile;

/// Vectors across a panel.
const WIDE: usize = 4;

#[target_feature(enable = "avx512f,avx512vnni")]
pub(super) fn tile(rows: &TokenTile<'_>, panel: &[Slice], sums: &mut Sums) {
    let x = rows
        .codes
        .map(|row| row[..panel.len()].as_ptr().cast::<i32>());
    let mut all = [[_mm512_setzero_si512(); WIDE]; TILE];
    for (k, slice) in panel.iter().enumerate() {
        let at = slice.as_ptr().cast::<__m512i>();
        #[expect(unsafe_code, reason = "vectors are read through pointers")]
        // SAFETY: a slice is four vectors.
        let w: [__m512i; WIDE] = std::array::from_fn(|j| unsafe { _mm512_loadu_si512(at.add(j)) });
        for i in 0..TILE {
            #[expect(unsafe_code, reason = "bounds are checked once")]
            // SAFETY: a row has a quad for every slice.
            let quad = _mm512_set1_epi32(unsafe { x[i].add(k).read_unaligned() });
            for j in 0..WIDE {
                all[i][j] = _mm512_dpbusd_epi32(all[i][j], w[j], quad);
            }
        }
    }
    for ((all, sums), sum) in all.iter().zip(sums).zip(rows.sums) {
        // Columns hold 128 too much.
        let excess = _mm512_set1_epi32(128 * sum);
        let at = sums.as_mut_ptr().cast::<__m512i>();
        for (j, vector) in all.iter().enumerate() {
            #[expect(unsafe_code, reason = "vectors are written through pointers")]
            // SAFETY: a row of sums is four vectors.
            unsafe {
                _mm512_storeu_si512(at.add(j), _mm512_sub_epi32(*vector, excess));
            }
        }
    }
}
