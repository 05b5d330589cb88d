//! Log-likelihoods of pairs: what is asked twice is read once, and so is what several pairs begin with.

use std::collections::HashMap;

use rayon::prelude::*;
use slm_model::{Branching, Decoder, Scored, Sequence, score, score_branches};
use slm_suite::{Ask, Item, Likelihood};

use super::encoding::PairEncoder;
use crate::error::EvalError;
use crate::request::Encoding;

/// A pair that was scored.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Asked {
    pub(crate) likelihood: Likelihood,
    pub(crate) context_tokens: usize,
    pub(crate) tokens: usize,
}

/// Scores the asks of all items, in their order; and says how many tokens were read for that.
pub(crate) fn likelihoods(
    decoder: &Decoder,
    encoding: &Encoding<'_>,
    batch_size: usize,
    items: &[Item],
    done: &mut dyn FnMut(usize),
) -> Result<(Vec<Vec<Asked>>, usize), EvalError> {
    let encoder = PairEncoder::of(encoding);
    let encoded: Vec<Vec<Sequence>> = items
        .par_iter()
        .map(|item| {
            let pairs = item.asks.iter().filter_map(|ask| match ask {
                Ask::Likelihood {
                    context,
                    continuation,
                } => Some(encoder.pair(&item.origin, context, continuation)),
                _ => None,
            });
            pairs.collect::<Result<Vec<_>, _>>()
        })
        .collect::<Result<_, _>>()?;
    let mut unique = Unique::default();
    let numbers: Vec<Vec<usize>> = encoded
        .iter()
        .map(|sequences| {
            sequences
                .iter()
                .map(|sequence| unique.number(sequence))
                .collect()
        })
        .collect();
    let (scored, read) = unique.score(decoder, batch_size, &numbers, items.len(), done);
    let asked = encoded
        .iter()
        .zip(&numbers)
        .zip(items)
        .map(|((sequences, numbers), item)| {
            let of_item = sequences.iter().zip(numbers).map(|(sequence, &number)| {
                let scored = &scored[number];
                let logprob: f64 = scored.logprobs.iter().map(|p| f64::from(*p)).sum();
                if !logprob.is_finite() {
                    return Err(EvalError::NotFinite {
                        task: encoding.task.into(),
                        origin: item.origin.clone(),
                        value: logprob,
                    });
                }
                let greedy = scored.greedy.iter().all(|greedy| *greedy);
                Ok(Asked {
                    likelihood: Likelihood { logprob, greedy },
                    context_tokens: sequence.from,
                    tokens: sequence.ids.len() - sequence.from,
                })
            });
            of_item.collect()
        });
    Ok((asked.collect::<Result<_, _>>()?, read))
}

/// Pairs without repetition.
#[derive(Default)]
struct Unique<'a> {
    sequences: Vec<&'a Sequence>,
    seen: HashMap<(&'a [u32], usize), usize>,
}

/// Pairs that begin alike.
struct Group {
    members: Vec<usize>,
    /// Tokens that all of them begin with, none of which is scored.
    shared: usize,
}

impl<'a> Unique<'a> {
    fn number(&mut self, sequence: &'a Sequence) -> usize {
        let sequences = &mut self.sequences;
        *self
            .seen
            .entry((&sequence.ids, sequence.from))
            .or_insert_with(|| {
                sequences.push(sequence);
                sequences.len() - 1
            })
    }

    /// Scores each pair, and counts the tokens that are read. `items` names the pairs of each item.
    fn score(
        &self,
        decoder: &Decoder,
        batch_size: usize,
        items: &[Vec<usize>],
        n_items: usize,
        done: &mut dyn FnMut(usize),
    ) -> (Vec<Scored>, usize) {
        let (groups, alone) = self.groups(items);
        let whole: Vec<Sequence> = alone.iter().map(|&i| self.sequences[i].clone()).collect();
        let branches: Vec<Vec<Vec<u32>>> = groups
            .iter()
            .map(|group| {
                let members = group.members.iter();
                members
                    .map(|&i| self.sequences[i].ids[group.shared..].to_vec())
                    .collect()
            })
            .collect();
        let requests: Vec<Branching<'_>> = groups
            .iter()
            .zip(&branches)
            .map(|(group, branches)| Branching {
                trunk: &self.sequences[group.members[0]].ids[..group.shared],
                branches,
            })
            .collect();
        let all = (requests.len() + whole.len()).max(1);
        let mut told = 0;
        let mut tell = |n: usize| {
            let share = n * n_items / all;
            if share > told {
                told = share;
                done(share);
            }
        };
        let mut scored = vec![Scored::default(); self.sequences.len()];
        let results = score_branches(decoder, &requests, batch_size, &mut tell);
        for (group, results) in groups.iter().zip(results) {
            for (&i, result) in group.members.iter().zip(results) {
                let unscored = self.sequences[i].from - group.shared;
                scored[i] = Scored {
                    logprobs: result.logprobs[unscored..].to_vec(),
                    greedy: result.greedy[unscored..].to_vec(),
                };
            }
        }
        let results = score(decoder, &whole, batch_size, &mut |n| {
            tell(requests.len() + n)
        });
        for (i, result) in alone.into_iter().zip(results) {
            scored[i] = result;
        }
        // Nothing follows the last token of a pair, so it is not read.
        let branch = |branches: &Vec<Vec<u32>>| {
            branches
                .iter()
                .map(|branch| branch.len() - 1)
                .sum::<usize>()
        };
        let branches: usize = branches.iter().map(branch).sum();
        let trunks: usize = groups.iter().map(|group| group.shared).sum();
        let whole: usize = whole.iter().map(|sequence| sequence.ids.len() - 1).sum();
        (scored, trunks + branches + whole)
    }

    /// The pairs of an item that begin alike, where that spares reading; and all others. A pair that several items have belongs to the first.
    fn groups(&self, items: &[Vec<usize>]) -> (Vec<Group>, Vec<usize>) {
        let mut is_placed = vec![false; self.sequences.len()];
        let (mut groups, mut alone) = (Vec::new(), Vec::new());
        for pairs in items {
            let mut own: Vec<usize> = Vec::new();
            for &i in pairs {
                if !std::mem::replace(&mut is_placed[i], true) {
                    own.push(i);
                }
            }
            // What stands after nothing but BOS begins unlike what stands after the prompt.
            let is_short = |&i: &usize| self.sequences[i].from == 1;
            let (short, long): (Vec<usize>, Vec<usize>) = own.into_iter().partition(is_short);
            for members in [short, long] {
                let shared = self.shared(&members);
                match self.spares_reading(&members, shared) {
                    true => groups.push(Group { members, shared }),
                    false => alone.extend(members),
                }
            }
        }
        (groups, alone)
    }

    fn shared(&self, members: &[usize]) -> usize {
        let Some((&first, others)) = members.split_first() else {
            return 0;
        };
        let first = self.sequences[first];
        others.iter().fold(first.from, |shared, &i| {
            let other = self.sequences[i];
            let alike = first
                .ids
                .iter()
                .zip(&other.ids)
                .take_while(|(a, b)| a == b)
                .count();
            shared.min(alike).min(other.from)
        })
    }

    /// Whether reading the beginning once is a quarter cheaper than reading it with each.
    fn spares_reading(&self, members: &[usize], shared: usize) -> bool {
        let apart: usize = members
            .iter()
            .map(|&i| self.sequences[i].ids.len() - 1)
            .sum();
        let spared = shared.saturating_sub(1) * members.len().saturating_sub(1);
        members.len() > 1 && shared > 0 && 4 * spared > apart
    }
}
