//! The products' loops over a processor's memory, whichever backend it belongs to.

use std::mem::MaybeUninit;

use rayon::prelude::*;

use super::kernel::{Kernel, Sums, TILE};
use super::panels::{PANEL, Panels};
use super::tokens::Tokens;
use crate::dense_product::FEW;
use crate::vector::vectorised;

/// Rows of the result that one task takes: whole tiles, few enough to share a product among many threads.
const TASK: usize = 8 * TILE;

/// Codes for one task of a product with few rows.
const CODES: usize = 1 << 17;

/// Codes of a matrix, and what one of each row stands for.
#[derive(Clone, Copy)]
pub(super) struct Codes<'a> {
    /// `[out, columns]`
    pub(super) values: &'a [i8],
    pub(super) columns: usize,
    /// One per row.
    pub(super) steps: &'a [f32],
}

/// Whether this machine has instructions for it: without, sums in floats are faster, and off by their rounding.
pub(super) fn are_fast() -> bool {
    Kernel::best() != Kernel::Scalar
}

/// `x Wᵀ`: `[rows, out]`; every value of `y` is written.
pub(super) fn forward(
    x: (&[f32], usize),
    rows: usize,
    weight: Codes<'_>,
    y: &mut [MaybeUninit<f32>],
) {
    let tokens = Tokens::of(x, [rows, weight.columns], None);
    if rows <= FEW {
        return by_rows_of(weight, &tokens, y);
    }
    Panels::scratch(|panels| {
        panels.pack_rows(weight.values, weight.columns);
        multiply(Kernel::best(), &tokens, panels, weight.steps, y);
    });
}

/// `dy W`: `[rows, columns]`; every value of `dx` is written.
pub(super) fn backward(
    dy: (&[f32], usize),
    rows: usize,
    weight: Codes<'_>,
    dx: &mut [MaybeUninit<f32>],
) {
    let tokens = Tokens::of(dy, [rows, weight.steps.len()], Some(weight.steps));
    Panels::scratch(|panels| {
        panels.pack_columns(weight.values, weight.columns);
        multiply(
            Kernel::best(),
            &tokens,
            panels,
            &vec![1.0; weight.columns],
            dx,
        );
    });
}

/// The product of a few tokens, which reads each code once, where it lies.
fn by_rows_of(weight: Codes<'_>, tokens: &Tokens, y: &mut [MaybeUninit<f32>]) {
    let (out, rows) = (weight.steps.len(), tokens.count());
    let per_task = CODES.div_ceil(weight.columns.max(1));
    let tasks = weight.values.par_chunks(per_task * weight.columns);
    let columns: Vec<Vec<i32>> = tasks
        .map(|codes| dots(codes, weight.columns, tokens))
        .collect();
    let sums = columns.iter().flatten();
    for (at, sum) in sums.enumerate() {
        let (j, i) = (at / rows, at % rows);
        y[i * out + j].write(*sum as f32 * (tokens.scales(i, 1)[0] * weight.steps[j]));
    }
}

vectorised! {
    /// Of each row of `codes` with each token: `[codes, tokens]`.
    fn dots(codes: &[i8], columns: usize, tokens: &Tokens) -> Vec<i32> {
        let mut sums = Vec::with_capacity(codes.len() / columns * tokens.count());
        for codes in codes.chunks_exact(columns) {
            for i in 0..tokens.count() {
                let terms = codes.iter().zip(tokens.row(i));
                // A product of two codes has 16 bits.
                sums.push(terms.map(|(a, b)| i32::from(i16::from(*a) * i16::from(*b))).sum());
            }
        }
        sums
    }
}

/// What `work` writes: all of `n` values.
pub(super) fn filled(n: usize, work: impl FnOnce(&mut [MaybeUninit<f32>])) -> Vec<f32> {
    let mut y = Vec::with_capacity(n);
    work(&mut y.spare_capacity_mut()[..n]);
    #[expect(
        unsafe_code,
        reason = "zeros that nobody reads would cost a quarter of a product"
    )]
    // SAFETY: `forward` and `backward` write every value: tasks, tiles and panels cover every row and column.
    unsafe {
        y.set_len(n);
    }
    y
}

/// Sums of `tokens` with each column of `panels`, times the scales of both.
fn multiply(
    kernel: Kernel,
    tokens: &Tokens,
    panels: &Panels,
    scales: &[f32],
    y: &mut [MaybeUninit<f32>],
) {
    let n = scales.len();
    y.par_chunks_mut(TASK * n).enumerate().for_each(|(i, y)| {
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
        Tokens::of((&values, columns), [rows, columns], None)
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
            let ones = vec![1.0; n];
            let of = |work: &dyn Fn(&mut [MaybeUninit<f32>])| filled(m * n, |y| work(y));
            for kernel in &kernels {
                let mut panels = Panels::default();
                panels.pack_rows(&w, k);
                let got = of(&|y| multiply(*kernel, &x, &panels, &ones, y));
                assert_eq!(got, want, "{kernel:?} {m} {k} {n}");
                panels.pack_columns(&turned, n);
                let got = of(&|y| multiply(*kernel, &x, &panels, &ones, y));
                assert_eq!(got, want, "{kernel:?} {m} {k} {n}");
            }
            let weight = Codes {
                values: &w,
                columns: k,
                steps: &ones,
            };
            let got = of(&|y| by_rows_of(weight, &x, y));
            assert_eq!(got, want, "row by row, {m} {k} {n}");
        }
    }
}
