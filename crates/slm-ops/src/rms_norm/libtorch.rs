//! The norm by Flex's loops on a processor in f32, and in ATen's operations elsewhere, in as few passes as they allow.

use burn::backend::tensor::FloatTensor;
use burn::backend::{Flex, LibTorch};
use tch::{Kind, Tensor};

use super::fused::{self, Kept, Passes};
use super::{RmsWeight, cuda};
use crate::processor::{flex, reads, torch};
use crate::torch::{handle, into_f32, product};

impl Passes for LibTorch {
    fn forward(
        x: &FloatTensor<Self>,
        weight: &FloatTensor<Self>,
        kind: RmsWeight,
        eps: f64,
    ) -> (FloatTensor<Self>, FloatTensor<Self>) {
        if let Some((y, roots)) = cuda::forward(&x.tensor, &weight.tensor, kind, eps) {
            return (handle(y), handle(roots));
        }
        if reads(x) && reads(weight) {
            let (y, roots) = Flex::forward(&flex(x), &flex(weight), kind, eps);
            return (torch(y), torch(roots));
        }
        let (x, dtype) = (&x.tensor, x.tensor.kind());
        let norm = x.norm_scalaropt_dim_dtype(2.0, [-1i64].as_slice(), true, Kind::Float);
        let inverse_roots = (norm.square() / columns(x) as f64 + eps).rsqrt();
        let mut normalised = x * &inverse_roots; // in f32
        let y = match kind {
            RmsWeight::Rounded => normalised.to_kind(dtype).g_mul_(&weight.tensor),
            _ => normalised
                .g_mul_(&factors(&weight.tensor, kind))
                .to_kind(dtype),
        };
        (handle(y), handle(inverse_roots))
    }

    /// `dx = r · (g − x̂ · mean(g x̂))` with `g = dy · factor`, `x̂ = r · x`; all of it in f32.
    fn backward(
        kept: Kept<Self>,
        dy: FloatTensor<Self>,
        wants_weight: bool,
    ) -> (FloatTensor<Self>, Option<FloatTensor<Self>>) {
        if reads(&kept.x) && reads(&kept.weight) {
            let kept = fused::Kept {
                x: flex(&kept.x),
                weight: flex(&kept.weight),
                inverse_roots: flex(&kept.inverse_roots),
                kind: kept.kind,
            };
            let (dx, dw) = Flex::backward(kept, flex(&dy), wants_weight);
            return (torch(dx), dw.map(torch));
        }
        let (x, weight) = (&kept.x.tensor, &kept.weight.tensor);
        let (roots, n) = (&kept.inverse_roots.tensor, columns(x));
        if !wants_weight && let Some(dx) = cuda::backward(&dy.tensor, x, weight, roots, kept.kind) {
            return (handle(dx), None);
        }
        let factors = factors(weight, kept.kind);
        let dy = into_f32(dy);
        let products = (x * dy.as_ref().unwrap_or_else(|dy| dy)).reshape([-1, n]);
        let dw = wants_weight.then(|| {
            let sums = products.tr().mv(&roots.reshape(-1));
            handle(sums.reshape([1, n]).to_kind(weight.kind()))
        });
        let pull = products.mv(&factors.reshape(-1)).view_as(roots);
        drop(products);
        let pull = pull * roots.pow_tensor_scalar(3) / -n as f64;
        let mut dx = product(dy, &factors).g_mul_(roots);
        let dx = dx.addcmul_(x, &pull).to_kind(x.kind());
        (handle(dx), dw)
    }
}

fn columns(x: &Tensor) -> i64 {
    x.size().last().copied().unwrap_or(1)
}

/// What a normalised value is multiplied by, in f32.
fn factors(weight: &Tensor, kind: RmsWeight) -> Tensor {
    let weight = weight.to_kind(Kind::Float);
    match kind.offset() {
        0.0 => weight,
        offset => weight + offset,
    }
}
