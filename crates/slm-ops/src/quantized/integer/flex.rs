//! The product's loops on Flex.

use std::mem::MaybeUninit;

use burn::backend::Flex;
use burn::backend::tensor::FloatTensor;
use rayon::prelude::*;

use super::super::int8::STEP;
use super::kernel::{Kernel, Sums, TILE};
use super::panels::{PANEL, Panels};
use super::tokens::Tokens;
use super::{Int8Matrix, IntegerProduct, portable_gradient, portable_product};
use crate::rows::{Rows, tensor};
use crate::vector::vectorised;

/// Rows of the result that one task takes: whole tiles, few enough to share a product among many threads.
const TASK: usize = 8 * TILE;

impl IntegerProduct for Flex {
    fn integer_product(x: FloatTensor<Self>, weight: Int8Matrix<Self>) -> FloatTensor<Self> {
        if Kernel::best() == Kernel::Scalar {
            // Sums in floats are faster there, and off by their rounding.
            return portable_product::<Self>(x, weight);
        }
        let [out, columns] = weight.shape();
        let tokens = Tokens::of(&Rows::of(&x), None);
        let (codes, scales) = (weight.codes.to_contiguous(), steps(&weight.absmax));
        let y = Panels::scratch(|panels| {
            panels.pack_rows(codes.storage(), columns);
            multiply(Kernel::best(), &tokens, panels, &scales)
        });
        tensor(y, [tokens.count(), out])
    }

    fn integer_gradient(dy: FloatTensor<Self>, weight: Int8Matrix<Self>) -> FloatTensor<Self> {
        if Kernel::best() == Kernel::Scalar {
            return portable_gradient::<Self>(dy, weight);
        }
        let [_, columns] = weight.shape();
        let tokens = Tokens::of(&Rows::of(&dy), Some(&steps(&weight.absmax)));
        let codes = weight.codes.to_contiguous();
        let dx = Panels::scratch(|panels| {
            panels.pack_columns(codes.storage(), columns);
            multiply(Kernel::best(), &tokens, panels, &vec![1.0; columns])
        });
        tensor(dx, [tokens.count(), columns])
    }
}

/// What a code of each row stands for.
fn steps(absmax: &FloatTensor<Flex>) -> Vec<f32> {
    let absmax = absmax.to_contiguous();
    let absmax = absmax.storage::<f32>().iter();
    absmax.map(|absmax| absmax * STEP).collect()
}

/// Sums of `tokens` with each column of `panels`, times the scales of both.
fn multiply(kernel: Kernel, tokens: &Tokens, panels: &Panels, scales: &[f32]) -> Vec<f32> {
    let n = scales.len();
    let size = tokens.count() * n;
    let mut y = Vec::with_capacity(size);
    let tasks = y.spare_capacity_mut()[..size].par_chunks_mut(TASK * n);
    tasks.enumerate().for_each(|(i, y)| {
        let mut sums = [[0; PANEL]; TILE];
        for (p, scales) in scales.chunks(PANEL).enumerate() {
            for (j, y) in y.chunks_mut(TILE * n).enumerate() {
                let first = i * TASK + j * TILE;
                kernel.tile(&tokens.tile(first), panels.panel(p), &mut sums);
                let rows = tokens.scales(first, y.len() / n);
                write(&sums, rows, scales, &mut y[p * PANEL..], n);
            }
        }
    });
    #[expect(
        unsafe_code,
        reason = "zeros that nobody reads would cost a quarter of a product"
    )]
    // SAFETY: tasks, tiles and panels cover every row and column.
    unsafe {
        y.set_len(size);
    }
    y
}

vectorised! {
    /// `y = sum · (token's scale · column's scale)`, into rows that lie `n` apart.
    fn write(sums: &Sums, rows: &[f32], scales: &[f32], y: &mut [MaybeUninit<f32>], n: usize) {
        for ((sums, row), y) in sums.iter().zip(rows).zip(y.chunks_mut(n)) {
            if let (Some(y), Some(scales)) = (y.first_chunk_mut::<PANEL>(), scales.first_chunk::<PANEL>()) {
                for j in 0..PANEL {
                    y[j].write(sums[j] as f32 * (row * scales[j]));
                }
                continue;
            }
            for ((y, sum), scale) in y.iter_mut().zip(sums).zip(scales) {
                y.write(*sum as f32 * (row * scale));
            }
        }
    }
}

#[cfg(test)]
#[expect(clippy::print_stdout, reason = "the figures are to be read")]
mod tests {
    use super::*;

    /// Codes that reach ±127, and a row and a column of them.
    fn codes(n: usize, seed: u64) -> Vec<i8> {
        let code = |i: u64| (crate::noise::mix(i ^ seed << 32) % 255) as i64 - 127;
        let mut codes: Vec<i8> = (0..n as u64).map(|i| code(i) as i8).collect();
        codes[n / 2..].fill(if seed == 0 { -127 } else { 127 });
        codes
    }

    /// Rows with a largest magnitude of 127, so that a code is its value.
    fn tokens(codes: &[i8], columns: usize) -> Tokens {
        let mut values: Vec<f32> = codes.iter().map(|c| f32::from(*c)).collect();
        values.iter_mut().step_by(columns).for_each(|v| *v = 127.0);
        let rows = values.len() / columns;
        Tokens::of(&Rows::of(&tensor(values, [rows, columns])), None)
    }

    /// Sums with the rows of a matrix, and of its transpose with its columns; sizes end within quads, tiles and panels.
    #[test]
    fn every_kernel_sums_exactly() {
        let here = Kernel::ALL.into_iter().filter(|kernel| kernel.is_here());
        let kernels: Vec<Kernel> = here.collect();
        println!("kernels: {kernels:?}");
        for [m, k, n] in [
            [1, 1, 1],
            [7, 3, 5],
            [6, 64, 64],
            [13, 129, 65],
            [97, 576, 193],
            [48, 4864, 70],
        ] {
            let (x, w) = (codes(m * k, 0), codes(n * k, 1));
            let turned: Vec<i8> = (0..k * n).map(|i| w[i % n * k + i / n]).collect();
            let x = tokens(&x, k);
            let mut want = Vec::new();
            for i in 0..m {
                let x = x.tile(i).codes[0].as_flattened();
                for w in w.chunks(k) {
                    let terms = x.iter().zip(w);
                    let sum: i64 = terms.map(|(x, w)| i64::from(*x) * i64::from(*w)).sum();
                    want.push(sum as f32);
                }
            }
            for kernel in &kernels {
                let mut panels = Panels::default();
                panels.pack_rows(&w, k);
                assert_eq!(
                    multiply(*kernel, &x, &panels, &vec![1.0; n]),
                    want,
                    "{kernel:?} {m} {k} {n}"
                );
                panels.pack_columns(&turned, n);
                assert_eq!(
                    multiply(*kernel, &x, &panels, &vec![1.0; n]),
                    want,
                    "{kernel:?} {m} {k} {n}"
                );
            }
        }
    }
}
