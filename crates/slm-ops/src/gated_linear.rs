//! The second half of a feed-forward layer: a gate, and the linear layer that reads it.

mod fused;

use burn::backend::Dispatch;
use burn::tensor::Tensor;

use crate::lora_linear::Parts;
use crate::{Activation, Adapter, Weight, gated, lora_linear};
use fused::{Form, GatedLinear};

/// [`lora_linear()`] of [`gated()`]; `gate` and `up` are `[rows, in]`, the rest as there.
///
/// The fused version keeps gate and up alone for the backward pass, which takes their product again: the widest of what a layer
/// would keep, for a hundredth of the time.
pub fn gated_linear(
    gate: Tensor<2>,
    up: Tensor<2>,
    activation: Activation,
    weight: &Weight,
    bias: Option<Tensor<2>>,
    adapter: Option<Adapter>,
) -> Tensor<2> {
    let is_in_graph = gate.is_autodiff() && gate.is_tracked();
    if is_in_graph
        && gate.dtype() == up.dtype()
        && activation.has_loop_for(&gate)
        && let Some(parts) = Parts::of(weight, bias.as_ref(), adapter.as_ref())
        && crate::fused::applies(&gate)
    {
        let (gate, up) = (gate.into_dispatch(), up.into_dispatch());
        let form = Form {
            activation,
            adapter: parts.form,
        };
        let y = Dispatch::gated_linear(gate, up, parts.layer, parts.a, parts.b, form);
        return Tensor::from_dispatch(y);
    }
    lora_linear(gated(gate, up, activation), weight, bias, adapter)
}
