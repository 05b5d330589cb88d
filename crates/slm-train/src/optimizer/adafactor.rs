//! Adafactor (Shazeer and Stern 2018), as transformers' `Adafactor` computes it with the settings of HF's Trainer:
//! `scale_parameter` and `relative_step` off, no first moment.

use burn::tensor::Tensor;

use super::Step;

/// Added to squared gradients: `eps[0]` of transformers.
const EPSILON: f64 = 1e-30;
/// The mean over time forgets with 1 − step^this: `decay_rate`.
const DECAY_RATE: f64 = -0.8;
/// Root mean square that an update may have: `clip_threshold`.
const CLIP_THRESHOLD: f64 = 1.0;

/// Second moments of rows `[rows, 1]` and columns `[1, columns]` after the step, and the weight's new value.
pub(super) fn update_matrix(
    step: &Step<'_>,
    [rows, columns]: [Tensor<2>; 2],
    value: Tensor<2>,
    gradient: Tensor<2>,
) -> ([Tensor<2>; 2], Tensor<2>) {
    let square = gradient.clone().square().add_scalar(EPSILON);
    let rows = remember(step, rows, square.clone().mean_dim(1));
    let columns = remember(step, columns, square.mean_dim(0));
    let of_row = rows.clone().div(rows.clone().mean_dim(0)).sqrt().recip();
    let of_column = columns.clone().sqrt().recip();
    let change = gradient.mul(of_row).mul(of_column);
    ([rows, columns], apply(step, value, change))
}

/// Second moment after the step, and the weight's new value, for a weight of one dimension.
pub(super) fn update_vector(
    step: &Step<'_>,
    second: Tensor<2>,
    value: Tensor<2>,
    gradient: Tensor<2>,
) -> (Tensor<2>, Tensor<2>) {
    let square = gradient.clone().square().add_scalar(EPSILON);
    let second = remember(step, second, square);
    let change = gradient.mul(second.clone().sqrt().recip());
    (second, apply(step, value, change))
}

fn remember(step: &Step<'_>, mean: Tensor<2>, square: Tensor<2>) -> Tensor<2> {
    let kept = 1.0 - (step.number as f64).powf(DECAY_RATE);
    mean.mul_scalar(kept).add(square.mul_scalar(1.0 - kept))
}

fn apply(step: &Step<'_>, value: Tensor<2>, change: Tensor<2>) -> Tensor<2> {
    let n = change.dims().iter().product::<usize>() as f64;
    let norm = change.clone().square().sum().sqrt();
    let excess = norm
        .div_scalar(n.sqrt() * CLIP_THRESHOLD)
        .clamp_min(1.0)
        .reshape([1, 1]);
    let change = change.div(excess).mul_scalar(step.lr);
    value
        .mul_scalar(1.0 - step.lr * step.weight_decay)
        .sub(change)
}
