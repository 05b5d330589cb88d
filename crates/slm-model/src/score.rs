//! Log-probabilities of given tokens.

use burn::tensor::{Int, Tensor, TensorData, activation::log_softmax};

use slm_ops::loss::LOGITS_AT_ONCE;

use crate::{Decoder, KvCache, Tokens};

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
    let mut scored = vec![Scored::default(); sequences.len()];
    let mut finished = 0;
    for batch in order.chunks(batch_size.max(1)) {
        let rows: Vec<&Sequence> = batch.iter().map(|&i| &sequences[i]).collect();
        for (&i, result) in batch.iter().zip(score_batch(&decoder, &rows)) {
            scored[i] = result;
        }
        finished += batch.len();
        done(finished);
    }
    scored
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
    let time = rows.iter().map(|row| row.ids.len()).max().unwrap_or(0);
    let shape = [rows.len(), time];
    let mut ids = vec![0i32; rows.len() * time];
    let mut segments = ids.clone();
    for (r, row) in rows.iter().enumerate() {
        for (t, &id) in row.ids.iter().enumerate() {
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
fn score_states(
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

/// Scores every choice after every prompt; the prompt is read once and its keys serve all choices.
///
/// Returns `ln p` by prompt, choice and token of the choice.
pub fn score_choices(
    decoder: &Decoder,
    prompts: &[Vec<u32>],
    choices: &[Vec<u32>],
    done: &mut dyn FnMut(usize),
) -> Vec<Vec<Vec<f32>>> {
    let decoder = decoder.inference();
    let mut scored = Vec::with_capacity(prompts.len());
    for (n, prompt) in prompts.iter().enumerate() {
        scored.push(score_prompt(&decoder, prompt, choices));
        done(n + 1);
    }
    scored
}

/// Tokens of choices that are read at a time: few enough that their activations stay in the processor's cache.
const CHUNK_TOKENS: usize = 256;

/// Reads the prompt once into a cache, then the choices as rows that all continue it, in chunks of similar length.
fn score_prompt(decoder: &Decoder, prompt: &[u32], choices: &[Vec<u32>]) -> Vec<Vec<f32>> {
    if prompt.is_empty() {
        // Nothing comes before a choice's first token, so only the others have a probability.
        let whole = |ids: &Vec<u32>| Sequence {
            ids: ids.clone(),
            from: 1,
        };
        let sequences: Vec<Sequence> = choices.iter().map(whole).collect();
        let scored = score(decoder, &sequences, choices.len(), &mut |_| ());
        return scored.into_iter().map(|choice| choice.logprobs).collect();
    }
    let mut cache = KvCache::new();
    let ids: Vec<i32> = prompt.iter().map(|&id| id as i32).collect();
    let seen = ids.len();
    let positions = (0..seen as i32).collect::<Vec<_>>();
    let tokens = Tokens::new(
        &ids,
        &positions,
        &vec![1; seen],
        [1, seen],
        decoder.device(),
    );
    let states = decoder.hidden(&tokens, Some(&mut cache), None);
    let last = states.narrow(1, seen - 1, 1).flatten::<2>(0, 1); // [1, hidden]
    let first = log_softmax(decoder.logits(last), 1).into_data();
    let first = first.try_into_vec::<f32>().unwrap_or_default();
    let mut scored: Vec<Vec<f32>> = choices
        .iter()
        .map(|choice| {
            choice
                .first()
                .map(|&id| first[id as usize])
                .into_iter()
                .collect()
        })
        .collect();
    let mut order: Vec<usize> = (0..choices.len())
        .filter(|&c| choices[c].len() > 1)
        .collect();
    order.sort_by_key(|&c| std::cmp::Reverse(choices[c].len()));
    let mut rest = &order[..];
    while let Some(&longest) = rest.first() {
        let time = choices[longest].len() - 1;
        let rows = (CHUNK_TOKENS / time).clamp(1, rest.len());
        let (chunk, after) = rest.split_at(rows);
        let row_choices: Vec<&[u32]> = chunk.iter().map(|&c| &choices[c][..]).collect();
        let continued = continue_rows(decoder, &cache, &row_choices, time);
        for (&c, logprobs) in chunk.iter().zip(continued) {
            scored[c].extend(logprobs);
        }
        rest = after;
    }
    scored
}

/// `ln p` of each choice's tokens from the second on, after the prompt in `cache`; padded on the right to `time`.
fn continue_rows(
    decoder: &Decoder,
    cache: &KvCache,
    choices: &[&[u32]],
    time: usize,
) -> Vec<Vec<f32>> {
    let (rows, seen) = (choices.len(), cache.seen());
    let mut ids = vec![0i32; rows * time];
    let (mut index, mut targets) = (Vec::new(), Vec::new());
    for (r, choice) in choices.iter().enumerate() {
        for (t, pair) in choice.windows(2).enumerate() {
            ids[r * time + t] = pair[0] as i32;
            index.push((r * time + t) as i32);
            targets.push(pair[1] as i32);
        }
    }
    let positions = (0..rows).flat_map(|_| (0..time).map(|t| (seen + t) as i32));
    let tokens = Tokens::with_sight(
        &ids,
        positions.collect(),
        [rows, time],
        seen + time,
        decoder.device(),
        |_, _| 0,
    );
    let states = decoder.hidden(&tokens, Some(&mut cache.for_rows(rows, time)), None);
    let mut flat = score_states(decoder, states, index, targets)
        .into_iter()
        .map(|(logprob, _)| logprob);
    choices
        .iter()
        .map(|choice| flat.by_ref().take(choice.len() - 1).collect())
        .collect()
}
