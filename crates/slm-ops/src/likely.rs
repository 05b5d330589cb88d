//! A model's likeliest tokens, and what is left of its distribution: few numbers that a student learns from later, at any
//! temperature.
//!
//! With p the distribution at temperature 1, that at T has shares p^(1/T) / Σ p^(1/T). Of the tokens that are kept, that is known. Of
//! the sum over all others, ln Σ p^a at a = 1/T, three places are: a = 0 (their number), a = ½ and a = 1, which are kept. The curve is
//! smooth and convex, and a parabola through the three stands for it: exact at T = 1 and 2, and
//! close between and beyond; below 1, where the others hardly count, it is an estimate.

mod row;

use burn::tensor::activation::log_softmax;
use burn::tensor::{Device, IndexingUpdateOp, Int, Tensor, TensorData};
use rayon::prelude::*;

use self::row::LikelyRow;
use crate::head::as_multiplied;
use crate::loss::{LOGITS_AT_ONCE, LOGITS_AT_ONCE_ON_GPU, rows_of_at_most};
use crate::{HeadShape, Rest, TopTokens};

/// How many tokens are kept of a position.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Choice {
    /// Ids from 0 up to this are tokens; what a head has beyond them is padding, and has no probability.
    pub vocab: usize,
    /// Most tokens.
    pub top_k: usize,
    /// As few as have this probability together.
    pub mass: f64,
}

/// The likeliest tokens of some positions, from likely to unlikely, on the host.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Likely {
    /// How many are kept of each position.
    pub counts: Vec<u32>,
    /// Those of all positions, one after the other.
    pub ids: Vec<u32>,
    /// ln p of each.
    pub logprobs: Vec<f32>,
    /// ln of the probability that all others have together, of each position; −∞ where there are none.
    pub rest: Vec<f32>,
    /// ln of the sum of the square roots of the others' probabilities.
    pub rest_roots: Vec<f32>,
}

/// What is likely at each position, without gradients and without ever holding all logits.
///
/// # Shapes
/// - `states`: `[n, d]`, final states
/// - `head`: `[rows, d]`, HF layout, at least `choice.vocab` rows
pub fn likely_tokens(
    states: Tensor<2>,
    head: Tensor<2>,
    shape: &HeadShape,
    choice: &Choice,
) -> Likely {
    let (states, head) = (states.inner(), head.inner());
    let ([n, _], vocab) = (states.dims(), choice.vocab.min(head.dims()[0]));
    let choice = Choice {
        vocab,
        top_k: choice.top_k.clamp(1, vocab),
        ..*choice
    };
    let [states, head] = as_multiplied([states, head.narrow(0, 0, vocab)]);
    let is_gpu = crate::fused::is_gpu(&states.device());
    let at_once = if is_gpu {
        LOGITS_AT_ONCE_ON_GPU
    } else {
        LOGITS_AT_ONCE
    };
    let step = rows_of_at_most(at_once, n, vocab);
    let mut likely = Likely::default();
    for start in (0..n).step_by(step) {
        let states = states.clone().narrow(0, start, step.min(n - start));
        let logits = shape.logits(states, head.clone());
        let rows = match is_gpu {
            true => on_device(logits, &choice),
            false => on_host(logits, &choice),
        };
        rows.into_iter().for_each(|row| likely.push(row));
    }
    likely
}

/// By loops over rows of logits, `[r, vocab]`.
fn on_host(logits: Tensor<2>, choice: &Choice) -> Vec<LikelyRow> {
    let mut logits: Vec<f32> = logits
        .into_data()
        .try_into_vec()
        .expect("logits are f32, whatever the weights are");
    logits
        .par_chunks_mut(choice.vocab)
        .map(|row| LikelyRow::of(row, choice))
        .collect()
}

/// In burn's primitives: nothing but the likeliest leaves the device.
fn on_device(logits: Tensor<2>, choice: &Choice) -> Vec<LikelyRow> {
    /// Far below all logarithms of probabilities.
    const NOTHING: f64 = -1e9;
    let logprobs = log_softmax(logits, 1);
    let (top, ids) = logprobs.clone().topk_with_indices(choice.top_k, 1);
    let nothing = top.full_like(NOTHING);
    let others = logprobs.scatter(1, ids.clone(), nothing, IndexingUpdateOp::Add);
    let sums = [1.0, 0.5].map(|power| {
        let powers = others.clone().mul_scalar(power).exp();
        floats(powers.sum_dim(1).log())
    });
    let ids: Vec<i64> = ids.into_data().iter().collect();
    let top = floats(top);
    let rows = ids.chunks(choice.top_k).zip(top.chunks(choice.top_k));
    let rows = rows.enumerate().map(|(row, (ids, top))| {
        let ids = ids.iter().map(|id| *id as u32).collect();
        LikelyRow::kept(ids, top.to_vec(), [sums[0][row], sums[1][row]], choice.mass)
    });
    rows.collect()
}

fn floats(tensor: Tensor<2>) -> Vec<f32> {
    let data = tensor.into_data();
    data.try_into_vec().expect("log-probabilities are f32")
}

impl Likely {
    /// Number of positions.
    pub fn len(&self) -> usize {
        self.counts.len()
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.counts.is_empty()
    }

    fn push(&mut self, row: LikelyRow) {
        self.counts.push(row.ids.len() as u32);
        self.ids.extend(row.ids);
        self.logprobs.extend(row.logprobs);
        self.rest.push(row.rest);
        self.rest_roots.push(row.rest_roots);
    }

    /// Appends the positions of `other`.
    pub fn extend(&mut self, other: &Self) {
        self.counts.extend_from_slice(&other.counts);
        self.ids.extend_from_slice(&other.ids);
        self.logprobs.extend_from_slice(&other.logprobs);
        self.rest.extend_from_slice(&other.rest);
        self.rest_roots.extend_from_slice(&other.rest_roots);
    }

    /// What a student is compared with at a temperature; `vocab` is that of the [`Choice`].
    pub fn at(&self, temperature: f64, vocab: usize, device: &Device) -> TopTokens {
        let (n, width) = (self.len(), self.counts.iter().max());
        let width = width.copied().unwrap_or(1).max(1) as usize;
        let mut ids = vec![0_i32; n * width];
        let mut logprobs = vec![f32::NEG_INFINITY; n * width];
        let mut rest = Vec::with_capacity(n);
        let mut start = 0;
        for (row, count) in self.counts.iter().enumerate() {
            let count = *count as usize;
            let kept = start..start + count;
            start = kept.end;
            let others = [self.rest[row], self.rest_roots[row]];
            let scaled = row::at(
                &self.logprobs[kept.clone()],
                others,
                vocab - count,
                temperature,
            );
            for (place, id) in self.ids[kept].iter().enumerate() {
                ids[row * width + place] = *id as i32;
                logprobs[row * width + place] = scaled.0[place];
            }
            rest.push(scaled.1);
        }
        let floats =
            |values: Vec<f32>, shape| Tensor::from_data(TensorData::new(values, shape), device);
        TopTokens {
            ids: Tensor::<2, Int>::from_data(TensorData::new(ids, [n, width]), device),
            logprobs: floats(logprobs, [n, width]),
            rest: Rest::Bucket(Tensor::from_data(TensorData::new(rest, [n]), device)),
        }
    }
}
