//! The head's loss on libtorch. On a processor what is done to logits is what Flex does, row by row in its caches; elsewhere ATen's
//! operations do it, with two buffers for the logits and the probabilities of a chunk.

use burn::backend::LibTorch;
use burn::backend::tensor::{FloatTensor, IntTensor};
use rayon::prelude::*;
use tch::{Device, Kind, Tensor};

use super::flex::Figures as RowFigures;
use super::fused::HeadLoss;
use super::{Wants, cuda};
use crate::HeadShape;
use crate::head::libtorch::{Found, in_chunks};
use crate::torch::{values, values_mut};

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
        let targets = targets.tensor;
        if targets.device() == Device::Cpu {
            return by_rows(inputs, &targets, &shape, smoothing, wants);
        }
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

/// The loss on a processor.
fn by_rows(
    inputs: [&Tensor; 3],
    targets: &Tensor,
    shape: &HeadShape,
    smoothing: f64,
    wants: Wants,
) -> Found {
    let targets = targets.to_kind(Kind::Int64).contiguous();
    let targets = values::<i64>(&targets);
    // Weights, scale and cap are the loop's.
    let figures = RowFigures {
        scale: 1.0,
        cap: None,
        smoothing: smoothing as f32,
        gradient: wants.any(),
    };
    in_chunks(inputs, shape, shape.scale, wants, |start, [logits]| {
        let mut logits = logits.shallow_clone();
        let (rows, vocab) = (logits.size()[0] as usize, logits.size()[1] as usize);
        let targets = &targets[start as usize..][..rows];
        let mut scores = vec![0.0; 3 * rows];
        values_mut(&mut logits)
            .par_chunks_mut(vocab)
            .zip(scores.par_chunks_mut(3))
            .zip(targets)
            .for_each(|((logits, scores), target)| {
                scores.copy_from_slice(&figures.score(logits, *target as usize, 1.0));
            });
        Tensor::from_slice(&scores).view((rows as i64, 3))
    })
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
