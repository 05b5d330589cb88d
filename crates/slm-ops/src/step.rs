//! What one token of one row goes through on the processor, on slices: a step of generation.
//!
//! A step reads every weight once, so it is as fast as memory is; tensors, and threads that fall asleep between two operations,
//! would cost as much again. The arithmetic is that of the operations that this crate has for tensors of Flex.

mod heads;
mod matrix;
mod team;

pub use heads::{HeadCache, attend, rotate};
pub use matrix::{HostMatrix, host_vector};
pub use team::Team;

use crate::{Activation, gated, rms_norm};

/// What a norm multiplies by: its weight, `[1, n]`, with what the kind of norm adds to it. `None` where it is not on the processor.
pub fn norm_factors(weight: &burn::tensor::Tensor<2>, kind: crate::RmsWeight) -> Option<Vec<f32>> {
    let offset = kind.offset() as f32;
    let weight = host_vector(weight)?;
    Some(weight.into_iter().map(|w| w + offset).collect())
}

/// [`crate::rms_norm()`] of rows as long as `factors`.
pub fn normalise(x: &[f32], factors: &[f32], eps: f64, y: &mut [f32]) {
    let n = factors.len();
    let mut root = [0.0];
    for (i, y) in y.chunks_exact_mut(n).enumerate() {
        rms_norm::flex::normalise((x, n), i, factors, eps as f32, y, &mut root);
    }
}

/// Whether [`gate`] has a loop for it.
pub fn has_gate(activation: Activation) -> bool {
    activation != Activation::Gelu
}

/// [`crate::gated()`] of one row.
pub fn gate(gate: &[f32], up: &[f32], activation: Activation, y: &mut [f32]) {
    gated::flex::forward_loop(activation)((gate, gate.len()), (up, up.len()), gate.len(), 0, y);
}

/// The first of the largest values.
pub fn argmax(values: &[f32]) -> usize {
    let largest = crate::vector::largest(values);
    values.iter().position(|x| *x == largest).unwrap_or(0)
}
