//! Rows of floats in 8 bits, quantized on the fly.

use rayon::prelude::*;

use super::SMALLEST;
use super::kernel::{QUAD, TILE};
use crate::rows::{row, rows_per_task};
use crate::vector::vectorised;

/// Codes of rows, each filled up with zeros to whole quads.
pub(super) struct Tokens {
    codes: Vec<[i8; QUAD]>,
    /// Quads per row.
    quads: usize,
    /// Codes per row, those that fill it up apart.
    n: usize,
    scales: Vec<f32>,
    /// Of the codes of a row.
    sums: Vec<i32>,
}

/// The rows of a tile; of too few rows, the last is there again.
pub(super) struct TokenTile<'a> {
    pub(super) codes: [&'a [[i8; QUAD]]; TILE],
    /// Of the codes of a row.
    pub(super) sums: [i32; TILE],
}

impl Tokens {
    /// `round(127 x / absmax)` of each of `count` rows of length `n`. `factors` multiply the columns before.
    pub(super) fn of(x: (&[f32], usize), [count, n]: [usize; 2], factors: Option<&[f32]>) -> Self {
        let quads = n.div_ceil(QUAD);
        let mut it = Self {
            codes: vec![[0; QUAD]; count * quads],
            quads,
            n,
            scales: vec![0.0; count],
            sums: vec![0; count],
        };
        let task = rows_per_task(n);
        it.codes
            .par_chunks_mut(task * quads)
            .zip(it.scales.par_chunks_mut(task))
            .zip(it.sums.par_chunks_mut(task))
            .enumerate()
            .for_each(|(i, ((codes, scales), sums))| {
                let mut scaled = vec![0.0; n];
                let rows = codes.chunks_mut(quads).zip(scales).zip(sums);
                for (j, ((codes, scale), sum)) in rows.enumerate() {
                    let mut values = row(x, i * task + j, n);
                    if let Some(factors) = factors {
                        multiply(values, factors, &mut scaled);
                        values = &scaled;
                    }
                    (*scale, *sum) = quantize(values, &mut codes.as_flattened_mut()[..n]);
                }
            });
        it
    }

    pub(super) fn count(&self) -> usize {
        self.scales.len()
    }

    pub(super) fn scales(&self, first: usize, rows: usize) -> &[f32] {
        &self.scales[first..][..rows]
    }

    pub(super) fn row(&self, i: usize) -> &[i8] {
        &self.codes[i * self.quads..][..self.quads].as_flattened()[..self.n]
    }

    pub(super) fn tile(&self, first: usize) -> TokenTile<'_> {
        let rows = std::array::from_fn(|i| (first + i).min(self.count() - 1));
        TokenTile {
            codes: rows.map(|i| &self.codes[i * self.quads..][..self.quads]),
            sums: rows.map(|i| self.sums[i]),
        }
    }
}

vectorised! {
    fn multiply(x: &[f32], factors: &[f32], y: &mut [f32]) {
        for ((y, x), factor) in y.iter_mut().zip(x).zip(factors) {
            *y = x * factor;
        }
    }
}

vectorised! {
    /// What a code stands for, and the sum of the codes. Halves round to even.
    fn quantize(x: &[f32], codes: &mut [i8]) -> (f32, i32) {
        /// Adding it rounds to an integer, which the low bits of the sum then hold.
        const ROUND: f32 = 12_582_912.0; // 1.5 · 2²³
        let largest = largest(x);
        let scale = 1.0 / largest.max(SMALLEST) * 127.0;
        let mut sum = 0;
        for (code, x) in codes.iter_mut().zip(x) {
            let bits = (x * scale + ROUND).to_bits() as i32;
            *code = bits as i8;
            sum += i32::from(*code);
        }
        (largest / 127.0, sum)
    }
}

/// Of the magnitudes, in lanes.
#[inline(always)]
fn largest(x: &[f32]) -> f32 {
    const LANES: usize = 64;
    let mut lanes = [0.0f32; LANES];
    let (whole, rest) = x.as_chunks::<LANES>();
    for x in whole {
        for (lane, x) in lanes.iter_mut().zip(x) {
            *lane = if x.abs() > *lane { x.abs() } else { *lane };
        }
    }
    for (lane, x) in lanes.iter_mut().zip(rest) {
        *lane = lane.max(x.abs());
    }
    lanes.iter().fold(0.0, |most, lane| most.max(*lane))
}
