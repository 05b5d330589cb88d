//! The attention half of a layer: projections, rotation, attention, and the projection back.

#[expect(clippy::too_many_arguments, reason = "an operation names its inputs")]
mod fused;

use burn::backend::Dispatch;
use burn::tensor::Tensor;

use crate::rms_norm::{Before, NormBefore};
use crate::{Linear, RotaryTable, Scores, Sight};
use fused::{Form, Layers, SelfAttention};

/// Rows of `[batch · time]`, and how they are cut into heads.
#[derive(Clone, Copy, Debug)]
pub struct HeadsShape {
    pub batch: usize,
    pub time: usize,
    pub head_dim: usize,
}

/// `o(attention(rotary(q(n)), rotary(k(n)), v(n)))` of `n`, the norm of `x`, or `x` itself: `[rows, d]` to `[rows, d]`; see
/// [`crate::attention()`] and [`crate::rotary()`].
///
/// One node of the graph, which keeps `x`, the heads and the result; the gradients that meet in `n` are added by the products that
/// make them. `None` where a layer, the device or the sight has no fused version: then its parts have to be called one by one.
pub fn self_attention(
    x: &Tensor<2>,
    norm: Option<NormBefore>,
    linears: [Linear<'_>; 4],
    table: &RotaryTable,
    sight: &Sight,
    scores: Scores,
    shape: HeadsShape,
) -> Option<Tensor<2>> {
    if !crate::attention::has_kernel(x, shape.head_dim, sight, scores) {
        return None;
    }
    let parts = linears
        .iter()
        .map(Linear::parts)
        .collect::<Option<Vec<_>>>()?;
    let Ok([q, k, v, o]) = <[_; 4]>::try_from(parts) else {
        return None;
    };
    if !crate::fused::applies(x) {
        return None;
    }
    let (x, norm) = match norm {
        Some(norm) if norm.is_by_itself(x) => (norm.apply(x.clone()), None),
        norm => (x.clone(), norm),
    };
    let form = Form {
        adapters: [q.form, k.form, v.form, o.form],
        sight: sight.clone(),
        scores,
        shape,
    };
    let layers = Layers {
        norm: Before::of(norm),
        q: q.layer,
        k: k.layer,
        v: v.layer,
        o: o.layer,
    };
    let [cos, sin] = table.tensors().map(Tensor::into_dispatch);
    let x = x.into_dispatch();
    Some(Tensor::from_dispatch(Dispatch::self_attention(
        x, layers, q.a, q.b, k.a, k.b, v.a, v.b, o.a, o.b, cos, sin, form,
    )))
}
