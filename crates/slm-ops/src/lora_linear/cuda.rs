//! The layer's products on a GPU in 16 bits: sums are in f32, the adapter's f32 weights are rounded for them, and its gradients are
//! not rounded.

use tch::{Kind, Tensor};

use crate::aten::mm_f32;
use crate::torch::linear;

/// Whether products of `x` are taken here.
pub(super) fn applies(x: &Tensor) -> bool {
    x.device().is_cuda() && matches!(x.kind(), Kind::BFloat16 | Kind::Half)
}

/// Adds `scale · (x Aᵀ) Bᵀ` to `y`, `[rows, out]`, and returns `scale · x Aᵀ`, `[rows, r]`.
pub(super) fn add_adapter(y: &mut Tensor, x: &Tensor, [a, b]: [&Tensor; 2], scale: f64) -> Tensor {
    let kind = x.kind();
    let low = linear(x, &(a * scale).to_kind(kind), None);
    let _ = y.addmm_(&low, &b.to_kind(kind).tr());
    low
}

/// The gradients of A and B, and `dx` with the adapter's part added to it.
///
/// `low` is what [`add_adapter`] returned.
pub(super) fn backward(
    [x, dy, low]: [&Tensor; 3],
    [a, b]: [&Tensor; 2],
    scale: f64,
    dx: Option<&mut Tensor>,
) -> [Tensor; 2] {
    let kind = x.kind();
    let d_low = dy.mm(&(b * scale).to_kind(kind)); // [rows, r]
    if let Some(dx) = dx {
        let _ = dx.addmm_(&d_low, &a.to_kind(kind));
    }
    [mm_f32(&d_low.tr(), x), mm_f32(&dy.tr(), low)]
}
