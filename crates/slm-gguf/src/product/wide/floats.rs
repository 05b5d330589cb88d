//! F32, F16 and BF16: eight numbers in a vector, multiplied as they are.

use std::arch::x86_64::*;

use super::{load_at, load_half_at, sum};

/// Sums that are taken side by side: an addition does not wait for the one before.
const WIDE: usize = 4;

#[target_feature(enable = "avx2")]
#[inline]
pub(super) fn f32_at(row: &[u8], i: usize) -> __m256 {
    _mm256_castsi256_ps(load_at(row, 4 * i))
}

#[target_feature(enable = "avx2,f16c")]
#[inline]
pub(super) fn f16_at(row: &[u8], i: usize) -> __m256 {
    _mm256_cvtph_ps(load_half_at(row, 2 * i))
}

#[target_feature(enable = "avx2")]
#[inline]
pub(super) fn bf16_at(row: &[u8], i: usize) -> __m256 {
    let upper = _mm256_cvtepu16_epi32(load_half_at(row, 2 * i));
    _mm256_castsi256_ps(_mm256_slli_epi32(upper, 16))
}

/// Eight numbers of a vector.
#[target_feature(enable = "avx2")]
#[inline]
fn eight(x: &[f32; 8]) -> __m256 {
    #[expect(unsafe_code, reason = "vectors are read through pointers")]
    // SAFETY: the array is a vector.
    unsafe {
        _mm256_loadu_ps(x.as_ptr())
    }
}

/// `$row(row, x)`: the product of a row, whose numbers from `i` on are `$at(row, i)`, with vectors. The rest of a row that is not whole
/// vectors is `$rest(bytes)`.
macro_rules! row {
    ($name:ident, $bytes:literal, $at:ident, $rest:expr) => {
        #[target_feature(enable = "avx2,fma,f16c")]
        pub(super) fn $name<const V: usize>(row: &[u8], x: [&[f32]; V]) -> [f32; V] {
            let n = row.len() / $bytes;
            let x = x.map(|x| &x[..n]);
            let mut all = [[_mm256_setzero_ps(); WIDE]; V];
            let parts = x.map(|x| x.as_chunks::<8>().0);
            let whole = n / (8 * WIDE) * WIDE;
            for first in (0..whole).step_by(WIDE) {
                for j in 0..WIDE {
                    let w = $at(row, 8 * (first + j));
                    for (all, part) in all.iter_mut().zip(&parts) {
                        all[j] = _mm256_fmadd_ps(w, eight(&part[first + j]), all[j]);
                    }
                }
            }
            for i in whole..n / 8 {
                let w = $at(row, 8 * i);
                for (all, part) in all.iter_mut().zip(&parts) {
                    all[0] = _mm256_fmadd_ps(w, eight(&part[i]), all[0]);
                }
            }
            let mut sums = all
                .map(|[a, b, c, d]| sum(_mm256_add_ps(_mm256_add_ps(a, b), _mm256_add_ps(c, d))));
            let rest = row.as_chunks::<$bytes>().0[n / 8 * 8..].iter();
            for (i, bytes) in rest.enumerate() {
                let w: f32 = $rest(*bytes);
                for (sum, x) in sums.iter_mut().zip(&x) {
                    *sum += w * x[n / 8 * 8 + i];
                }
            }
            sums
        }
    };
}

row!(f32_row, 4, f32_at, f32::from_le_bytes);
row!(f16_row, 2, f16_at, |bytes| half::f16::from_le_bytes(bytes)
    .to_f32());
row!(bf16_row, 2, bf16_at, |bytes| half::bf16::from_le_bytes(
    bytes
)
.to_f32());

/// Rows of floats, read once for a few vectors.
#[target_feature(enable = "avx2,fma,f16c")]
pub(super) fn multiply(
    tensor_type: crate::TensorType,
    rows: &[u8],
    row_bytes: usize,
    vectors: &crate::product::Vectors,
    y: &mut [f32],
) {
    let count = vectors.count();
    macro_rules! all {
        ($row:ident) => {
            for (row, y) in rows.chunks_exact(row_bytes).zip(y.chunks_exact_mut(count)) {
                let (some, rest) = y.as_chunks_mut::<{ super::MANY }>();
                let done = some.len() * super::MANY;
                for (i, y) in some.iter_mut().enumerate() {
                    let x = |v: usize| vectors.values(i * super::MANY + v);
                    *y = $row(row, [x(0), x(1), x(2), x(3)]);
                }
                for (i, y) in rest.iter_mut().enumerate() {
                    [*y] = $row(row, [vectors.values(done + i)]);
                }
            }
        };
    }
    match tensor_type {
        crate::TensorType::F16 => all!(f16_row),
        crate::TensorType::BF16 => all!(bf16_row),
        _ => all!(f32_row),
    }
}
