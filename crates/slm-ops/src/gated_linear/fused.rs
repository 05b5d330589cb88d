//! The passes of the gate and of the layer, one after the other; gate, up and `scale · drop(x) Aᵀ` are kept.

use burn::backend::autodiff::checkpoint::{base::Checkpointer, strategy::CheckpointStrategy};
use burn::backend::autodiff::grads::Gradients;
use burn::backend::autodiff::ops::{Backward, Ops, OpsKind};
use burn::backend::tensor::FloatTensor;
use burn::backend::{Autodiff, Backend, Flex, backend_extension};

use crate::Activation;
use crate::feed_forward::fused::{Down, down_backward};
use crate::fused::register;
use crate::gated::fused::Passes as GatePasses;
use crate::lora_linear::fused::{AdapterForm, Frozen, Layer, LowRank, Passes};

/// What is fixed.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Form {
    pub(super) activation: Activation,
    pub(super) adapter: AdapterForm,
}

/// A backend with both.
#[backend_extension(Autodiff, Flex, LibTorch: cfg(feature = "libtorch"))]
pub(crate) trait GatedLinear: Backend {
    /// As [`crate::gated_linear()`], with a frozen layer, without a magnitude.
    fn gated_linear(
        gate: FloatTensor<Self>,
        up: FloatTensor<Self>,
        #[extension_type] layer: Layer<Self>,
        a: FloatTensor<Self>,
        b: FloatTensor<Self>,
        form: Form,
    ) -> FloatTensor<Self>;
}

impl GatedLinear for Flex {
    fn gated_linear(
        gate: FloatTensor<Self>,
        up: FloatTensor<Self>,
        layer: Layer<Self>,
        a: FloatTensor<Self>,
        b: FloatTensor<Self>,
        form: Form,
    ) -> FloatTensor<Self> {
        forward::<Self>(&gate, &up, &layer, &low_rank(a, b, form), form).0
    }
}

#[cfg(feature = "libtorch")]
impl GatedLinear for burn::backend::LibTorch {
    fn gated_linear(
        gate: FloatTensor<Self>,
        up: FloatTensor<Self>,
        layer: Layer<Self>,
        a: FloatTensor<Self>,
        b: FloatTensor<Self>,
        form: Form,
    ) -> FloatTensor<Self> {
        forward::<Self>(&gate, &up, &layer, &low_rank(a, b, form), form).0
    }
}

impl<B: GatePasses + Passes, C: CheckpointStrategy> GatedLinear for Autodiff<B, C> {
    fn gated_linear(
        gate: FloatTensor<Self>,
        up: FloatTensor<Self>,
        layer: Layer<Self>,
        a: FloatTensor<Self>,
        b: FloatTensor<Self>,
        form: Form,
    ) -> FloatTensor<Self> {
        let layer = layer.inner();
        let (gate, gate_node) = gate.into_parts();
        let (up, up_node) = up.into_parts();
        let (a, a_node) = a.into_parts();
        let (b, b_node) = b.into_parts();
        let low_rank = low_rank(a, b, form);
        let (y, low) = forward::<B>(&gate, &up, &layer, &low_rank, form);
        let nodes = [gate_node, up_node, a_node, b_node];
        match Linear.prepare::<C>(nodes).compute_bound().stateful() {
            OpsKind::Tracked(prep) => {
                let kept = Gates {
                    gate,
                    up,
                    activation: form.activation,
                    weight: layer.weight,
                    low_rank,
                    low,
                };
                prep.finish(kept, y)
            }
            OpsKind::UnTracked(prep) => prep.finish(y),
        }
    }
}

fn low_rank<B: Backend>(a: FloatTensor<B>, b: FloatTensor<B>, form: Form) -> LowRank<B> {
    LowRank {
        a,
        b,
        form: form.adapter,
    }
}

fn forward<B: GatePasses + Passes>(
    gate: &FloatTensor<B>,
    up: &FloatTensor<B>,
    layer: &Layer<B>,
    low_rank: &LowRank<B>,
    form: Form,
) -> (FloatTensor<B>, FloatTensor<B>) {
    let x = <B as GatePasses>::forward(gate, up, form.activation);
    <B as Passes>::forward(&x, layer, low_rank)
}

/// What the forward pass leaves.
#[derive(Clone, Debug)]
struct Gates<B: Backend> {
    gate: FloatTensor<B>,
    up: FloatTensor<B>,
    activation: Activation,
    weight: Frozen<B>,
    low_rank: LowRank<B>,
    /// `scale · drop(x) Aᵀ`
    low: FloatTensor<B>,
}

#[derive(Debug)]
struct Linear;

impl<B: GatePasses + Passes> Backward<B, 4> for Linear {
    type State = Gates<B>;

    fn backward(
        self,
        ops: Ops<Self::State, 4>,
        grads: &mut Gradients,
        _checkpointer: &mut Checkpointer,
    ) {
        let dy = grads.consume::<B>(&ops.node);
        let [to_gate, to_up, to_a, to_b] = ops.parents.map(|input| input.map(|input| input.id));
        let Gates {
            gate,
            up,
            activation,
            weight,
            low_rank,
            low,
        } = ops.state;
        let down = Down {
            activation,
            weight,
            low_rank,
            low,
        };
        let [gradients, [da, db]] = down_backward::<B>(down, gate, up, dy);
        register::<B>(grads, [(to_a, Some(da)), (to_b, Some(db))]);
        register::<B>(grads, [to_gate, to_up].into_iter().zip(gradients.map(Some)));
    }
}
