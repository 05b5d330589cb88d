//! Vectors of 256 bits: what AVX2 reads out of blocks, multiplied by the best instruction there is.

mod floats;
mod k_lines;
mod q4;
mod q5;
mod q6_k;
mod q8_0;

use std::arch::x86_64::*;

use super::vectors::{self, Group, Vectors};
use crate::TensorType;
use k_lines::{q4_k, q5_k};
use q4::{q4_0, q4_1};
use q5::{q5_0, q5_1};

/// Vectors that share what is read of a row.
const MANY: usize = 4;

/// How far ahead of what is read memory is asked, in bytes.
const AHEAD: usize = 2048;

/// `$tile` of a type: a row with some vectors. `$type` is a module that reads its blocks. A row is read from its beginning to its end,
/// as memory is fastest.
macro_rules! tile {
    ($tile:ident, $features:literal, $dot:ident, $dot_of_bytes:ident, $type:ident) => {
        #[target_feature(enable = $features)]
        fn $tile<const V: usize>(row: &[u8], vectors: &Vectors, first: usize) -> [f32; V] {
            const N: usize = $type::GROUPS;
            let row = row.as_chunks::<{ $type::BYTES }>().0;
            let mut x = [(&[] as &[[Group; N]], &[] as &[[f32; N]], &[] as &[[f32; N]]); V];
            for (v, x) in x.iter_mut().enumerate() {
                *x = (
                    &vectors.groups(first + v).as_chunks::<N>().0[..row.len()],
                    &vectors.steps(first + v).as_chunks::<N>().0[..row.len()],
                    &vectors.sums(first + v).as_chunks::<N>().0[..row.len()],
                );
            }
            // Two sums side by side, so that an addition does not wait for the one before.
            let mut all = [[_mm256_setzero_ps(); V]; 2];
            macro_rules! group {
                ($b:expr, $scales:expr, $k:literal, $side:literal) => {
                    if $k < N {
                        const K: usize = if $k < N { $k } else { 0 };
                        let codes = $type::codes::<K>(&row[$b]);
                        for v in 0..V {
                            let group = &x[v].0[$b][K];
                            let start = match $type::ZERO_BITS {
                                Some(bits) => shifted(load(&group.lanes), bits),
                                None => _mm256_setzero_si256(),
                            };
                            let q = load(&group.codes);
                            let dots = match $type::ARE_BYTES {
                                true => $dot_of_bytes(start, codes, q),
                                false => $dot(start, codes, q),
                            };
                            let scales = $type::scale::<K>(&$scales[v]);
                            let dots = _mm256_cvtepi32_ps(dots);
                            all[$side][v] = _mm256_fmadd_ps(dots, scales, all[$side][v]);
                        }
                    }
                };
            }
            macro_rules! block {
                ($b:expr, $even:literal, $odd:literal) => {
                    look_ahead::<{ $type::BYTES }>(&row[$b]);
                    let lines = &$type::lines(&row[$b]);
                    let mut scales = [$type::NO_SCALES; V];
                    for (v, scales) in scales.iter_mut().enumerate() {
                        *scales = $type::scales(lines, &x[v].1[$b]);
                    }
                    group!($b, scales, 0, $even);
                    group!($b, scales, 1, $odd);
                    group!($b, scales, 2, $even);
                    group!($b, scales, 3, $odd);
                    group!($b, scales, 4, $even);
                    group!($b, scales, 5, $odd);
                    group!($b, scales, 6, $even);
                    group!($b, scales, 7, $odd);
                    if $type::HAS_OFFSETS {
                        for v in 0..V {
                            let sums = of_groups(&x[v].2[$b]);
                            let offsets = $type::offsets(lines);
                            all[$odd][v] = _mm256_fnmadd_ps(offsets, sums, all[$odd][v]);
                        }
                    }
                };
            }
            let pairs = if N == 1 { row.len() / 2 } else { 0 };
            for pair in 0..pairs {
                block!(2 * pair, 0, 0);
                block!(2 * pair + 1, 1, 1);
            }
            for b in 2 * pairs..row.len() {
                block!(b, 0, 1);
            }
            let mut sums = [0.0; V];
            for (v, sums) in sums.iter_mut().enumerate() {
                *sums = sum(_mm256_add_ps(all[0][v], all[1][v]));
            }
            sums
        }
    };
}

/// A function for an instruction set, with a tile for each type.
macro_rules! kernel {
    ($kernel:ident, $features:literal, $dot:ident, $dot_of_bytes:ident) => {
        #[target_feature(enable = $features)]
        pub(super) fn $kernel(
            tensor_type: TensorType,
            rows: &[u8],
            row_bytes: usize,
            vectors: &Vectors,
            y: &mut [f32],
        ) {
            let count = vectors.count();
            macro_rules! all {
                ($type:ident) => {{
                    tile!(tile, $features, $dot, $dot_of_bytes, $type);
                    let rows = rows.chunks_exact(row_bytes);
                    for (row, y) in rows.zip(y.chunks_exact_mut(count)) {
                        let (some, rest) = y.as_chunks_mut::<MANY>();
                        let done = some.len() * MANY;
                        for (i, y) in some.iter_mut().enumerate() {
                            *y = tile::<MANY>(row, vectors, i * MANY);
                        }
                        for (i, y) in rest.iter_mut().enumerate() {
                            [*y] = tile::<1>(row, vectors, done + i);
                        }
                    }
                }};
            }
            match tensor_type {
                TensorType::Q4_0 => all!(q4_0),
                TensorType::Q4_1 => all!(q4_1),
                TensorType::Q5_0 => all!(q5_0),
                TensorType::Q5_1 => all!(q5_1),
                TensorType::Q4_K => all!(q4_k),
                TensorType::Q5_K => all!(q5_k),
                TensorType::Q6_K => all!(q6_k),
                TensorType::Q8_0 => all!(q8_0),
                _ => floats::multiply(tensor_type, rows, row_bytes, vectors, y),
            }
        }
    };
}

kernel!(
    avx512,
    "avx2,fma,f16c,avx512f,avx512vl,avx512bw,avx512vnni",
    _mm256_dpbusd_epi32,
    _mm256_dpbusd_epi32
);
kernel!(
    avx_vnni,
    "avx2,fma,f16c,avxvnni",
    _mm256_dpbusd_avx_epi32,
    _mm256_dpbusd_avx_epi32
);
kernel!(avx2, "avx2,fma,f16c", dot, dot_of_bytes);

/// [`vectors::quantize_each`] by wider vectors: the same bits.
#[target_feature(enable = "avx2")]
pub(super) fn quantize(values: &[f32], groups: &mut [Group], steps: &mut [f32], sums: &mut [f32]) {
    vectors::quantize_each(values, groups, steps, sums);
}

/// `start + codes · q` in lanes of four, of codes below 64: two products have 16 bits.
#[target_feature(enable = "avx2")]
#[inline]
fn dot(start: __m256i, codes: __m256i, q: __m256i) -> __m256i {
    let pairs = _mm256_maddubs_epi16(codes, q);
    _mm256_add_epi32(start, _mm256_madd_epi16(pairs, _mm256_set1_epi16(1)))
}

/// `(codes − 128) · q`, without a start: two products of magnitudes up to 128 and 127 have 16 bits, those of larger codes do not.
#[target_feature(enable = "avx2")]
#[inline]
fn dot_of_bytes(_: __m256i, codes: __m256i, q: __m256i) -> __m256i {
    let w = _mm256_xor_si256(codes, _mm256_set1_epi8(i8::MIN));
    let pairs = _mm256_maddubs_epi16(_mm256_abs_epi8(w), _mm256_sign_epi8(q, w));
    _mm256_madd_epi16(pairs, _mm256_set1_epi16(1))
}

/// Asks memory for what follows the first `N` bytes of a block.
#[target_feature(enable = "sse")]
#[inline]
fn look_ahead<const N: usize>(block: &[u8]) {
    for line in (0..N).step_by(64) {
        let at = block.as_ptr().wrapping_add(AHEAD + line);
        _mm_prefetch::<_MM_HINT_T0>(at.cast());
    }
}

/// 32 bytes.
#[target_feature(enable = "avx2")]
#[inline]
fn load<T: Copy, const N: usize>(bytes: &[T; N]) -> __m256i {
    const { assert!(size_of::<T>() * N == 32) };
    #[expect(unsafe_code, reason = "vectors are read through pointers")]
    // SAFETY: the array has 32 bytes.
    unsafe {
        _mm256_loadu_si256(bytes.as_ptr().cast())
    }
}

/// 32 bytes from `at` on.
#[target_feature(enable = "avx2")]
#[inline]
fn load_at(bytes: &[u8], at: usize) -> __m256i {
    match bytes[at..].first_chunk::<32>() {
        Some(bytes) => load(bytes),
        None => _mm256_setzero_si256(),
    }
}

/// 16 bytes from `at` on.
#[target_feature(enable = "avx2")]
#[inline]
fn load_half_at(bytes: &[u8], at: usize) -> __m128i {
    match bytes[at..].first_chunk::<16>() {
        #[expect(unsafe_code, reason = "vectors are read through pointers")]
        // SAFETY: the array has 16 bytes.
        Some(bytes) => unsafe { _mm_loadu_si128(bytes.as_ptr().cast()) },
        None => _mm_setzero_si128(),
    }
}

/// The lanes times 2 to the `bits`.
#[target_feature(enable = "avx2")]
#[inline]
fn shifted(lanes: __m256i, bits: i32) -> __m256i {
    _mm256_sll_epi32(lanes, _mm_cvtsi32_si128(bits))
}

/// Nothing yet.
const ZERO: __m256 = {
    #[expect(unsafe_code, reason = "there is no constant of this type")]
    // SAFETY: all bits may be zero.
    unsafe {
        std::mem::zeroed()
    }
};

/// The F16 number at `at`, in every lane.
#[target_feature(enable = "avx2,f16c")]
#[inline]
fn half_at(bytes: &[u8], at: usize) -> __m256 {
    let half = i16::from_le_bytes([bytes[at], bytes[at + 1]]);
    _mm256_cvtph_ps(_mm_set1_epi16(half))
}

/// A number for each group: in lanes, or that of the only group in the first.
#[target_feature(enable = "avx2")]
#[inline]
fn of_groups<const N: usize>(numbers: &[f32; N]) -> __m256 {
    match numbers.first_chunk::<8>() {
        #[expect(unsafe_code, reason = "vectors are read through pointers")]
        // SAFETY: the array is a vector.
        Some(numbers) => unsafe { _mm256_loadu_ps(numbers.as_ptr()) },
        None => _mm256_setr_ps(numbers[0], 0.0, 0.0, 0.0, 0.0, 0.0, 0.0, 0.0),
    }
}

/// Of the lanes.
#[target_feature(enable = "avx2")]
#[inline]
fn sum(lanes: __m256) -> f32 {
    let four = _mm_add_ps(
        _mm256_castps256_ps128(lanes),
        _mm256_extractf128_ps(lanes, 1),
    );
    let two = _mm_add_ps(four, _mm_movehl_ps(four, four));
    _mm_cvtss_f32(_mm_add_ss(two, _mm_shuffle_ps(two, two, 1)))
}
