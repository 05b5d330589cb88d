//! Log-probabilities of given tokens.

use burn::backend::DispatchDevice;
use burn::tensor::{Int, Tensor, TensorData, activation::log_softmax};

use rayon::prelude::*;
use slm_ops::loss::LOGITS_AT_ONCE;

use crate::{Decoder, Tokens};

/// Multiply-adds of a small pass.
const SMALL_PASS: usize = 1 << 34;

/// Tokens of which those from `from` on are scored, each given everything before it.
#[derive(Clone, Debug)]
pub struct Sequence {
    pub ids: Vec<u32>,
    /// At least 1: the first token has nothing before it.
    pub from: usize,
}

/// One value per scored token.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Scored {
    /// Natural logarithm of the token's probability.
    pub logprobs: Vec<f32>,
    /// Whether the token was the likeliest.
    pub greedy: Vec<bool>,
}

/// Scores sequences in batches of similar length; `done` is told how many are finished.
///
/// The answer keeps the order of `sequences` and does not depend on the batch size beyond rounding.
pub fn score(
    decoder: &Decoder,
    sequences: &[Sequence],
    batch_size: usize,
    done: &mut dyn FnMut(usize),
) -> Vec<Scored> {
    let decoder = decoder.inference();
    let mut order: Vec<usize> = (0..sequences.len()).collect();
    order.sort_by_key(|&i| sequences[i].ids.len());
    let longest = order.last().map_or(1, |&i| sequences[i].ids.len());
    let batches: Vec<&[usize]> = order.chunks(batch_size.max(1)).collect();
    let score = |batch: &[usize]| {
        let rows: Vec<&Sequence> = batch.iter().map(|&i| &sequences[i]).collect();
        score_batch(&decoder, &rows)
    };
    in_batches(
        &batches,
        at_once(&decoder, batch_size * longest),
        score,
        done,
    )
}

/// Works on batches, which name all items by their numbers, `at_once` of them side by side; what came of each item, in the
/// order of the numbers. `done` is told how many are finished.
pub(crate) fn in_batches<R: Clone + Default + Send>(
    batches: &[&[usize]],
    at_once: usize,
    work: impl Fn(&[usize]) -> Vec<R> + Sync,
    done: &mut dyn FnMut(usize),
) -> Vec<R> {
    let mut all = vec![R::default(); batches.iter().map(|batch| batch.len()).sum()];
    let mut finished = 0;
    for batches in batches.chunks(at_once) {
        let results = side_by_side(batches, |batch| work(batch));
        for (batch, results) in batches.iter().zip(results) {
            finished += batch.len();
            for (&i, result) in batch.iter().zip(results) {
                all[i] = result;
            }
        }
        done(finished);
    }
    all
}

/// Passes of so many tokens that are worth running at once: as many as there are threads where one pass is so small that its
/// operations spend their time on waiting for each other's threads, else one.
pub(crate) fn at_once(decoder: &Decoder, tokens: usize) -> usize {
    let is_host = matches!(decoder.device().as_dispatch(), DispatchDevice::Flex(_));
    match is_host && tokens * decoder.n_params() < SMALL_PASS {
        true => rayon::current_num_threads(),
        false => 1,
    }
}

/// Works on each item, on a thread of its own where there are several.
fn side_by_side<T: Sync, R: Send>(items: &[T], work: impl Fn(&T) -> R + Sync) -> Vec<R> {
    match items {
        // Libtorch keeps threads for each thread that calls it.
        [item] => vec![work(item)],
        _ => items.par_iter().map(&work).collect(),
    }
}

/// Logits of every position of one row of tokens: `[tokens, vocab]`, row-major, f32.
pub fn sequence_logits(decoder: &Decoder, ids: &[u32]) -> Vec<f32> {
    let decoder = decoder.inference();
    let n = ids.len();
    let ids: Vec<i32> = ids.iter().map(|&id| id as i32).collect();
    let positions: Vec<i32> = (0..n as i32).collect();
    let tokens = Tokens::new(&ids, &positions, &vec![1; n], [1, n], decoder.device());
    let states = decoder.hidden(&tokens, None, None).flatten::<2>(0, 1);
    let logits = decoder.logits(states).into_data();
    logits.try_into_vec().unwrap_or_default()
}

fn score_batch(decoder: &Decoder, rows: &[&Sequence]) -> Vec<Scored> {
    // Nothing follows a row's last token, so it is not read.
    let read = |row: &&Sequence| row.ids.len().saturating_sub(1);
    let time = rows.iter().map(read).max().unwrap_or(0).max(1);
    let shape = [rows.len(), time];
    let mut ids = vec![0i32; rows.len() * time];
    let mut segments = ids.clone();
    for (r, row) in rows.iter().enumerate() {
        for (t, &id) in row.ids.iter().enumerate().take(time) {
            ids[r * time + t] = id as i32;
            segments[r * time + t] = 1;
        }
    }
    let positions: Vec<i32> = (0..rows.len()).flat_map(|_| 0..time as i32).collect();
    let tokens = Tokens::new(&ids, &positions, &segments, shape, decoder.device());
    let states = decoder.hidden(&tokens, None, None);
    let places = rows.iter().enumerate().flat_map(|(r, row)| {
        (row.from.max(1)..row.ids.len())
            .map(move |t| ((r * time + t - 1) as i32, row.ids[t] as i32))
    });
    let (index, targets): (Vec<i32>, Vec<i32>) = places.unzip();
    let flat = score_states(decoder, states, index, targets);
    let mut flat = flat.into_iter();
    rows.iter()
        .map(|row| {
            let (logprobs, greedy) = flat
                .by_ref()
                .take(row.ids.len().saturating_sub(row.from.max(1)))
                .unzip();
            Scored { logprobs, greedy }
        })
        .collect()
}

/// `ln p` of `targets` from the states at `index` (into `[batch · time]`), and whether each was the argmax.
pub(crate) fn score_states(
    decoder: &Decoder,
    states: Tensor<3>,
    index: Vec<i32>,
    targets: Vec<i32>,
) -> Vec<(f32, bool)> {
    let [batch, time, hidden] = states.dims();
    let states = states.reshape([batch * time, hidden]);
    let chunk = (LOGITS_AT_ONCE / decoder.config().vocab_size).max(1);
    let mut scored = Vec::with_capacity(targets.len());
    for (index, targets) in index.chunks(chunk).zip(targets.chunks(chunk)) {
        let n = index.len();
        let ints = |values: &[i32]| -> Tensor<1, Int> {
            Tensor::from_data(TensorData::new(values.to_vec(), [n]), decoder.device())
        };
        let log_probs = log_softmax(decoder.logits(states.clone().select(0, ints(index))), 1);
        let best = log_probs.clone().argmax(1).flatten::<1>(0, 1).into_data();
        let taken = log_probs
            .gather(1, ints(targets).unsqueeze_dim::<2>(1))
            .flatten::<1>(0, 1)
            .into_data();
        let taken = taken.try_into_vec::<f32>().unwrap_or_default();
        let greedy = best
            .iter::<i64>()
            .zip(targets)
            .map(|(best, &target)| best == i64::from(target));
        scored.extend(taken.into_iter().zip(greedy));
    }
    scored
}
