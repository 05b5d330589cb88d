use crate::mixture::{Share, taken};
use crate::packing::best_fit_decreasing;
use crate::random::permutation;
use crate::sample::Sample;

/// Rows of equal length for one forward pass, as plain integers.
///
/// # Shapes
/// Every list is row-major `[rows, cols]`, padded on the right with zeros.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Batch {
    /// Number of rows.
    pub rows: usize,
    /// Length of a row: that of the longest.
    pub cols: usize,
    /// Token ids; 0 where nothing is.
    pub ids: Vec<i32>,
    /// Place in the conversation, from 0 at the start of each.
    pub positions: Vec<i32>,
    /// 0 = padding, 1.. = conversation of the row. Attention stays within one number.
    pub segments: Vec<i32>,
    /// The id that follows in the same conversation; 0 where none does.
    pub targets: Vec<i32>,
    /// Whether the target is learned. Never at the last place of a conversation, never on padding.
    pub learn: Vec<bool>,
    /// Tokens that are no padding.
    pub tokens: usize,
    /// How many of `learn` are true.
    pub learned: usize,
}

/// How samples become batches. Everything that they depend on besides the samples.
#[derive(Clone, Debug, PartialEq)]
pub struct BatchOptions {
    /// Rows of a batch; the last batch of an epoch may have fewer.
    pub batch_size: usize,
    /// Length that packed rows are filled up to. Without packing a row is as long as it is.
    pub max_length: usize,
    /// Whether a row takes several conversations.
    pub packing: bool,
    /// Whether the order changes with (`seed`, `epoch`); else it is that of the samples.
    pub shuffle: bool,
    /// Whether rows of similar length share a batch, so that little is padded. Only what is shuffled is grouped; packed rows
    /// are full anyway.
    pub group_by_length: bool,
    /// The sources that the samples come from, in order, and their weights; empty where every sample comes up once.
    pub shares: Vec<Share>,
    /// The run's seed.
    pub seed: u64,
    /// The epoch, from 0.
    pub epoch: usize,
}

/// The batches of one epoch, collated when asked for: a resumed run takes up at any of them.
#[derive(Clone, Debug)]
pub struct Batches<'a> {
    samples: &'a [Sample],
    /// Which samples make each row.
    rows: Vec<Vec<usize>>,
    batch_size: usize,
}

/// Plans the batches of an epoch: a function of its arguments alone, so that a resumed run sees the same ones.
///
/// Every sample is in exactly one row, or in as many as its source's [`Share`] says. The number of batches is the same in
/// every epoch; with packing, as long as the weights of the shares are whole numbers.
pub fn batches<'a>(samples: &'a [Sample], options: &BatchOptions) -> Batches<'a> {
    let draw = |n, purpose| match options.shuffle {
        true => permutation(n, purpose, options.seed, options.epoch),
        false => (0..n).collect(),
    };
    let taken = taken(
        samples.len(),
        &options.shares,
        options.shuffle,
        options.seed,
        options.epoch,
    );
    let order: Vec<usize> = draw(taken.len(), "shuffle")
        .into_iter()
        .map(|place| taken[place])
        .collect();
    let rows = if options.packing {
        let lengths: Vec<usize> = samples.iter().map(|sample| sample.ids.len()).collect();
        let mut bins = best_fit_decreasing(&lengths, &order, options.max_length);
        let places = draw(bins.len(), "shuffle packed rows");
        places
            .into_iter()
            .map(|place| std::mem::take(&mut bins[place]))
            .collect()
    } else {
        let order = match options.shuffle && options.group_by_length {
            true => grouped(order, samples, options),
            false => order,
        };
        order.into_iter().map(|place| vec![place]).collect()
    };
    Batches {
        samples,
        rows,
        batch_size: options.batch_size.max(1),
    }
}

/// Batches whose rows lie next to each other when sorted by length.
const POOL_BATCHES: usize = 50;

/// Sorts each pool of 50 batches by length, as transformers' `LengthGroupedSampler` does, and then puts the batches of a
/// pool in a random order, so that lengths do not fall from step to step. A last batch that is short stays last.
fn grouped(mut order: Vec<usize>, samples: &[Sample], options: &BatchOptions) -> Vec<usize> {
    let batch_size = options.batch_size.max(1);
    let length = |place: &usize| samples[*place].ids.len();
    let mut placed = Vec::with_capacity(order.len());
    for (number, pool) in order.chunks_mut(POOL_BATCHES * batch_size).enumerate() {
        pool.sort_by_key(|place| std::cmp::Reverse(length(place)));
        let full = pool.len() / batch_size;
        let purpose = format!("shuffle the batches of pool {number}");
        for batch in permutation(full, &purpose, options.seed, options.epoch) {
            placed.extend(&pool[batch * batch_size..(batch + 1) * batch_size]);
        }
        placed.extend(&pool[full * batch_size..]);
    }
    placed
}

impl<'a> Batches<'a> {
    /// Number of batches.
    pub fn len(&self) -> usize {
        self.rows.len().div_ceil(self.batch_size)
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.rows.is_empty()
    }

    /// The batch at a place, or none past the end.
    pub fn get(&self, at: usize) -> Option<Batch> {
        let rows = self.rows.chunks(self.batch_size).nth(at)?;
        let rows: Vec<Vec<&Sample>> = rows
            .iter()
            .map(|row| row.iter().map(|sample| &self.samples[*sample]).collect())
            .collect();
        Some(collate_packed(&rows))
    }

    /// The samples in the batch at a place, in its order.
    pub fn samples(&self, at: usize) -> Vec<&'a Sample> {
        let rows = self
            .rows
            .chunks(self.batch_size)
            .nth(at)
            .unwrap_or_default();
        let samples = self.samples;
        rows.iter().flatten().map(|it| &samples[*it]).collect()
    }

    /// The row numbers of the samples in the batch at a place.
    pub fn sample_rows(&self, at: usize) -> Vec<usize> {
        self.samples(at).iter().map(|sample| sample.row).collect()
    }

    /// All of them in order.
    pub fn iter(&self) -> impl ExactSizeIterator<Item = Batch> + '_ {
        let collate = |at| self.get(at).unwrap_or_default();
        (0..self.len()).map(collate)
    }
}

/// One sample per row.
pub fn collate(samples: &[&Sample]) -> Batch {
    let rows: Vec<Vec<&Sample>> = samples.iter().map(|sample| vec![*sample]).collect();
    collate_packed(&rows)
}

/// Several samples per row, one after the other; a sample of several conversations stays one after the other as well.
pub fn collate_packed(rows: &[Vec<&Sample>]) -> Batch {
    let length = |row: &Vec<&Sample>| row.iter().map(|sample| sample.ids.len()).sum();
    let cols: usize = rows.iter().map(length).max().unwrap_or(0);
    let cells = rows.len() * cols;
    let mut batch = Batch {
        rows: rows.len(),
        cols,
        ids: vec![0; cells],
        positions: vec![0; cells],
        segments: vec![0; cells],
        targets: vec![0; cells],
        learn: vec![false; cells],
        tokens: 0,
        learned: 0,
    };
    for (at, row) in rows.iter().enumerate() {
        let mut start = at * cols;
        let conversations = row
            .iter()
            .flat_map(|sample| sample.conversations().map(move |places| (sample, places)));
        for ((sample, places), segment) in conversations.zip(1..) {
            let length = places.len();
            batch.put(
                &sample.ids[places.clone()],
                &sample.learn[places],
                start,
                segment,
            );
            start += length;
        }
    }
    batch
}

impl Batch {
    /// Writes one conversation.
    fn put(&mut self, ids: &[u32], learn: &[bool], start: usize, segment: i32) {
        for (place, id) in ids.iter().enumerate() {
            // Vocabularies end far below 2^31.
            self.ids[start + place] = *id as i32;
            self.positions[start + place] = place as i32;
            self.segments[start + place] = segment;
        }
        for place in 1..ids.len() {
            self.targets[start + place - 1] = ids[place] as i32;
            self.learn[start + place - 1] = learn[place];
        }
        self.tokens += ids.len();
        self.learned += learn.iter().skip(1).filter(|learn| **learn).count();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn sample(row: usize, ids: &[u32], learned_from: usize) -> Sample {
        let learn = (0..ids.len()).map(|at| at >= learned_from).collect();
        Sample::new(row, ids.to_vec(), learn)
    }

    #[test]
    fn targets_are_shifted_by_one_and_padding_is_zero() {
        let batch = collate(&[&sample(0, &[5, 6, 7], 1), &sample(1, &[8, 9], 0)]);
        assert_eq!(
            (batch.rows, batch.cols, batch.tokens, batch.learned),
            (2, 3, 5, 3)
        );
        assert_eq!(batch.ids, [5, 6, 7, 8, 9, 0]);
        assert_eq!(batch.targets, [6, 7, 0, 9, 0, 0]);
        assert_eq!(batch.learn, [true, true, false, true, false, false]);
        assert_eq!(batch.positions, [0, 1, 2, 0, 1, 0]);
        assert_eq!(batch.segments, [1, 1, 1, 1, 1, 0]);
    }

    #[test]
    fn packed_conversations_do_not_predict_each_other() {
        let (one, two) = (sample(0, &[5, 6], 0), sample(1, &[7, 8, 9], 2));
        let batch = collate_packed(&[vec![&one, &two]]);
        assert_eq!(batch.segments, [1, 1, 2, 2, 2]);
        assert_eq!(batch.positions, [0, 1, 0, 1, 2]);
        assert_eq!(batch.targets, [6, 0, 8, 9, 0]);
        assert_eq!(batch.learn, [true, false, false, true, false]);
        assert_eq!(batch.learned, 2);
    }

    #[test]
    fn a_row_of_several_conversations_is_like_packed_ones() {
        let (one, two) = (sample(0, &[5, 6], 0), sample(1, &[7, 8, 9], 2));
        let mut both = sample(2, &[5, 6, 7, 8, 9], 0);
        both.learn = [one.learn.clone(), two.learn.clone()].concat();
        both.breaks = vec![2];
        let last = sample(3, &[4, 4], 1);
        assert_eq!(
            collate_packed(&[vec![&both, &last]]),
            collate_packed(&[vec![&one, &two, &last]])
        );
    }

    #[test]
    fn the_last_batch_may_be_short_and_none_follows() {
        let samples: Vec<_> = (0..5).map(|row| sample(row, &[1, 2], 0)).collect();
        let options = BatchOptions {
            batch_size: 2,
            max_length: 8,
            packing: false,
            shuffle: false,
            group_by_length: false,
            shares: Vec::new(),
            seed: 1,
            epoch: 0,
        };
        let batches = batches(&samples, &options);
        assert_eq!(batches.len(), 3);
        assert_eq!(batches.get(2).unwrap().rows, 1);
        assert_eq!(batches.get(3), None);
        assert_eq!(batches.sample_rows(1), [2, 3]);
        assert_eq!(batches.iter().map(|batch| batch.rows).sum::<usize>(), 5);
    }

    #[test]
    fn rows_of_similar_length_share_a_batch() {
        let long = |row: usize| sample(row, &vec![1; 1 + row * 37 % 100], 0);
        let samples: Vec<_> = (0..1_000).map(long).collect();
        let options = |group_by_length, epoch| BatchOptions {
            batch_size: 8,
            max_length: 128,
            packing: false,
            shuffle: true,
            group_by_length,
            shares: Vec::new(),
            seed: 1,
            epoch,
        };
        let padding = |options: &BatchOptions| {
            let batches = batches(&samples, options);
            let (cells, tokens) = batches.iter().fold((0, 0), |(cells, tokens), batch| {
                (cells + batch.ids.len(), tokens + batch.tokens)
            });
            (cells - tokens) as f64 / cells as f64
        };
        assert!(padding(&options(true, 0)) < 0.03);
        assert!(padding(&options(false, 0)) > 0.3);
        let rows = |options: &BatchOptions| -> Vec<usize> {
            let batches = batches(&samples, options);
            (0..batches.len())
                .flat_map(|at| batches.sample_rows(at))
                .collect()
        };
        let mut all = rows(&options(true, 0));
        assert_ne!(
            all,
            rows(&options(true, 1)),
            "every epoch has an order of its own"
        );
        all.sort_unstable();
        assert_eq!(all, (0..1_000).collect::<Vec<_>>());
    }
}
