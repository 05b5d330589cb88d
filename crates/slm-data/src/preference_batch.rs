use crate::batch::{Batch, BatchOptions, collate};
use crate::mixture::taken;
use crate::random::permutation;
use crate::sample::{Answer, Sample, rows};

/// What a batch is made of.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Pairing {
    /// Rows with their chosen and their rejected answer.
    Pairs,
    /// Answers one by one; those of a row with two are drawn apart. Each batch has mismatched answers besides.
    Singles,
}

/// Judged answers for one forward pass.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct PreferenceBatch {
    /// An answer with its prompt per row. Of pairs, all chosen ones come first, and then the rejected ones in the same order.
    pub batch: Batch,
    /// The places of the rows of `batch` among the samples.
    pub samples: Vec<usize>,
    /// Whether the rows of `batch` are chosen ones.
    pub chosen: Vec<bool>,
    /// Number of pairs: row `i` is better than row `pairs + i`. 0 where answers come one by one.
    pub pairs: usize,
    /// Every prompt with the answer of the row before it, of the first with that of the last; none for pairs.
    pub mismatched: Option<Batch>,
}

/// The batches of one epoch, collated when asked for.
#[derive(Clone, Debug)]
pub struct PreferenceBatches<'a> {
    samples: &'a [Sample],
    /// Samples that stay together: two of a pair, or one.
    units: Vec<Vec<usize>>,
    pairing: Pairing,
    batch_size: usize,
    max_length: usize,
}

/// Plans the batches of an epoch over judged answers, as [`crate::batches`] does over rows to learn; nothing is packed.
///
/// `options.batch_size` counts pairs or single answers. Rows that are not as `pairing` needs them are left out: see
/// [`crate::Shards::answers`].
pub fn preference_batches<'a>(
    samples: &'a [Sample],
    pairing: Pairing,
    options: &BatchOptions,
) -> PreferenceBatches<'a> {
    let rows: Vec<_> = rows(samples).collect();
    let (shuffle, seed, epoch) = (options.shuffle, options.seed, options.epoch);
    let taken = taken(rows.len(), &options.shares, shuffle, seed, epoch);
    let taken = taken.into_iter().map(|row| rows[row].clone());
    let units: Vec<Vec<usize>> = match pairing {
        Pairing::Pairs => {
            let is_pair = |row: &std::ops::Range<usize>| {
                let answers = samples[row.clone()].iter().map(|sample| sample.answer);
                answers.eq([Answer::Chosen, Answer::Rejected])
            };
            taken.filter(is_pair).map(Iterator::collect).collect()
        }
        Pairing::Singles => taken.flatten().map(|sample| vec![sample]).collect(),
    };
    let order = match shuffle {
        true => permutation(units.len(), "shuffle", seed, epoch),
        false => (0..units.len()).collect(),
    };
    PreferenceBatches {
        samples,
        units: order.into_iter().map(|unit| units[unit].clone()).collect(),
        pairing,
        batch_size: options.batch_size.max(1),
        max_length: options.max_length,
    }
}

impl PreferenceBatches<'_> {
    /// Number of batches.
    pub fn len(&self) -> usize {
        self.units.len().div_ceil(self.batch_size)
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.units.is_empty()
    }

    /// The batch at a place, or none past the end.
    pub fn get(&self, at: usize) -> Option<PreferenceBatch> {
        let units = self.units.chunks(self.batch_size).nth(at)?;
        let first = units.iter().filter_map(|unit| unit.first());
        let second = units.iter().filter_map(|unit| unit.get(1));
        let samples: Vec<usize> = first.chain(second).copied().collect();
        let answers: Vec<&Sample> = samples.iter().map(|at| &self.samples[*at]).collect();
        let (pairs, mismatched) = match self.pairing {
            Pairing::Pairs => (units.len(), None),
            Pairing::Singles => (0, Some(self.mismatched(&answers))),
        };
        Some(PreferenceBatch {
            batch: collate(&answers),
            chosen: answers
                .iter()
                .map(|sample| sample.answer == Answer::Chosen)
                .collect(),
            samples,
            pairs,
            mismatched,
        })
    }

    /// All of them in order.
    pub fn iter(&self) -> impl ExactSizeIterator<Item = PreferenceBatch> + '_ {
        (0..self.len()).map(|at| self.get(at).unwrap_or_default())
    }

    fn mismatched(&self, answers: &[&Sample]) -> Batch {
        let others = answers.iter().cycle().skip(answers.len() - 1);
        let mixed: Vec<Sample> = answers
            .iter()
            .zip(others)
            .map(|(given, other)| self.with_answer_of(given, other))
            .collect();
        collate(&mixed.iter().collect::<Vec<_>>())
    }

    fn with_answer_of(&self, given: &Sample, other: &Sample) -> Sample {
        let (prompt, answer) = (given.answer_start(), other.answer_start());
        let mut ids = [&given.ids[..prompt], &other.ids[answer..]].concat();
        let mut learn = [&given.learn[..prompt], &other.learn[answer..]].concat();
        ids.truncate(self.max_length);
        learn.truncate(self.max_length);
        Sample::new(given.row, ids, learn)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::mixture::Share;

    /// A prompt of two tokens and an answer of one or more.
    fn sample(row: usize, answer: Answer, ids: &[u32]) -> Sample {
        let learn = (0..ids.len()).map(|at| at >= 2).collect();
        Sample {
            answer,
            ..Sample::new(row, ids.to_vec(), learn)
        }
    }

    fn pairs(n: usize) -> Vec<Sample> {
        (0..n)
            .flat_map(|row| {
                let id = 10 * row as u32;
                [
                    sample(row, Answer::Chosen, &[id, id + 1, id + 2]),
                    sample(row, Answer::Rejected, &[id, id + 1, id + 3, id + 4]),
                ]
            })
            .collect()
    }

    fn options(batch_size: usize, shuffle: bool) -> BatchOptions {
        BatchOptions {
            batch_size,
            max_length: 16,
            packing: false,
            shuffle,
            group_by_length: false,
            shares: Vec::new(),
            seed: 1,
            epoch: 0,
        }
    }

    #[test]
    fn chosen_answers_come_first_and_rejected_ones_in_the_same_order() {
        let samples = pairs(3);
        let batches = preference_batches(&samples, Pairing::Pairs, &options(2, false));
        assert_eq!(batches.len(), 2);
        let first = batches.get(0).unwrap();
        assert_eq!((first.pairs, first.samples), (2, vec![0, 2, 1, 3]));
        assert_eq!(first.chosen, [true, true, false, false]);
        assert_eq!(first.batch.ids[..8], [0, 1, 2, 0, 10, 11, 12, 0]);
        assert_eq!(first.batch.learned, 6);
        assert_eq!(batches.get(1).unwrap().pairs, 1);
        assert_eq!(batches.get(2), None);
        let mut shuffled: Vec<usize> =
            preference_batches(&samples, Pairing::Pairs, &options(2, true))
                .iter()
                .flat_map(|batch| {
                    let (chosen, rejected) = batch.samples.split_at(batch.pairs);
                    let apart = chosen.iter().zip(rejected).any(|(a, b)| a + 1 != *b);
                    assert!(!apart, "{:?}", batch.samples);
                    batch.samples.clone()
                })
                .collect();
        shuffled.sort_unstable();
        assert_eq!(shuffled, [0, 1, 2, 3, 4, 5]);
    }

    #[test]
    fn single_answers_meet_the_answer_before_theirs() {
        let samples = pairs(1)
            .into_iter()
            .chain([sample(7, Answer::Chosen, &[70, 71, 72])])
            .collect::<Vec<_>>();
        let batches = preference_batches(&samples, Pairing::Singles, &options(3, false));
        let batch = batches.get(0).unwrap();
        assert_eq!((batch.pairs, batch.samples), (0, vec![0, 1, 2]));
        assert_eq!(batch.chosen, [true, false, true]);
        let mismatched = batch.mismatched.unwrap();
        assert_eq!(
            mismatched.ids,
            [0, 1, 72, 0, 0, 1, 2, 0, 70, 71, 3, 4],
            "of the first the last one's"
        );
        assert_eq!(mismatched.learned, 4);
        let short = BatchOptions {
            max_length: 3,
            ..options(3, false)
        };
        let batches = preference_batches(&samples, Pairing::Singles, &short);
        assert_eq!(batches.get(0).unwrap().mismatched.unwrap().cols, 3);
    }

    #[test]
    fn weights_count_rows_and_not_answers() {
        let samples = pairs(4);
        let half = BatchOptions {
            shares: vec![Share {
                rows: 4,
                weight: 0.5,
            }],
            ..options(1, false)
        };
        assert_eq!(preference_batches(&samples, Pairing::Pairs, &half).len(), 2);
        assert_eq!(
            preference_batches(&samples, Pairing::Singles, &half).len(),
            4
        );
    }
}
