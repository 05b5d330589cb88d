//! The head's loss in chunks of burn's primitives.

use burn::tensor::{IndexingUpdateOp, Int, Tensor};

use super::{Found, Wants, rows_at_once};
use crate::HeadShape;

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
    let ([n, d], vocab) = (hidden.dims(), head.dims()[0]);
    let (device, dtype) = (head.device(), head.dtype());
    // Chunks are joined at the end; so that there is something to join without any, each begins with nothing.
    let mut scores = vec![Tensor::empty([0, 3], &device)];
    let mut d_states = vec![Tensor::empty([0, d], (&device, dtype))];
    let mut d_head = Tensor::zeros([0, d], (&device, dtype));
    let step = rows_at_once(n, vocab);
    for start in (0..n).step_by(step) {
        let rows = step.min(n - start);
        let states = hidden.clone().narrow(0, start, rows);
        let logits = shape.logits(states.clone(), head.clone());
        let slope = shape.cap_slope(&logits);
        let chunk = Chunk::new(logits, targets.clone().narrow(0, start, rows), smoothing);
        scores.push(chunk.scores());
        if !wants.any() {
            continue;
        }
        let weights = weights.clone().narrow(0, start, rows);
        let weights = weights.unsqueeze_dim::<2>(1).mul_scalar(shape.scale);
        let mut gradient = chunk.gradient(weights, smoothing);
        if let Some(slope) = slope {
            gradient = gradient.mul(slope);
        }
        let gradient = gradient.cast(dtype);
        if wants.head {
            let part = gradient.clone().transpose().matmul(states);
            d_head = match start {
                0 => part,
                _ => d_head.add(part),
            };
        }
        if wants.states {
            d_states.push(gradient.matmul(head.clone()));
        }
    }
    Found {
        scores: Tensor::cat(scores, 0),
        d_states: Tensor::cat(d_states, 0),
        d_head,
    }
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
