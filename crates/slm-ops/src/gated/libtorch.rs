//! The gate by Flex's loops on a processor in f32, and in ATen's operations elsewhere.

use burn::backend::tensor::FloatTensor;
use burn::backend::{Flex, LibTorch};
use tch::{Kind, Tensor};

use super::fused::Passes;
use super::{Activation, cuda};
use crate::processor::{flex, into_flex, reads, torch};
use crate::torch::{Handle, handle, into_f32, product};

impl Passes for LibTorch {
    fn forward(
        gate: &FloatTensor<Self>,
        up: &FloatTensor<Self>,
        activation: Activation,
    ) -> FloatTensor<Self> {
        if let Some(y) = cuda::forward(&gate.tensor, &up.tensor, activation) {
            return handle(y);
        }
        if has_loop(gate, up, activation) {
            return torch(Flex::forward(&flex(gate), &flex(up), activation));
        }
        let gate = gate.tensor.to_kind(Kind::Float);
        let y = apply(&gate, activation).g_mul_(&up.tensor);
        handle(y.to_kind(up.tensor.kind()))
    }

    fn backward(
        gate: FloatTensor<Self>,
        up: FloatTensor<Self>,
        activation: Activation,
        dy: FloatTensor<Self>,
    ) -> [FloatTensor<Self>; 2] {
        if let Some(gradients) = cuda::backward([&gate, &up], &dy.tensor, activation) {
            return gradients.map(handle);
        }
        if has_loop(&gate, &up, activation) {
            let [gate, up] = [gate, up].map(into_flex);
            return Flex::backward(gate, up, activation, flex(&dy)).map(torch);
        }
        let dtype = gate.tensor.kind();
        let gate = gate.tensor.to_kind(Kind::Float);
        let dy = into_f32(dy);
        let value = apply(&gate, activation);
        let d_up = product(Ok(value), dy.as_ref().unwrap_or_else(|dy| dy));
        let slope_of = product(dy, &up.tensor);
        let d_gate = match activation {
            Activation::Silu => gate.silu_backward_grad_input(&slope_of, &slope_of),
            Activation::Gelu => gate.gelu_backward_grad_input(&slope_of, &slope_of, "none"),
            Activation::GeluTanh => gate.gelu_backward_grad_input(&slope_of, &slope_of, "tanh"),
        };
        [d_gate, d_up].map(|gradient| handle(gradient.to_kind(dtype)))
    }
}

/// Whether Flex's loop is taken.
fn has_loop(gate: &Handle, up: &Handle, activation: Activation) -> bool {
    activation != Activation::Gelu && reads(gate) && reads(up)
}

fn apply(x: &Tensor, activation: Activation) -> Tensor {
    match activation {
        Activation::Silu => x.silu(),
        Activation::Gelu => x.gelu("none"),
        Activation::GeluTanh => x.gelu("tanh"),
    }
}
