//! The head's loss in ATen's operations: two buffers hold the logits and the probabilities of a chunk.

use burn::backend::LibTorch;
use burn::backend::tensor::{FloatTensor, IntTensor};
use tch::{Kind, Tensor};

use super::fused::HeadLoss;
use super::{Wants, rows_at_once};
use crate::HeadShape;
use crate::torch::{handle, linear};

impl HeadLoss for LibTorch {
    /// Weights of tokens are left to the gradients of the states, which are smaller than those of the logits.
    fn head_loss(
        hidden: FloatTensor<Self>,
        head: FloatTensor<Self>,
        targets: IntTensor<Self>,
        weights: FloatTensor<Self>,
        shape: HeadShape,
        smoothing: f64,
        wants: Wants,
    ) -> (FloatTensor<Self>, FloatTensor<Self>, FloatTensor<Self>) {
        let (hidden, head) = (&hidden.tensor, &head.tensor);
        let weights = weights.tensor.unsqueeze(1) * shape.scale; // [n, 1]
        let [n, d, vocab] = [hidden.size()[0], hidden.size()[1], head.size()[0]];
        let step = rows_at_once(n as usize, vocab as usize) as i64;
        let (kind, device) = (head.kind(), head.device());
        let figures = Figures { smoothing };

        let buffers = [(); 2].map(|()| Tensor::empty([step, vocab], (Kind::Float, device)));
        let scores = Tensor::empty([n, 3], (Kind::Float, device));
        let d_states = Tensor::empty([if wants.states { n } else { 0 }, d], (kind, device));
        let mut d_head = Tensor::zeros([if wants.head { vocab } else { 0 }, d], (kind, device));
        for start in (0..n).step_by(step as usize) {
            let rows = step.min(n - start);
            let part = |x: &Tensor| x.narrow(0, start, rows);
            let [logits, probabilities] = buffers.each_ref().map(|x| x.narrow(0, 0, rows));
            let (states, targets) = (part(hidden), part(&targets.tensor).unsqueeze(1));
            let slope = shape.logits_into(&logits, &states, head, wants.any());
            let found = figures.score(logits, &probabilities, &targets);
            part(&scores).copy_(&found);
            if !wants.any() {
                continue;
            }
            let gradient = figures
                .gradient(probabilities, &targets, slope)
                .to_kind(kind);
            if wants.states {
                let pull = linear(&gradient, &head.tr(), None);
                part(&d_states).copy_(&(pull * part(&weights)));
            }
            if wants.head {
                let weighted = (states * part(&weights)).to_kind(kind);
                let _ = d_head.addmm_(&gradient.tr(), &weighted);
            }
        }
        (handle(scores), handle(d_states), handle(d_head))
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

    /// The gradient of the loss with respect to the logits before the cap, in the memory of the probabilities.
    fn gradient(&self, mut p: Tensor, targets: &Tensor, slope: Option<Tensor>) -> Tensor {
        let minus_one = Tensor::full_like(&targets.to_kind(Kind::Float), self.smoothing - 1.0);
        let _ = p.scatter_add_(1, targets, &minus_one);
        if self.smoothing > 0.0 {
            let _ = p.g_sub_scalar_(self.smoothing / p.size()[1] as f64);
        }
        match slope {
            Some(slope) => p.g_mul_(&slope),
            None => p,
        }
    }
}
