//! The layer's products on a GPU in 16 bits: sums are in f32, the adapter's f32 weights are rounded for them, and its gradients are
//! not rounded.
//!
//! What an adapter adds to a wide result would be a pass over it, a third of the layer's own product. There, the adapter is part of
//! that product instead, as more columns of both sides, `[x | x Aᵀ] [W | B]ᵀ`; copying the narrow side and the weight costs less.

use tch::{Kind, Tensor};

use crate::aten::mm_f32;
use crate::cuda::{Launch, gpu_of, type_name};
use crate::torch::linear;

/// Whether products of `x` are taken here.
pub(super) fn applies(x: &Tensor) -> bool {
    x.device().is_cuda() && matches!(x.kind(), Kind::BFloat16 | Kind::Half)
}

/// `x Wᵀ + bias + scale · (x Aᵀ) Bᵀ`, `[rows, out]`, and `scale · x Aᵀ`, `[rows, r]`.
pub(super) fn forward(
    x: &Tensor,
    weight: &Tensor,
    bias: Option<&Tensor>,
    [a, b]: [&Tensor; 2],
    scale: f64,
) -> (Tensor, Tensor) {
    let kind = x.kind();
    let low = linear(x, &scaled(a, scale, kind), None);
    let b = scaled(b, 1.0, kind);
    let y = match is_wide(weight.size()[0], weight.size()[1], &low) {
        true => {
            let (x, weight) = (Tensor::cat(&[x, &low], 1), Tensor::cat(&[weight, &b], 1));
            linear(&x, &weight, bias)
        }
        false => linear(x, weight, bias).addmm_(&low, &b.tr()),
    };
    (y, low)
}

/// The gradient of `x`, where there is a weight to take it with, and those of A and B; `low` is what [`forward`] gave.
pub(super) fn backward(
    [x, dy, low]: [&Tensor; 3],
    weight: Option<&Tensor>,
    [a, b]: [&Tensor; 2],
    scale: f64,
) -> (Option<Tensor>, [Tensor; 2]) {
    let kind = x.kind();
    let d_low = dy.mm(&scaled(b, scale, kind)); // [rows, r]
    let pull = |weight: &Tensor| {
        let a = scaled(a, 1.0, kind);
        match is_wide(weight.size()[1], weight.size()[0], &low) {
            true => Tensor::cat(&[dy, &d_low], 1).mm(&Tensor::cat(&[weight, &a], 0)),
            false => dy.mm(weight).addmm_(&d_low, &a),
        }
    };
    let dx = weight.map(pull);
    (dx, [mm_f32(&d_low.tr(), x), mm_f32(&dy.tr(), low)])
}

/// Whether `to` columns from `from` are wide for an adapter, `[rows, r]`, whose rank keeps rows where a GPU likes them.
fn is_wide(to: i64, from: i64, low: &Tensor) -> bool {
    to >= 2 * from && low.size()[0] >= 2 * from && low.size()[1] % 8 == 0
}

/// `factor · x`, of f32, in `kind`.
fn scaled(x: &Tensor, factor: f64, kind: Kind) -> Tensor {
    let (Some(gpu), Some(name)) = (gpu_of(x), type_name(kind)) else {
        return (x * factor).to_kind(kind);
    };
    let x = x.contiguous();
    let (y, n) = (
        Tensor::empty(x.size(), (kind, x.device())),
        x.numel() as i64,
    );
    let arguments = [(&y).into(), (&x).into(), n.into(), factor.into()];
    Launch::threads(n).run(gpu, &format!("scaled<{name}>"), arguments);
    y
}
