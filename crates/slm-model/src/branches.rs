//! Log-probabilities of what may follow a beginning: the beginning is read once.

mod forest;
mod trunks;

use crate::score::{at_once, in_batches, score};
use crate::{Decoder, Scored, Sequence};
use trunks::Trunks;

/// A beginning and what may follow it.
#[derive(Clone, Copy, Debug)]
pub struct Branching<'a> {
    /// What all branches begin with.
    pub trunk: &'a [u32],
    /// What may follow, each scored whole.
    pub branches: &'a [Vec<u32>],
}

/// Tokens of beginnings that are read at a time.
const TRUNK_TOKENS: usize = 2048;

/// Scores every choice after every prompt; the prompt is read once and its keys serve all choices.
///
/// Returns `ln p` by prompt, choice and token of the choice.
pub fn score_choices(
    decoder: &Decoder,
    prompts: &[Vec<u32>],
    choices: &[Vec<u32>],
    done: &mut dyn FnMut(usize),
) -> Vec<Vec<Vec<f32>>> {
    let requests: Vec<Branching<'_>> = prompts
        .iter()
        .map(|prompt| Branching {
            trunk: prompt,
            branches: choices,
        })
        .collect();
    let scored = score_branches(decoder, &requests, prompts.len(), done);
    scored
        .into_iter()
        .map(|branches| branches.into_iter().map(|branch| branch.logprobs).collect())
        .collect()
}

/// Scores the branches of each beginning. Up to `batch_size` beginnings of similar length are read together; `done` is told how many are
/// finished.
///
/// The answer keeps the order of `requests` and does not depend on the batch size beyond rounding.
pub fn score_branches(
    decoder: &Decoder,
    requests: &[Branching<'_>],
    batch_size: usize,
    done: &mut dyn FnMut(usize),
) -> Vec<Vec<Scored>> {
    let decoder = decoder.inference();
    let mut order: Vec<usize> = (0..requests.len()).collect();
    order.sort_by_key(|&i| requests[i].trunk.len());
    let batches = batches(requests, &order, batch_size);
    let score = |batch: &[usize]| {
        let members: Vec<Branching<'_>> = batch.iter().map(|&i| requests[i]).collect();
        match members[0].trunk.is_empty() {
            true => vec![from_nothing(&decoder, members[0].branches)],
            false => Trunks::read(&decoder, &members).score(&members),
        }
    };
    in_batches(&batches, at_once(&decoder, TRUNK_TOKENS), score, done)
}

/// The requests of `order` in batches that are read together; one with nothing to begin with is alone.
fn batches<'a>(
    requests: &[Branching<'_>],
    order: &'a [usize],
    batch_size: usize,
) -> Vec<&'a [usize]> {
    let mut batches = Vec::new();
    let mut rest = order;
    while let Some(&first) = rest.first() {
        let fits = |n: &usize| n * requests[rest[n - 1]].trunk.len() <= TRUNK_TOKENS;
        let most = batch_size.clamp(1, rest.len());
        let n = match requests[first].trunk.is_empty() {
            true => 1,
            false => (1..=most).take_while(fits).last().unwrap_or(1),
        };
        let (batch, after) = rest.split_at(n);
        batches.push(batch);
        rest = after;
    }
    batches
}

/// Nothing comes before a branch's first token, so only the others have a probability.
fn from_nothing(decoder: &Decoder, branches: &[Vec<u32>]) -> Vec<Scored> {
    let whole = |ids: &Vec<u32>| Sequence {
        ids: ids.clone(),
        from: 1,
    };
    let sequences: Vec<Sequence> = branches.iter().map(whole).collect();
    score(decoder, &sequences, branches.len(), &mut |_| ())
}
