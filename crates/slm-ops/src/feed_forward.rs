//! The feed-forward half of a layer: gate, up, their product, and down.

#[expect(clippy::too_many_arguments, reason = "an operation names its inputs")]
pub(crate) mod fused;
#[cfg(feature = "libtorch")]
mod libtorch;

use burn::backend::Dispatch;
use burn::tensor::Tensor;

use crate::lora_linear::Parts;
use crate::rms_norm::{Before, NormBefore};
use crate::{Activation, Adapter, Weight, gated_linear, lora_linear};
use fused::{FeedForward, Form, Layers};

/// A linear layer with its adapter, as [`lora_linear()`] takes them.
#[derive(Clone, Debug)]
pub struct Linear<'a> {
    pub weight: &'a Weight,
    pub bias: Option<Tensor<2>>,
    pub adapter: Option<Adapter>,
}

impl Linear<'_> {
    pub(crate) fn parts(&self) -> Option<Parts> {
        Parts::of(self.weight, self.bias.as_ref(), self.adapter.as_ref())
    }

    pub(crate) fn apply(self, x: Tensor<2>) -> Tensor<2> {
        lora_linear(x, self.weight, self.bias, self.adapter)
    }
}

/// `down(activation(gate(n)) · up(n))` of `n`, the norm of `x`, or `x` itself: `[rows, d]` to `[rows, d]`.
///
/// The fused version is one node of the graph. It keeps `x`, gate and up, and takes their product again, on a processor the norm as well;
/// the gradients that meet in `n` are added by the products that make them.
pub fn feed_forward(
    x: Tensor<2>,
    norm: Option<NormBefore>,
    [gate, up, down]: [Linear<'_>; 3],
    activation: Activation,
) -> Tensor<2> {
    let (x, norm) = match norm {
        Some(norm) if norm.is_by_itself(&x) => (norm.apply(x), None),
        norm => (x, norm),
    };
    if activation.has_loop_for(&x)
        && let (Some(of_gate), Some(of_up), Some(of_down)) =
            (gate.parts(), up.parts(), down.parts())
        && crate::fused::applies(&x)
    {
        let form = Form {
            activation,
            adapters: [of_gate.form, of_up.form, of_down.form],
        };
        let layers = Layers {
            norm: Before::of(norm),
            gate: of_gate.layer,
            up: of_up.layer,
            down: of_down.layer,
        };
        let y = Dispatch::feed_forward(
            x.into_dispatch(),
            layers,
            of_gate.a,
            of_gate.b,
            of_up.a,
            of_up.b,
            of_down.a,
            of_down.b,
            form,
        );
        return Tensor::from_dispatch(y);
    }
    let x = match norm {
        Some(norm) => norm.apply(x),
        None => x,
    };
    let (gate, up) = (gate.apply(x.clone()), up.apply(x));
    gated_linear(gate, up, activation, down.weight, down.bias, down.adapter)
}
