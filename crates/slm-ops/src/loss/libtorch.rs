//! The head's loss on libtorch: by Flex's loop on a processor in f32; elsewhere in ATen's operations, with two buffers for the logits and
//! the probabilities of a chunk.

use burn::backend::tensor::{FloatTensor, IntTensor};
use burn::backend::{Flex, LibTorch};
use tch::{Kind, Tensor};

use super::fused::HeadLoss;
use super::{Wants, cuda};
use crate::HeadShape;
use crate::head::libtorch::in_chunks;
use crate::processor::{flex, reads, torch};

impl HeadLoss for LibTorch {
    fn head_loss(
        hidden: FloatTensor<Self>,
        head: FloatTensor<Self>,
        targets: IntTensor<Self>,
        weights: FloatTensor<Self>,
        shape: HeadShape,
        smoothing: f64,
        wants: Wants,
    ) -> (FloatTensor<Self>, FloatTensor<Self>, FloatTensor<Self>) {
        let inputs = [&hidden, &head, &weights].map(|x| &x.tensor);
        if let Some(found) = cuda::head_loss(inputs, &targets.tensor, &shape, smoothing, wants) {
            return found;
        }
        if [&hidden, &head, &weights].into_iter().all(reads) {
            let [hidden, head, targets, weights] = [&hidden, &head, &targets, &weights].map(flex);
            let found = Flex::head_loss(hidden, head, targets, weights, shape, smoothing, wants);
            return (torch(found.0), torch(found.1), torch(found.2));
        }
        let targets = targets.tensor;
        let figures = Figures { smoothing };
        in_chunks(
            inputs,
            &shape,
            shape.scale,
            wants,
            |start, [logits, probabilities]| {
                let targets = targets.narrow(0, start, logits.size()[0]).unsqueeze(1);
                let found = figures.score(logits.shallow_clone(), probabilities, &targets);
                if wants.any() {
                    figures.gradient(probabilities.shallow_clone(), &targets);
                }
                found
            },
        )
    }
}

/// What is done to the logits of a chunk, `[r, vocab]`.
struct Figures {
    smoothing: f64,
}

impl Figures {
    /// Loss, entropy, and whether the target is the likeliest: `[r, 3]`. Fills in the probabilities, and uses up the logits.
    fn score(&self, logits: Tensor, probabilities: &Tensor, targets: &Tensor) -> Tensor {
        let mut logs = logits.internal_log_softmax_out(&logits, -1, false);
        let of_target = logs.gather(1, targets, false);
        let is_greedy = of_target
            .ge_tensor(&logs.amax(-1, true))
            .to_kind(Kind::Float);
        let mut loss = -of_target;
        if self.smoothing > 0.0 {
            let uniform = logs.mean_dim(-1, true, None);
            loss = loss * (1.0 - self.smoothing) - uniform * self.smoothing;
        }
        let _ = logs.exp_out(probabilities);
        let entropy = logs.g_mul_(probabilities).sum_dim_intlist(-1, true, None);
        Tensor::cat(&[loss, -entropy, is_greedy], 1)
    }

    /// The gradient of the loss with respect to the capped logits, in the memory of the probabilities.
    fn gradient(&self, mut p: Tensor, targets: &Tensor) {
        let minus_one = Tensor::full_like(&targets.to_kind(Kind::Float), self.smoothing - 1.0);
        let _ = p.scatter_add_(1, targets, &minus_one);
        if self.smoothing > 0.0 {
            let _ = p.g_sub_scalar_(self.smoothing / p.size()[1] as f64);
        }
    }
}
