//! The head's loop on Flex: one buffer holds the logits of a chunk, then their gradients.

use burn::backend::Flex;
use burn::backend::tensor::{FloatTensor, IntTensor};
use rayon::prelude::*;

use super::fused::HeadLoss;
use super::{Wants, rows_at_once};
use crate::HeadShape;
use crate::head;
use crate::matrix::{Before, Matrix, Threads, product};
use crate::rows::{Rows, tensor};
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
        let (hidden, head) = (Rows::of(&hidden), Rows::of(&head));
        let targets: Vec<i64> = targets.into_data().iter().collect();
        let weights = weights.to_contiguous();
        let weights = weights.storage::<f32>();
        let (n, d, vocab) = (hidden.count, hidden.n, head.count);
        let step = rows_at_once(n, vocab);

        let figures = Figures {
            scale: shape.scale as f32,
            cap: shape.softcap.map(|cap| cap as f32),
            smoothing: smoothing as f32,
            gradient: wants.any(),
        };
        let mut scores = vec![0.0; n * 3];
        let mut d_hidden = vec![0.0; if wants.states { n * d } else { 0 }];
        let mut d_head = vec![0.0; if wants.head { vocab * d } else { 0 }];
        let mut logits = vec![0.0; step * vocab];
        let whole = head.matrix(0..vocab);
        for start in (0..n).step_by(step) {
            let rows = step.min(n - start);
            let logits = &mut logits[..rows * vocab];
            let states = hidden.matrix(start..start + rows);
            let factors = (states, whole.transpose());
            product(
                (logits, vocab),
                Before::Nothing,
                figures.scale,
                factors,
                Threads::All,
            );
            logits
                .par_chunks_mut(vocab)
                .zip(scores[start * 3..].par_chunks_mut(3))
                .enumerate()
                .for_each(|(i, (logits, scores))| {
                    let (target, weight) = (targets[start + i], weights[start + i]);
                    scores.copy_from_slice(&figures.score(logits, target as usize, weight));
                });
            let gradient = Matrix::new(logits, [rows, vocab], vocab);
            if wants.states {
                let place = (&mut d_hidden[start * d..], d);
                product(place, Before::Nothing, 1.0, (gradient, whole), Threads::All);
            }
            if wants.head {
                let factors = (gradient.transpose(), states);
                product((&mut d_head, d), Before::Terms, 1.0, factors, Threads::All);
            }
        }
        let sizes = [d_hidden.len(), d_head.len()].map(|len| [len / d.max(1), d]);
        (
            tensor(scores, [n, 3]),
            tensor(d_hidden, sizes[0]),
            tensor(d_head, sizes[1]),
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
