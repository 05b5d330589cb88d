//! The head's loss in chunks of burn's primitives.

use burn::tensor::{IndexingUpdateOp, Int, Tensor};

use super::{Found, Wants};
use crate::HeadShape;
use crate::head::portable::in_chunks;

/// As [`super::head_loss`].
pub(super) fn head_loss(
    hidden: Tensor<2>,
    head: Tensor<2>,
    targets: Tensor<1, Int>,
    weights: Tensor<1>,
    shape: &HeadShape,
    smoothing: f64,
    wants: Wants,
) -> Found {
    let vocab = head.dims()[0];
    let inputs = [hidden, head];
    in_chunks(
        inputs,
        shape,
        weights,
        shape.scale,
        vocab,
        wants,
        |start, logits, weights| {
            let targets = targets.clone().narrow(0, start, logits.dims()[0]);
            let chunk = Chunk::new(logits, targets, smoothing);
            let scores = chunk.scores();
            let gradient = wants.any().then(|| chunk.gradient(weights, smoothing));
            (scores, gradient)
        },
    )
}

/// The softmax of some tokens, taken apart: `r` rows, f32. Logits are shifted so that the largest of a row is 0.
struct Chunk {
    exp: Tensor<2>,        // [r, vocab], e^logit
    sum: Tensor<2>,        // [r, 1], their sums
    index: Tensor<2, Int>, // [r, 1], the targets
    target: Tensor<2>,     // [r, 1], their logits
    loss: Tensor<2>,       // [r, 1]
    entropy: Tensor<2>,    // [r, 1]
}

impl Chunk {
    /// Each operation reuses the memory of the last where it can: these passes cost as much as a small model's head.
    fn new(logits: Tensor<2>, targets: Tensor<1, Int>, smoothing: f64) -> Self {
        let largest = logits.clone().max_dim(1);
        let logits = logits.sub(largest);
        let index = targets.unsqueeze_dim::<2>(1);
        let target = logits.clone().gather(1, index.clone());
        let exp = logits.clone().exp();
        let sum = exp.clone().sum_dim(1);
        let log_sum = sum.clone().log();
        let mut loss = log_sum.clone().sub(target.clone());
        if smoothing > 0.0 {
            let uniform = log_sum.clone().sub(logits.clone().mean_dim(1));
            loss = loss
                .mul_scalar(1.0 - smoothing)
                .add(uniform.mul_scalar(smoothing));
        }
        // −Σ p ln p = ln Σ e^z − Σ e^z z / Σ e^z
        let expected = logits.mul(exp.clone()).sum_dim(1).div(sum.clone());
        Self {
            exp,
            sum,
            index,
            target,
            loss,
            entropy: log_sum.sub(expected),
        }
    }

    /// Loss, entropy, and whether the target is the argmax: `[r, 3]`.
    fn scores(&self) -> Tensor<2> {
        // Logits are shifted: the largest is 0.
        let greedy = self.target.clone().greater_equal_elem(0.0).float();
        Tensor::cat(vec![self.loss.clone(), self.entropy.clone(), greedy], 1)
    }

    /// The gradient of the loss with respect to the logits, `weights · (softmax − (1 − ε)·onehot − ε/vocab)`: `[r, vocab]`.
    fn gradient(self, weights: Tensor<2>, smoothing: f64) -> Tensor<2> {
        let [_, vocab] = self.exp.dims();
        let onehot = weights.clone().mul_scalar(smoothing - 1.0);
        let gradient = self.exp.mul(weights.clone().div(self.sum)).scatter(
            1,
            self.index,
            onehot,
            IndexingUpdateOp::Add,
        );
        if smoothing > 0.0 {
            gradient.sub(weights.mul_scalar(smoothing / vocab as f64))
        } else {
            gradient
        }
    }
}
