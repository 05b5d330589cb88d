//! The activation and the product in one pass, and both gradients in one; gate and up are kept.

use burn::backend::autodiff::checkpoint::{base::Checkpointer, strategy::CheckpointStrategy};
use burn::backend::autodiff::grads::Gradients;
use burn::backend::autodiff::ops::{Backward, Ops, OpsKind};
use burn::backend::tensor::FloatTensor;
use burn::backend::{Autodiff, Backend, Flex, backend_extension};

use super::Activation;
use crate::fused::register;

/// A backend with a fused gate.
#[backend_extension(Autodiff, Flex, LibTorch: cfg(feature = "libtorch"))]
pub(crate) trait Gated: Backend {
    /// As [`crate::gated()`].
    fn gated(
        gate: FloatTensor<Self>,
        up: FloatTensor<Self>,
        activation: Activation,
    ) -> FloatTensor<Self>;
}

/// What the two passes are made of.
pub(crate) trait Passes: Backend {
    fn forward(
        gate: &FloatTensor<Self>,
        up: &FloatTensor<Self>,
        activation: Activation,
    ) -> FloatTensor<Self>;

    /// The gradients of gate and up.
    fn backward(
        gate: FloatTensor<Self>,
        up: FloatTensor<Self>,
        activation: Activation,
        dy: FloatTensor<Self>,
    ) -> [FloatTensor<Self>; 2];
}

impl Gated for Flex {
    fn gated(
        gate: FloatTensor<Self>,
        up: FloatTensor<Self>,
        activation: Activation,
    ) -> FloatTensor<Self> {
        Self::forward(&gate, &up, activation)
    }
}

#[cfg(feature = "libtorch")]
impl Gated for burn::backend::LibTorch {
    fn gated(
        gate: FloatTensor<Self>,
        up: FloatTensor<Self>,
        activation: Activation,
    ) -> FloatTensor<Self> {
        Self::forward(&gate, &up, activation)
    }
}

impl<B: Passes, C: CheckpointStrategy> Gated for Autodiff<B, C> {
    fn gated(
        gate: FloatTensor<Self>,
        up: FloatTensor<Self>,
        activation: Activation,
    ) -> FloatTensor<Self> {
        let (gate, gate_node) = gate.into_parts();
        let (up, up_node) = up.into_parts();
        let y = B::forward(&gate, &up, activation);
        let nodes = [gate_node, up_node];
        match Gate.prepare::<C>(nodes).compute_bound().stateful() {
            OpsKind::Tracked(prep) => prep.finish((gate, up, activation), y),
            OpsKind::UnTracked(prep) => prep.finish(y),
        }
    }
}

#[derive(Debug)]
struct Gate;

impl<B: Passes> Backward<B, 2> for Gate {
    type State = (FloatTensor<B>, FloatTensor<B>, Activation);

    fn backward(
        self,
        ops: Ops<Self::State, 2>,
        grads: &mut Gradients,
        _checkpointer: &mut Checkpointer,
    ) {
        let dy = grads.consume::<B>(&ops.node);
        let (gate, up, activation) = ops.state;
        let gradients = B::backward(gate, up, activation, dy);
        let inputs = ops.parents.map(|input| input.map(|input| input.id));
        register::<B>(grads, inputs.into_iter().zip(gradients.map(Some)));
    }
}
