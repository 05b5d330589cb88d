//! Rounding of a matrix where the columns to come make up for what each column loses.
//!
//! GPTQ (Frantar et al., 2023): with the inputs `x` that were observed, the error of an output is `eᵀ H e` for the error `e` of
//! a row and `H = Σ x xᵀ`. Columns are rounded one by one; what a column is off moves the later ones by the row of the Cholesky
//! factor of `H⁻¹`, which is the least that the error can be. The reference takes blocks of 128 columns to spare memory traffic;
//! here a few rows at a time stay in the cache, which gives the same numbers.

use std::num::NonZero;
use std::thread::{available_parallelism, scope};

use slm_model::{Codes, CompressedMatrix};

/// Part of the mean of H's diagonal that is added to it, as in the reference.
const DAMPING: f64 = 0.01;

/// Rows that go through the columns together.
const TILE: usize = 8;

/// The integers that a matrix is rounded to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Grid {
    /// 4 or 8.
    pub(crate) bits: u32,
    /// Columns that share a scale; the matrix has whole groups.
    pub(crate) group: usize,
}

impl Grid {
    /// The scale that a number of this size needs, as `compressed-tensors` has it: the codes reach from -2^(bits - 1) to one
    /// less than 2^(bits - 1), and half their distance is what the size becomes.
    fn scale(self, size: f32) -> f32 {
        let levels = (1u32 << self.bits) - 1;
        match size {
            0.0 => f32::EPSILON,
            size => size / (levels as f32 / 2.0),
        }
    }

    fn code(self, value: f32, scale: f32) -> i8 {
        let half = (1i32 << (self.bits - 1)) as f32;
        (value / scale).round_ties_even().clamp(-half, half - 1.0) as i8
    }
}

/// How a column's error moves the later ones: `U` of `H⁻¹ = Uᵀ U`, upper triangular.
#[derive(Debug)]
pub(crate) struct Correction {
    n: usize,
    /// `[n, n]`, row-major.
    factor: Vec<f32>,
}

impl Correction {
    /// From `Σ x xᵀ`, `[n, n]`. `None` where a sum is not finite.
    ///
    /// A column that nothing was ever multiplied with is rounded by itself.
    pub(crate) fn of(sums: &[f32], n: usize) -> Option<Self> {
        let mut h: Vec<f64> = sums.iter().map(|&sum| sum.into()).collect();
        let mean = (0..n).map(|i| h[i * n + i]).sum::<f64>() / n as f64;
        for i in 0..n {
            let at = i * n + i;
            h[at] = match h[at] {
                0.0 => 1.0,
                sum => sum + DAMPING * mean,
            };
        }
        factorize(&mut h, n)?;
        invert(&mut h, n);
        Some(Self {
            n,
            factor: h.into_iter().map(|value| value as f32).collect(),
        })
    }

    /// Rounds `weight`, `[out, n]`, row-major.
    pub(crate) fn round(&self, weight: &[f32], grid: Grid) -> CompressedMatrix {
        let n = self.n;
        let rows = weight.len() / n;
        let n_groups = n / grid.group;
        let (mut codes, mut scales) = (vec![0i8; weight.len()], vec![0.0; rows * n_groups]);
        let n_threads = available_parallelism().map_or(1, NonZero::get);
        let part = rows.div_ceil(n_threads).next_multiple_of(TILE);
        scope(|scope| {
            let parts = weight
                .chunks(part * n)
                .zip(codes.chunks_mut(part * n))
                .zip(scales.chunks_mut(part * n_groups));
            for ((weight, codes), scales) in parts {
                scope.spawn(move || {
                    let tiles = weight
                        .chunks(TILE * n)
                        .zip(codes.chunks_mut(TILE * n))
                        .zip(scales.chunks_mut(TILE * n_groups));
                    for ((weight, codes), scales) in tiles {
                        self.round_rows(weight, grid, codes, scales);
                    }
                });
            }
        });
        CompressedMatrix {
            shape: [rows, n],
            codes: match grid.bits {
                4 => Codes::Int4(codes),
                _ => Codes::Int8(codes),
            },
            scales,
        }
    }

    fn round_rows(&self, weight: &[f32], grid: Grid, codes: &mut [i8], scales: &mut [f32]) {
        let n = self.n;
        let n_groups = n / grid.group;
        let mut left = weight.to_vec();
        for column in 0..n {
            let later = &self.factor[column * n + column..(column + 1) * n];
            for (row, left) in left.chunks_exact_mut(n).enumerate() {
                let scale = &mut scales[row * n_groups + column / grid.group];
                if column % grid.group == 0 {
                    let group = &left[column..column + grid.group];
                    let size = group.iter().fold(0f32, |size, w| size.max(w.abs()));
                    *scale = grid.scale(size);
                }
                let code = grid.code(left[column], *scale);
                codes[row * n + column] = code;
                let error = (left[column] - f32::from(code) * *scale) / later[0];
                let moved = left[column..].iter_mut().zip(later);
                moved.for_each(|(left, factor)| *left -= error * factor);
            }
        }
    }
}

/// Replaces the upper triangle of `h`, `[n, n]`, by the upper triangular `R` of `H = R Rᵀ`, and what is below by zeros. `None`
/// where `H` is not positive definite.
fn factorize(h: &mut [f64], n: usize) -> Option<()> {
    for j in (0..n).rev() {
        let (above, from_j) = h.split_at_mut(j * n);
        let row = &mut from_j[..n];
        let square = row[j] - dot(&row[j + 1..], &row[j + 1..]);
        if !(square > 0.0 && square.is_finite()) {
            return None;
        }
        row[j] = square.sqrt();
        row[..j].fill(0.0);
        let (diagonal, later) = (row[j], &row[j + 1..]);
        for other in above.chunks_exact_mut(n) {
            other[j] = (other[j] - dot(&other[j + 1..], later)) / diagonal;
        }
    }
    Some(())
}

/// Replaces an upper triangular matrix, `[n, n]`, by its inverse.
fn invert(r: &mut [f64], n: usize) {
    for i in (0..n).rev() {
        let (above, below) = r.split_at_mut((i + 1) * n);
        let row = &mut above[i * n..];
        let diagonal = row[i];
        let factors = row[i + 1..].to_vec();
        row.fill(0.0);
        row[i] = 1.0 / diagonal;
        for (k, (factor, inverse)) in factors.iter().zip(below.chunks_exact(n)).enumerate() {
            let (at, factor) = (i + 1 + k, factor / diagonal);
            let sums = row[at..].iter_mut().zip(&inverse[at..]);
            sums.for_each(|(sum, inverse)| *sum -= factor * inverse);
        }
    }
}

/// In eight sums, so that the compiler can take them at once.
fn dot(a: &[f64], b: &[f64]) -> f64 {
    let (a, b) = (a.as_chunks::<8>(), b.as_chunks::<8>());
    let mut sums = [0.0; 8];
    for (a, b) in a.0.iter().zip(b.0) {
        let products = a.iter().zip(b).map(|(a, b)| a * b);
        sums.iter_mut().zip(products).for_each(|(sum, p)| *sum += p);
    }
    let rest: f64 = a.1.iter().zip(b.1).map(|(a, b)| a * b).sum();
    sums.iter().sum::<f64>() + rest
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use slm_testkit::Golden;

    use super::*;

    /// Knuth's 64-bit congruential generator, -0.5 to 0.5.
    fn drawn(n: usize, mut state: u64) -> Vec<f32> {
        let next = |_| {
            state = state
                .wrapping_mul(6_364_136_223_846_793_005)
                .wrapping_add(1_442_695_040_888_963_407);
            (state >> 40) as f32 / (1u64 << 24) as f32 - 0.5
        };
        (0..n).map(next).collect()
    }

    /// Inputs whose columns go together, `[rows, n]`.
    fn inputs(rows: usize, n: usize) -> Vec<f32> {
        let (own, shared) = (drawn(rows * n, 3), drawn(rows * 4, 4));
        let value = |at: usize| {
            let (row, column) = (at / n, at % n);
            0.3 * own[at] + shared[row * 4 + column % 4] * (1.0 + column as f32 / n as f32)
        };
        (0..rows * n).map(value).collect()
    }

    fn sums(x: &[f32], n: usize) -> Vec<f32> {
        let mut sums = vec![0.0; n * n];
        for row in x.chunks_exact(n) {
            for (i, a) in row.iter().enumerate() {
                for (j, b) in row.iter().enumerate() {
                    sums[i * n + j] += a * b;
                }
            }
        }
        sums
    }

    /// Σ over inputs and rows of ((stored − weight) · x)².
    fn output_error(matrix: &CompressedMatrix, weight: &[f32], x: &[f32]) -> f64 {
        let n = matrix.shape[1];
        let stored = matrix.values();
        let mut sum = 0.0;
        for (stored, weight) in stored.chunks_exact(n).zip(weight.chunks_exact(n)) {
            for x in x.chunks_exact(n) {
                let off = stored.iter().zip(weight).zip(x);
                let off = off.map(|((s, w), x)| f64::from(s - w) * f64::from(*x));
                sum += off.sum::<f64>().powi(2);
            }
        }
        sum
    }

    /// Nothing moves: every column is rounded by itself.
    fn rounding(n: usize) -> Correction {
        let mut identity = vec![0.0; n * n];
        (0..n).for_each(|i| identity[i * n + i] = 1.0);
        Correction::of(&identity, n).unwrap()
    }

    #[test]
    fn the_factor_is_that_of_the_inverse() {
        let n = 13;
        let x = inputs(40, n);
        let mut h = sums(&x, n);
        let correction = Correction::of(&h, n).unwrap();
        let mean = (0..n).map(|i| h[i * n + i]).sum::<f32>() / n as f32;
        (0..n).for_each(|i| h[i * n + i] += 0.01 * mean);
        // Uᵀ U H = 1.
        let u = |i: usize, j: usize| f64::from(correction.factor[i * n + j]);
        let inverse = |i: usize, j: usize| (0..n).map(|k| u(k, i) * u(k, j)).sum::<f64>();
        for i in 0..n {
            for j in 0..n {
                let product = |k: usize| inverse(i, k) * f64::from(h[k * n + j]);
                let found: f64 = (0..n).map(product).sum();
                let needed = if i == j { 1.0 } else { 0.0 };
                assert!((found - needed).abs() < 1e-3, "{i} {j}: {found}");
                assert!(i <= j || u(i, j) == 0.0, "{i} {j}: below the diagonal");
            }
        }
    }

    #[test]
    fn without_inputs_it_is_rounding() {
        let (rows, n) = (11, 32);
        let weight = drawn(rows * n, 1);
        for (bits, group) in [(4, 16), (8, n)] {
            let grid = Grid { bits, group };
            let matrix = rounding(n).round(&weight, grid);
            for (stored, (at, weight)) in matrix.values().iter().zip(weight.iter().enumerate()) {
                let scale = matrix.scales[at / group];
                assert!((stored - weight).abs() <= 0.5001 * scale, "{at}");
            }
        }
    }

    #[test]
    fn rounding_is_that_of_the_package() {
        let data = concat!(env!("CARGO_MANIFEST_DIR"), "/../../tests/goldens/data");
        let golden = Golden::open(&Path::new(data).join("compressed.safetensors"));
        let cases = [("int8", 8, 130), ("int4", 4, 128), ("int4_row", 4, 130)];
        for (case, bits, group) in cases {
            let weight = golden.f32(&format!("{case}.original"));
            let matrix = rounding(weight.len() / 4).round(&weight, Grid { bits, group });
            assert_eq!(
                matrix.scales,
                golden.f32(&format!("{case}.weight_scale")),
                "{case}"
            );
            assert_eq!(
                matrix.values(),
                golden.f32(&format!("{case}.values")),
                "{case}"
            );
        }
    }

    #[test]
    fn corrections_are_those_of_llm_compressor() {
        let data = concat!(env!("CARGO_MANIFEST_DIR"), "/../../tests/goldens/data");
        let golden = Golden::open(&Path::new(data).join("compressed.safetensors"));
        let (n, weight) = (48, golden.f32("gptq.original"));
        let correction = Correction::of(&golden.f32("gptq.sums"), n).unwrap();
        for bits in [4, 8] {
            let matrix = correction.round(&weight, Grid { bits, group: n });
            assert_eq!(matrix.scales, golden.f32(&format!("gptq.scale_{bits}")));
            let values = golden.f32(&format!("gptq.values_{bits}"));
            let differ = matrix
                .values()
                .iter()
                .zip(&values)
                .filter(|(a, b)| a != b)
                .count();
            // A number halfway between two codes may go either way, and takes the rest of its row along.
            assert!(differ <= n, "{bits}: {differ} of {}", values.len());
        }
    }

    #[test]
    fn outputs_are_nearer_than_by_rounding() {
        let (rows, n) = (24, 64);
        let (weight, x) = (drawn(rows * n, 1), inputs(200, n));
        let correction = Correction::of(&sums(&x, n), n).unwrap();
        for (bits, group) in [(4, 32), (4, n), (8, n)] {
            let grid = Grid { bits, group };
            let of = |correction: &Correction| {
                output_error(&correction.round(&weight, grid), &weight, &x)
            };
            let (corrected, rounded) = (of(&correction), of(&rounding(n)));
            assert!(
                corrected < 0.5 * rounded,
                "{bits} {group}: {corrected} of {rounded}"
            );
        }
    }

    #[test]
    fn columns_without_inputs_and_infinite_ones() {
        let n = 8;
        let mut x = inputs(20, n);
        x.iter_mut().skip(3).step_by(n).for_each(|x| *x = 0.0);
        let weight = drawn(2 * n, 1);
        let grid = Grid { bits: 8, group: n };
        let matrix = Correction::of(&sums(&x, n), n)
            .unwrap()
            .round(&weight, grid);
        assert!((matrix.values()[3] - weight[3]).abs() <= matrix.scales[0]);
        let zeros = rounding(n).round(&vec![0.0; n], grid);
        assert_eq!(zeros.values(), vec![0.0; n]);
        assert!(Correction::of(&vec![f32::INFINITY; n * n], n).is_none());
    }
}
