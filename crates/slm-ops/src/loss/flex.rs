//! What the head's loop on Flex does to rows of logits.

use burn::backend::Flex;
use burn::backend::tensor::{FloatTensor, IntTensor};
use rayon::prelude::*;

use super::Wants;
use super::fused::HeadLoss;
use crate::HeadShape;
use crate::head::{self, flex::in_chunks};
use crate::vector::{exp, sum, vectorised};

impl HeadLoss for Flex {
    fn head_loss(
        hidden: FloatTensor<Self>,
        head: FloatTensor<Self>,
        targets: IntTensor<Self>,
        weights: FloatTensor<Self>,
        shape: HeadShape,
        smoothing: f64,
        wants: Wants,
    ) -> (FloatTensor<Self>, FloatTensor<Self>, FloatTensor<Self>) {
        let targets: Vec<i64> = targets.into_data().iter().collect();
        let weights = weights.to_contiguous();
        let weights = weights.storage::<f32>();
        let vocab = head.layout().shape()[0];
        let figures = Figures {
            scale: shape.scale as f32,
            cap: shape.softcap.map(|cap| cap as f32),
            smoothing: smoothing as f32,
            gradient: wants.any(),
        };
        in_chunks(
            &hidden,
            &head,
            figures.scale,
            wants,
            |range, logits, scores| {
                logits
                    .par_chunks_mut(vocab)
                    .zip(scores.par_chunks_mut(3))
                    .zip(targets[range.clone()].par_iter().zip(&weights[range]))
                    .for_each(|((logits, scores), (target, weight))| {
                        scores.copy_from_slice(&figures.score(logits, *target as usize, *weight));
                    });
            },
        )
    }
}

/// What is done to each row of logits.
struct Figures {
    scale: f32,
    cap: Option<f32>,
    smoothing: f32,
    gradient: bool,
}

impl Figures {
    /// Loss, entropy, and whether the target is the likeliest; logits become the gradient of what is before the scale.
    fn score(&self, logits: &mut [f32], target: usize, weight: f32) -> [f32; 3] {
        if let Some(cap) = self.cap {
            head::cap_row(logits, cap);
        }
        let of_target = logits[target];
        let [largest, sum, moment] = head::moments(logits);
        let log_sum = sum.ln();
        let mut loss = log_sum - (of_target - largest);
        if self.smoothing > 0.0 {
            let mean = mean(logits) - largest;
            loss = (1.0 - self.smoothing) * loss + self.smoothing * (log_sum - mean);
        }
        let correct = f32::from(u8::from(of_target >= largest));
        if self.gradient {
            let weight = weight * self.scale;
            let uniform = weight * self.smoothing / logits.len() as f32;
            let slope = |l: f32| self.cap.map_or(1.0, |cap| 1.0 - (l / cap) * (l / cap));
            let of_target = weight * (1.0 - self.smoothing) * slope(of_target);
            match self.cap {
                None => gradients(logits, largest + log_sum, weight, uniform),
                Some(_) => logits.iter_mut().for_each(|l| {
                    *l = (exp(*l - largest - log_sum) * weight - uniform) * slope(*l);
                }),
            }
            logits[target] -= of_target;
        }
        [loss, log_sum - moment / sum, correct]
    }
}

vectorised! {
    fn mean(logits: &[f32]) -> f32 {
        sum(logits) / logits.len() as f32
    }
}

vectorised! {
    fn gradients(logits: &mut [f32], log_sum: f32, weight: f32, uniform: f32) {
        for l in logits {
            *l = exp(*l - log_sum).mul_add(weight, -uniform);
        }
    }
}
