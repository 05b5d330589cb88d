use std::collections::BTreeMap;

use serde::Serialize;

use crate::outline::{Outline, Outlined};
use crate::sample::Answer;
use crate::side::Side;

/// Bins of a histogram.
const BINS: usize = 16;

/// What the rows of a folder of shards look like in numbers.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Stats {
    /// Rows to learn from.
    pub train: SideStats,
    /// Rows that are held out.
    pub validation: SideStats,
    /// Rows that are held out for the tasks; none where there are none.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub test: Option<SideStats>,
    /// How often each target occurs in the training rows; empty where there are too many to be labels.
    pub targets: BTreeMap<String, usize>,
    /// Distinct targets of the training rows.
    pub distinct_targets: usize,
}

/// The lengths of one side.
#[derive(Clone, Debug, Default, PartialEq, Serialize)]
pub struct SideStats {
    /// Number of rows.
    pub rows: usize,
    /// Tokens in all.
    pub tokens: usize,
    /// Tokens that a model is asked to predict.
    pub learned_tokens: usize,
    /// `learned_tokens` / `tokens`; none without tokens.
    pub learned_share: Option<f64>,
    /// Tokens per row; none without rows.
    pub lengths: Option<Lengths>,
    /// Rows by length, in equal bins from the shortest to the longest; each answer of a row for itself.
    pub histogram: Vec<Bin>,
    /// Tokens per chosen answer with its prompt; none without judged answers.
    pub chosen: Option<Lengths>,
    /// Tokens per rejected answer with its prompt.
    pub rejected: Option<Lengths>,
}

/// Tokens per row. A percentile is the smallest length that at least that share of the rows does not exceed.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Lengths {
    /// Shortest row.
    pub min: usize,
    /// Mean.
    pub mean: f64,
    /// Median.
    pub p50: usize,
    /// 90th percentile.
    pub p90: usize,
    /// 95th percentile.
    pub p95: usize,
    /// 99th percentile.
    pub p99: usize,
    /// Longest row.
    pub max: usize,
}

/// Rows whose length is in `from..=to`.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Bin {
    /// Smallest length.
    pub from: usize,
    /// Largest length.
    pub to: usize,
    /// Rows in it.
    pub rows: usize,
}

impl Stats {
    /// Counts the rows of a prepared folder.
    pub fn of(outline: &Outline) -> Self {
        let manifest = outline.manifest();
        Self {
            train: SideStats::of(outline.side(Side::Train)),
            validation: SideStats::of(outline.side(Side::Validation)),
            test: match outline.side(Side::Test) {
                [] => None,
                rows => Some(SideStats::of(rows)),
            },
            targets: manifest.targets.clone(),
            distinct_targets: manifest.distinct_targets,
        }
    }

    /// Training and held-out rows, and those of the test if there are any.
    pub fn sides(&self) -> impl Iterator<Item = (Side, &SideStats)> {
        let both = [
            (Side::Train, &self.train),
            (Side::Validation, &self.validation),
        ];
        both.into_iter()
            .chain(self.test.iter().map(|test| (Side::Test, test)))
    }
}

impl SideStats {
    /// Counts the rows of one side.
    pub fn of(samples: &[Outlined]) -> Self {
        let lengths = lengths_of(samples.iter());
        let tokens: usize = lengths.iter().sum();
        let of = |answer| {
            let lengths = lengths_of(samples.iter().filter(|sample| sample.answer() == answer));
            Lengths::of(&lengths, lengths.iter().sum())
        };
        let learned_tokens: usize = samples.iter().map(Outlined::learned).sum();
        Self {
            rows: samples.chunk_by(|a, b| a.row() == b.row()).count(),
            tokens,
            learned_tokens,
            learned_share: (tokens > 0).then(|| learned_tokens as f64 / tokens as f64),
            lengths: Lengths::of(&lengths, tokens),
            histogram: histogram(&lengths),
            chosen: of(Answer::Chosen),
            rejected: of(Answer::Rejected),
        }
    }
}

fn lengths_of<'a>(samples: impl Iterator<Item = &'a Outlined>) -> Vec<usize> {
    let mut lengths: Vec<usize> = samples.map(Outlined::tokens).collect();
    lengths.sort_unstable();
    lengths
}

impl Lengths {
    fn of(sorted: &[usize], tokens: usize) -> Option<Self> {
        let (min, max) = (*sorted.first()?, *sorted.last()?);
        let percentile = |percent: usize| sorted[(sorted.len() * percent).div_ceil(100).max(1) - 1];
        Some(Self {
            min,
            mean: tokens as f64 / sorted.len() as f64,
            p50: percentile(50),
            p90: percentile(90),
            p95: percentile(95),
            p99: percentile(99),
            max,
        })
    }
}

fn histogram(sorted: &[usize]) -> Vec<Bin> {
    let (Some(&min), Some(&max)) = (sorted.first(), sorted.last()) else {
        return Vec::new();
    };
    let width = (max - min + 1).div_ceil(BINS);
    let bins = (max - min + 1).div_ceil(width);
    let mut bins: Vec<Bin> = (0..bins)
        .map(|bin| Bin {
            from: min + bin * width,
            to: (min + (bin + 1) * width - 1).min(max),
            rows: 0,
        })
        .collect();
    for length in sorted {
        bins[(length - min) / width].rows += 1;
    }
    bins
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::sample::Sample;

    fn sample(length: usize, learned: usize) -> Outlined {
        let learn = (0..length).map(|at| at + learned >= length).collect();
        Outlined::of(&Sample::new(length, vec![1; length], learn))
    }

    #[test]
    fn lengths_by_hand() {
        let samples: Vec<_> = (1..=100)
            .map(|length| sample(length, 1.min(length - 1)))
            .collect();
        let stats = SideStats::of(&samples);
        assert_eq!(
            (stats.rows, stats.tokens, stats.learned_tokens),
            (100, 5050, 99)
        );
        assert_eq!(stats.learned_share, Some(99.0 / 5050.0));
        let lengths = stats.lengths.unwrap();
        assert_eq!(
            (
                lengths.min,
                lengths.p50,
                lengths.p90,
                lengths.p99,
                lengths.max
            ),
            (1, 50, 90, 99, 100)
        );
        assert_eq!(lengths.mean, 50.5);
        assert_eq!(stats.histogram.len(), 15);
        assert_eq!(
            stats.histogram[0],
            Bin {
                from: 1,
                to: 7,
                rows: 7
            }
        );
        assert_eq!(
            stats.histogram[14],
            Bin {
                from: 99,
                to: 100,
                rows: 2
            }
        );
    }

    #[test]
    fn no_rows_have_no_lengths() {
        assert_eq!(SideStats::of(&[]), SideStats::default());
        assert_eq!(
            histogram(&[5, 5]),
            [Bin {
                from: 5,
                to: 5,
                rows: 2
            }]
        );
    }
}
