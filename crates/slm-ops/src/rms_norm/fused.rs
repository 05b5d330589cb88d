//! One pass forward, one backward, which keeps `x` and one number per row.

use burn::backend::autodiff::checkpoint::{base::Checkpointer, strategy::CheckpointStrategy};
use burn::backend::autodiff::grads::Gradients;
use burn::backend::autodiff::ops::{Backward, Ops, OpsKind};
use burn::backend::tensor::FloatTensor;
use burn::backend::{Autodiff, Backend, Flex, backend_extension};

use super::RmsWeight;
use crate::fused::register;

/// A backend with a fused norm.
#[backend_extension(Autodiff, Flex, LibTorch: cfg(feature = "libtorch"))]
pub(crate) trait RmsNorm: Backend {
    /// As [`crate::rms_norm()`].
    fn rms_norm(
        x: FloatTensor<Self>,
        weight: FloatTensor<Self>,
        kind: RmsWeight,
        eps: f64,
    ) -> FloatTensor<Self>;
}

/// What the two passes are made of.
pub(crate) trait Passes: Backend {
    /// The result, and each row's inverse root.
    fn forward(
        x: &FloatTensor<Self>,
        weight: &FloatTensor<Self>,
        kind: RmsWeight,
        eps: f64,
    ) -> (FloatTensor<Self>, FloatTensor<Self>);

    /// The gradients of `x` and, if asked for, of the weight.
    fn backward(
        kept: Kept<Self>,
        dy: FloatTensor<Self>,
        wants_weight: bool,
    ) -> (FloatTensor<Self>, Option<FloatTensor<Self>>);
}

/// What the forward pass leaves.
#[derive(Clone, Debug)]
pub(crate) struct Kept<B: Backend> {
    pub(crate) x: FloatTensor<B>,
    pub(crate) weight: FloatTensor<B>,
    pub(crate) inverse_roots: FloatTensor<B>,
    pub(crate) kind: RmsWeight,
}

impl RmsNorm for Flex {
    fn rms_norm(
        x: FloatTensor<Self>,
        weight: FloatTensor<Self>,
        kind: RmsWeight,
        eps: f64,
    ) -> FloatTensor<Self> {
        Self::forward(&x, &weight, kind, eps).0
    }
}

#[cfg(feature = "libtorch")]
impl RmsNorm for burn::backend::LibTorch {
    fn rms_norm(
        x: FloatTensor<Self>,
        weight: FloatTensor<Self>,
        kind: RmsWeight,
        eps: f64,
    ) -> FloatTensor<Self> {
        Self::forward(&x, &weight, kind, eps).0
    }
}

impl<B: Passes, C: CheckpointStrategy> RmsNorm for Autodiff<B, C> {
    fn rms_norm(
        x: FloatTensor<Self>,
        weight: FloatTensor<Self>,
        kind: RmsWeight,
        eps: f64,
    ) -> FloatTensor<Self> {
        let (x, x_node) = x.into_parts();
        let (weight, weight_node) = weight.into_parts();
        let (y, inverse_roots) = B::forward(&x, &weight, kind, eps);
        let nodes = [x_node, weight_node];
        match Norm.prepare::<C>(nodes).compute_bound().stateful() {
            OpsKind::Tracked(prep) => {
                let kept = Kept {
                    x,
                    weight,
                    inverse_roots,
                    kind,
                };
                prep.finish(kept, y)
            }
            OpsKind::UnTracked(prep) => prep.finish(y),
        }
    }
}

#[derive(Debug)]
struct Norm;

impl<B: Passes> Backward<B, 2> for Norm {
    type State = Kept<B>;

    fn backward(
        self,
        ops: Ops<Self::State, 2>,
        grads: &mut Gradients,
        _checkpointer: &mut Checkpointer,
    ) {
        let dy = grads.consume::<B>(&ops.node);
        let [x, weight] = ops.parents.map(|input| input.map(|input| input.id));
        let (dx, dw) = B::backward(ops.state, dy, weight.is_some());
        register::<B>(grads, [(x, Some(dx)), (weight, dw)]);
    }
}
