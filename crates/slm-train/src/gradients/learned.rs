//! Where batches learn, and what a model says there.

use std::collections::BTreeMap;

use burn::tensor::{Int, Tensor};
use slm_data::Batch;
use slm_model::{Decoder, Tokens};
use slm_ops::{TokenSums, linear_nll, token_scores, upload};

use crate::preference::{JudgedSums, Judging};

/// Where a batch learns, and what: brought to the device before anything is computed there, so that nothing waits for it.
pub(crate) struct Learned {
    /// None where every place is learned.
    places: Option<Tensor<1, Int>>,
    pub(super) targets: Tensor<1, Int>,
}

impl Learned {
    pub(super) fn of(batch: &Batch, decoder: &Decoder) -> Self {
        let places: Vec<usize> = (0..batch.learn.len()).filter(|&i| batch.learn[i]).collect();
        let ints = |values: Vec<i32>| -> Tensor<1, Int> {
            let n = values.len();
            upload::ints(values, [n], decoder.device())
        };
        let index = || ints(places.iter().map(|&i| i as i32).collect());
        Self {
            places: (places.len() < batch.learn.len()).then(index),
            targets: ints(places.iter().map(|&i| batch.targets[i]).collect()),
        }
    }

    /// The states of those places, `[n, hidden]`, of all, `[rows, cols, hidden]`.
    pub(crate) fn of_states(&self, states: Tensor<3>) -> Tensor<2> {
        let [rows, cols, hidden] = states.dims();
        let states = states.reshape([rows * cols, hidden]);
        match &self.places {
            Some(places) => states.select(0, places.clone()),
            None => states,
        }
    }
}

pub(super) fn tokens_of(decoder: &Decoder, batch: &Batch) -> Tokens {
    Tokens::new(
        &batch.ids,
        &batch.positions,
        &batch.segments,
        [batch.rows, batch.cols],
        decoder.device(),
    )
}

/// ln p of each of `targets`, outside the graph; the host waits for it.
pub(super) fn logprobs(decoder: &Decoder, states: Tensor<2>, targets: Tensor<1, Int>) -> Vec<f32> {
    if targets.dims()[0] == 0 {
        return Vec::new();
    }
    let scores = token_scores(states, decoder.head(), targets, &decoder.config().head);
    let data = scores.logprobs.into_data();
    data.try_into_vec()
        .expect("log-probabilities are f32, whatever the weights are")
}

/// ln p of the learned tokens of each row, without gradients.
pub(crate) fn row_logprobs(decoder: &Decoder, batch: &Batch) -> Vec<f64> {
    let learned = Learned::of(batch, decoder);
    let states = decoder.hidden(&tokens_of(decoder, batch), None, None);
    let (states, targets) = (learned.of_states(states), learned.targets);
    let places = (0..batch.learn.len()).filter(|place| batch.learn[*place]);
    let mut rows = vec![0.0; batch.rows];
    for (place, logprob) in places.zip(logprobs(decoder, states, targets)) {
        rows[place / batch.cols] += f64::from(logprob);
    }
    rows
}

/// The final states of the learned tokens of a batch, `[n, hidden]`, without gradients.
pub(crate) fn learned_states(decoder: &Decoder, batch: &Batch) -> Tensor<2> {
    let learned = Learned::of(batch, decoder);
    learned.of_states(decoder.hidden(&tokens_of(decoder, batch), None, None))
}

/// The same, and the states after each layer that `reads` wants, by its number.
pub(crate) fn learned_states_by_layer(
    decoder: &Decoder,
    batch: &Batch,
    reads: impl Fn(usize) -> bool,
) -> (Tensor<2>, BTreeMap<usize, Tensor<2>>) {
    let (learned, tokens) = (Learned::of(batch, decoder), tokens_of(decoder, batch));
    let (pass, mut x) = (decoder.pass(&tokens, None), decoder.embed(&tokens));
    let mut read = BTreeMap::new();
    for (i, layer) in decoder.layers().iter().enumerate() {
        x = layer.forward(decoder.config(), x, &pass, None);
        if reads(i) {
            read.insert(i, learned.of_states(x.clone()));
        }
    }
    (learned.of_states(decoder.finish(x)), read)
}

/// What a batch of answers says without gradients: sums over its learned tokens, and the judgement.
pub(crate) fn judged(
    decoder: &Decoder,
    batch: &Batch,
    judging: &Judging,
) -> (TokenSums, JudgedSums) {
    let learned = Learned::of(batch, decoder);
    let states = decoder.hidden(&tokens_of(decoder, batch), None, None);
    let (states, targets) = (learned.of_states(states), learned.targets);
    let logprobs = logprobs(decoder, states.clone(), targets.clone());
    let sums = linear_nll(states, decoder.head(), targets, &decoder.config().head);
    (sums.read(), judging.weigh(&logprobs).1)
}
