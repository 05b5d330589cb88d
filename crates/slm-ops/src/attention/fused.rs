//! Attention that never holds all scores: kept are q, k, v, the result, and one number per query.

use burn::backend::autodiff::checkpoint::{base::Checkpointer, strategy::CheckpointStrategy};
use burn::backend::autodiff::grads::Gradients;
use burn::backend::autodiff::ops::{Backward, Ops, OpsKind};
use burn::backend::tensor::FloatTensor;
use burn::backend::{Autodiff, Backend, Flex, backend_extension};

use super::{Scores, Sight};
use crate::fused::register;

/// A backend with fused attention.
#[backend_extension(Autodiff, Flex, LibTorch: cfg(feature = "libtorch"))]
pub(crate) trait Attention: Backend {
    /// As [`crate::attention()`].
    fn attention(
        q: FloatTensor<Self>,
        k: FloatTensor<Self>,
        v: FloatTensor<Self>,
        sight: Sight,
        scores: Scores,
    ) -> FloatTensor<Self>;
}

/// What the two passes are made of.
pub(crate) trait Passes: Backend {
    /// The result, and the logarithm of each query's sum of exponentials, `[batch, heads, time]`.
    fn forward(
        q: &FloatTensor<Self>,
        k: &FloatTensor<Self>,
        v: &FloatTensor<Self>,
        sight: &Sight,
        scores: Scores,
    ) -> (FloatTensor<Self>, FloatTensor<Self>);

    /// The gradients of q, k and v.
    fn backward(kept: Kept<Self>, dy: FloatTensor<Self>) -> [FloatTensor<Self>; 3];
}

/// What the forward pass leaves.
#[derive(Clone, Debug)]
pub(crate) struct Kept<B: Backend> {
    pub(crate) q: FloatTensor<B>,
    pub(crate) k: FloatTensor<B>,
    pub(crate) v: FloatTensor<B>,
    pub(crate) y: FloatTensor<B>,
    pub(crate) log_sums: FloatTensor<B>,
    pub(crate) sight: Sight,
    pub(crate) scores: Scores,
}

impl Attention for Flex {
    fn attention(
        q: FloatTensor<Self>,
        k: FloatTensor<Self>,
        v: FloatTensor<Self>,
        sight: Sight,
        scores: Scores,
    ) -> FloatTensor<Self> {
        Self::forward(&q, &k, &v, &sight, scores).0
    }
}

#[cfg(feature = "libtorch")]
impl Attention for burn::backend::LibTorch {
    fn attention(
        q: FloatTensor<Self>,
        k: FloatTensor<Self>,
        v: FloatTensor<Self>,
        sight: Sight,
        scores: Scores,
    ) -> FloatTensor<Self> {
        Self::forward(&q, &k, &v, &sight, scores).0
    }
}

impl<B: Passes, C: CheckpointStrategy> Attention for Autodiff<B, C> {
    fn attention(
        q: FloatTensor<Self>,
        k: FloatTensor<Self>,
        v: FloatTensor<Self>,
        sight: Sight,
        scores: Scores,
    ) -> FloatTensor<Self> {
        let (q, q_node) = q.into_parts();
        let (k, k_node) = k.into_parts();
        let (v, v_node) = v.into_parts();
        let (y, log_sums) = B::forward(&q, &k, &v, &sight, scores);
        let nodes = [q_node, k_node, v_node];
        match Attend.prepare::<C>(nodes).compute_bound().stateful() {
            OpsKind::Tracked(prep) => {
                let kept = Kept {
                    q,
                    k,
                    v,
                    y: y.clone(),
                    log_sums,
                    sight,
                    scores,
                };
                prep.finish(kept, y)
            }
            OpsKind::UnTracked(prep) => prep.finish(y),
        }
    }
}

#[derive(Debug)]
struct Attend;

impl<B: Passes> Backward<B, 3> for Attend {
    type State = Kept<B>;

    fn backward(
        self,
        ops: Ops<Self::State, 3>,
        grads: &mut Gradients,
        _checkpointer: &mut Checkpointer,
    ) {
        let dy = grads.consume::<B>(&ops.node);
        let gradients = B::backward(ops.state, dy);
        let inputs = ops.parents.map(|input| input.map(|input| input.id));
        register::<B>(grads, inputs.into_iter().zip(gradients.map(Some)));
    }
}
