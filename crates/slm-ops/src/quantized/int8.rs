//! Int8 with one scale per row, as bitsandbytes' `int8_vectorwise_quant` stores a weight.

use rayon::prelude::*;

use crate::vector::vectorised;

/// What bitsandbytes multiplies with instead of dividing by 127.
pub(super) const STEP: f32 = 7.874_016e-3;

/// A matrix in 8 bits per value.
#[derive(Clone, Debug, PartialEq)]
pub struct Int8 {
    /// `round(127 x / absmax)` of its row, row-major.
    pub codes: Vec<i8>,
    /// The largest magnitude of each row.
    pub absmax: Vec<f32>,
}

impl Int8 {
    /// The codes of row-major `values`; halves round to even. A row of zeros stays zeros.
    pub fn of(values: &[f32], columns: usize) -> Self {
        let row = |row: &[f32]| row.iter().fold(0.0f32, |most, v| most.max(v.abs()));
        let absmax: Vec<f32> = values.par_chunks(columns).map(row).collect();
        let mut codes = vec![0; values.len()];
        codes
            .par_chunks_mut(columns)
            .zip(values.par_chunks(columns))
            .zip(&absmax)
            .filter(|(_, absmax)| **absmax > 0.0)
            .for_each(|((codes, values), absmax)| round(values, 127.0 / absmax, codes));
        Self { codes, absmax }
    }
}

vectorised! {
    fn round(values: &[f32], scale: f32, codes: &mut [i8]) {
        for (code, value) in codes.iter_mut().zip(values) {
            *code = (value * scale).round_ties_even() as i8;
        }
    }
}

/// The values that `codes` stand for, rows of `columns`.
pub(super) fn dequantize(codes: &[i8], absmax: &[f32], columns: usize) -> Vec<f32> {
    let mut values = vec![0.0; codes.len()];
    values
        .par_chunks_mut(columns)
        .zip(codes.par_chunks(columns))
        .zip(absmax)
        .for_each(|((values, codes), absmax)| {
            for (value, code) in values.iter_mut().zip(codes) {
                // In this order, so that the last bit is that of bitsandbytes.
                *value = f32::from(*code) * absmax * STEP;
            }
        });
    values
}
