//! The norm's loops on Flex.

use burn::backend::tensor::FloatTensor;
use burn::backend::{Flex, TensorMetadata};
use rayon::prelude::*;

use super::RmsWeight;
use super::fused::{Kept, Passes};
use crate::rows::{Rows, by_rows, by_rows_of_two, row, rows_per_task, tensor};
use crate::vector::{dot, sum_of, vectorised};

impl Passes for Flex {
    fn forward(
        x: &FloatTensor<Self>,
        weight: &FloatTensor<Self>,
        kind: RmsWeight,
        eps: f64,
    ) -> (FloatTensor<Self>, FloatTensor<Self>) {
        let (shape, x) = (x.shape(), Rows::of(x));
        let factors = factors(weight, kind);
        let mut y = vec![0.0; x.count * x.n];
        let mut inverse_roots = vec![0.0; x.count];
        by_rows_of_two((&mut y, x.n), (&mut inverse_roots, 1), |first, y, roots| {
            normalise(x.values(), first, &factors, eps as f32, y, roots);
        });
        (tensor(y, shape), tensor(inverse_roots, [x.count]))
    }

    fn backward(
        kept: Kept<Self>,
        dy: FloatTensor<Self>,
        wants_weight: bool,
    ) -> (FloatTensor<Self>, Option<FloatTensor<Self>>) {
        let (shape, x, dy) = (kept.x.shape(), Rows::of(&kept.x), Rows::of(&dy));
        let factors = factors(&kept.weight, kept.kind);
        let roots = kept.inverse_roots.storage::<f32>();
        let mut dx = vec![0.0; x.count * x.n];
        by_rows(&mut dx, x.n, |first, dx| {
            gradient(x.values(), dy.values(), first, &factors, roots, dx);
        });
        let dw = wants_weight.then(|| tensor(weight_gradient(&x, &dy, roots), [1, x.n]));
        (tensor(dx, shape), dw)
    }
}

/// What a normalised value is multiplied by. In f32 there is nothing to round.
fn factors(weight: &FloatTensor<Flex>, kind: RmsWeight) -> Vec<f32> {
    let weight = weight.to_contiguous();
    let offset = kind.offset() as f32;
    let weight = weight.storage::<f32>().iter();
    weight.map(|w| w + offset).collect()
}

/// Rows are summed in pieces of fixed size, and the pieces in order.
fn weight_gradient(x: &Rows, dy: &Rows, roots: &[f32]) -> Vec<f32> {
    let rows = rows_per_task(x.n);
    let pieces: Vec<Vec<f32>> = (0..x.count.div_ceil(rows))
        .into_par_iter()
        .map(|piece| {
            let mut sums = vec![0.0; x.n];
            let last = x.count.min((piece + 1) * rows);
            add_products(
                x.values(),
                dy.values(),
                piece * rows,
                roots,
                last,
                &mut sums,
            );
            sums
        })
        .collect();
    let mut total = vec![0.0; x.n];
    for piece in pieces {
        total
            .iter_mut()
            .zip(piece)
            .for_each(|(sum, part)| *sum += part);
    }
    total
}

vectorised! {
    pub(crate) fn normalise(x: (&[f32], usize), first: usize, factors: &[f32], eps: f32, y: &mut [f32], roots: &mut [f32]) {
        let n = factors.len();
        for (i, (y, root)) in y.chunks_exact_mut(n).zip(roots).enumerate() {
            let x = row(x, first + i, n);
            *root = 1.0 / (dot(x, x) / n as f32 + eps).sqrt();
            for ((y, x), factor) in y.iter_mut().zip(x).zip(factors) {
                *y = x * *root * factor;
            }
        }
    }
}

vectorised! {
    /// `dx = r · (g − x̂ · mean(g x̂))` with `g = dy · factor`, `x̂ = r · x`.
    fn gradient(x: (&[f32], usize), dy: (&[f32], usize), first: usize, factors: &[f32], roots: &[f32], dx: &mut [f32]) {
        let n = factors.len();
        for (i, dx) in dx.chunks_exact_mut(n).enumerate() {
            let (x, dy, root) = (row(x, first + i, n), row(dy, first + i, n), roots[first + i]);
            for ((dx, dy), factor) in dx.iter_mut().zip(dy).zip(factors) {
                *dx = dy * factor;
            }
            let pull = sum_of(x, dx, |x, g, sum| x.mul_add(g, sum)) * root * root / n as f32;
            for (dx, x) in dx.iter_mut().zip(x) {
                *dx = root * x.mul_add(-pull, *dx);
            }
        }
    }
}

vectorised! {
    /// Adds `dy · r · x` of the rows from `first` to `last`.
    fn add_products(x: (&[f32], usize), dy: (&[f32], usize), first: usize, roots: &[f32], last: usize, sums: &mut [f32]) {
        let n = sums.len();
        for (i, root) in roots.iter().enumerate().take(last).skip(first) {
            for ((sum, x), dy) in sums.iter_mut().zip(row(x, i, n)).zip(row(dy, i, n)) {
                *sum = (x * root).mul_add(*dy, *sum);
            }
        }
    }
}
