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

/// Rows that share what is read of a vector, and the other way round.
const ROWS: usize = 4;
const MANY: usize = 4;

/// `$product` of a type: each of some rows with each of some vectors. `$type` is a module that reads its blocks.
macro_rules! tile {
    ($tile:ident, $features:literal, $dot:ident, $dot_of_bytes:ident, $type:ident) => {
        #[target_feature(enable = $features)]
        fn $tile<const R: usize, const V: usize>(
            rows: [&[u8]; R],
            vectors: &Vectors,
            first: usize,
        ) -> [[f32; V]; R] {
            const N: usize = $type::GROUPS;
            let rows = rows.map(|row| row.as_chunks::<{ $type::BYTES }>().0);
            let n_blocks = rows[0].len();
            let rows = rows.map(|row| &row[..n_blocks]);
            let groups: [&[[Group; N]]; V] =
                std::array::from_fn(|v| &vectors.groups(first + v).as_chunks::<N>().0[..n_blocks]);
            let steps: [&[[f32; N]]; V] =
                std::array::from_fn(|v| &vectors.steps(first + v).as_chunks::<N>().0[..n_blocks]);
            let sums: [&[[f32; N]]; V] =
                std::array::from_fn(|v| &vectors.sums(first + v).as_chunks::<N>().0[..n_blocks]);
            let mut all = [[_mm256_setzero_ps(); V]; R];
            for b in 0..n_blocks {
                let lines: [_; R] = std::array::from_fn(|r| $type::lines(&rows[r][b]));
                macro_rules! group {
                    ($k:literal) => {
                        if $k < N {
                            const K: usize = $k % N;
                            for r in 0..R {
                                let codes = $type::codes::<K>(&rows[r][b]);
                                let scales = $type::scales::<K>(&lines[r]);
                                for v in 0..V {
                                    let group = &groups[v][b][K];
                                    let start = match $type::ZERO_BITS {
                                        Some(bits) => shifted(load(&group.lanes), bits),
                                        None => _mm256_setzero_si256(),
                                    };
                                    let q = load(&group.codes);
                                    let dots = match $type::ARE_BYTES {
                                        true => $dot_of_bytes(start, codes, q),
                                        false => $dot(start, codes, q),
                                    };
                                    let step = _mm256_set1_ps(steps[v][b][K]);
                                    all[r][v] = _mm256_fmadd_ps(
                                        _mm256_cvtepi32_ps(dots),
                                        _mm256_mul_ps(scales, step),
                                        all[r][v],
                                    );
                                }
                            }
                        }
                    };
                }
                group!(0);
                group!(1);
                group!(2);
                group!(3);
                group!(4);
                group!(5);
                group!(6);
                group!(7);
                if $type::HAS_OFFSETS {
                    for r in 0..R {
                        for v in 0..V {
                            let sums = of_groups(&sums[v][b]);
                            all[r][v] =
                                _mm256_fnmadd_ps($type::offsets(&lines[r]), sums, all[r][v]);
                        }
                    }
                }
            }
            all.map(|all| all.map(|all| sum(all)))
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
            macro_rules! all {
                ($type:ident) => {{
                    tile!(tile, $features, $dot, $dot_of_bytes, $type);
                    let count = vectors.count();
                    let mut first = 0;
                    while first + MANY <= count {
                        for (i, row) in rows.chunks_exact(row_bytes).enumerate() {
                            let [sums] = tile::<1, MANY>([row], vectors, first);
                            y[i * count + first..][..MANY].copy_from_slice(&sums);
                        }
                        first += MANY;
                    }
                    for v in first..count {
                        let some = rows.chunks_exact(ROWS * row_bytes);
                        let rest = some.remainder();
                        let done = (rows.len() - rest.len()) / row_bytes;
                        for (i, some) in some.enumerate() {
                            let some = std::array::from_fn(|r| &some[r * row_bytes..][..row_bytes]);
                            let sums = tile::<ROWS, 1>(some, vectors, v);
                            for (r, [sum]) in sums.into_iter().enumerate() {
                                y[(i * ROWS + r) * count + v] = sum;
                            }
                        }
                        for (i, row) in rest.chunks_exact(row_bytes).enumerate() {
                            let [[sum]] = tile::<1, 1>([row], vectors, v);
                            y[(done + i) * count + v] = sum;
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
