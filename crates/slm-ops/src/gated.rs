//! Gated activations of the feed-forward layer.

use burn::tensor::{Tensor, activation::silu};

/// `silu(gate) * up`, element by element; both `[.., n]`.
pub fn swiglu<const D: usize>(gate: Tensor<D>, up: Tensor<D>) -> Tensor<D> {
    silu(gate).mul(up)
}
