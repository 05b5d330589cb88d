//! What a metric observes on each item, and how the observations become one figure with an interval.

use serde::{Deserialize, Serialize};

use crate::bleu::BleuCounts;
use crate::calibration::{Confidence, calibration_error};
use crate::chrf::ChrfCounts;
use crate::classification::{LabelFigure, Tally};
use crate::statistics::{Interval, bootstrap, wilson};

/// How an interval was found.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Method {
    /// Wilson's score interval of a proportion.
    Wilson,
    /// The percentile bootstrap over items.
    Bootstrap,
    /// Newcombe's score interval of a difference of proportions on the same items.
    Newcombe,
    /// The percentile bootstrap over items, both models on the same resamples.
    PairedBootstrap,
}

/// The observations of one metric, one per item.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Series {
    /// Right or wrong; the figure is the share of right ones.
    Proportion(#[serde(with = "crate::bits")] Vec<bool>),
    /// `[numerator, denominator]`; the figure is the ratio of the sums.
    Ratio(Vec<[f64; 2]>),
    /// As `Ratio`; the figure is `exp` of it.
    ExpRatio(Vec<[f64; 2]>),
    /// The figure is the middle one; of an even number the upper of the two, as lm-evaluation-harness takes it.
    Median(Vec<f64>),
    /// The figure is BLEU of the summed counts.
    Bleu(Vec<BleuCounts>),
    /// The figure is chrF of the summed counts.
    Chrf(Vec<ChrfCounts>),
    /// The figure is the expected calibration error.
    Confidence(Vec<Confidence>),
    /// Label numbers, and which figure over them.
    Labels {
        /// The figure.
        figure: LabelFigure,
        /// The wanted label of each item.
        truth: Vec<u32>,
        /// The label that the model gave.
        predicted: Vec<u32>,
        /// How many labels there are.
        n_labels: usize,
    },
}

impl Series {
    /// Number of items.
    pub fn n(&self) -> usize {
        match self {
            Self::Proportion(right) => right.len(),
            Self::Ratio(pairs) | Self::ExpRatio(pairs) => pairs.len(),
            Self::Median(values) => values.len(),
            Self::Bleu(counts) => counts.len(),
            Self::Chrf(counts) => counts.len(),
            Self::Confidence(items) => items.len(),
            Self::Labels { truth, .. } => truth.len(),
        }
    }

    /// The figure over the items of `draw`, each as often as it is named.
    pub fn value_over(&self, draw: &[u32]) -> f64 {
        match self {
            Self::Proportion(right) => {
                draw.iter().filter(|i| right[**i as usize]).count() as f64 / draw.len() as f64
            }
            Self::Ratio(pairs) => ratio(pairs, draw),
            Self::ExpRatio(pairs) => ratio(pairs, draw).exp(),
            Self::Median(values) => {
                let mut drawn: Vec<f64> = draw.iter().map(|i| values[*i as usize]).collect();
                drawn.sort_by(f64::total_cmp);
                drawn.get(drawn.len() / 2).copied().unwrap_or(f64::NAN)
            }
            Self::Bleu(counts) => {
                let mut sum = BleuCounts::default();
                draw.iter().for_each(|i| sum.add(&counts[*i as usize]));
                sum.corpus()
            }
            Self::Chrf(counts) => {
                let mut sum = ChrfCounts::default();
                draw.iter().for_each(|i| sum.add(&counts[*i as usize]));
                sum.score()
            }
            Self::Confidence(items) => calibration_error(items, draw),
            Self::Labels {
                figure,
                truth,
                predicted,
                n_labels,
            } => Tally::over(truth, predicted, *n_labels, draw).figure(*figure),
        }
    }

    /// The observations of some items alone, in the order given.
    pub fn of_items(&self, items: &[u32]) -> Self {
        fn pick<T: Copy>(from: &[T], items: &[u32]) -> Vec<T> {
            items.iter().map(|i| from[*i as usize]).collect()
        }
        match self {
            Self::Proportion(it) => Self::Proportion(pick(it, items)),
            Self::Ratio(it) => Self::Ratio(pick(it, items)),
            Self::ExpRatio(it) => Self::ExpRatio(pick(it, items)),
            Self::Median(it) => Self::Median(pick(it, items)),
            Self::Bleu(it) => Self::Bleu(pick(it, items)),
            Self::Chrf(it) => Self::Chrf(pick(it, items)),
            Self::Confidence(it) => Self::Confidence(pick(it, items)),
            Self::Labels {
                figure,
                truth,
                predicted,
                n_labels,
            } => Self::Labels {
                figure: *figure,
                truth: pick(truth, items),
                predicted: pick(predicted, items),
                n_labels: *n_labels,
            },
        }
    }

    /// The observations of this one, then those of another; `None` where they are of two kinds.
    pub fn followed_by(&self, other: &Self) -> Option<Self> {
        fn join<T: Clone>(a: &[T], b: &[T]) -> Vec<T> {
            [a, b].concat()
        }
        Some(match (self, other) {
            (Self::Proportion(a), Self::Proportion(b)) => Self::Proportion(join(a, b)),
            (Self::Ratio(a), Self::Ratio(b)) => Self::Ratio(join(a, b)),
            (Self::ExpRatio(a), Self::ExpRatio(b)) => Self::ExpRatio(join(a, b)),
            (Self::Median(a), Self::Median(b)) => Self::Median(join(a, b)),
            (Self::Bleu(a), Self::Bleu(b)) => Self::Bleu(join(a, b)),
            (Self::Chrf(a), Self::Chrf(b)) => Self::Chrf(join(a, b)),
            (Self::Confidence(a), Self::Confidence(b)) => Self::Confidence(join(a, b)),
            (
                Self::Labels {
                    figure,
                    truth,
                    predicted,
                    n_labels,
                },
                Self::Labels {
                    figure: other,
                    truth: others,
                    predicted: given,
                    n_labels: labels,
                },
            ) if figure == other => Self::Labels {
                figure: *figure,
                truth: join(truth, others),
                predicted: join(predicted, given),
                n_labels: *n_labels.max(labels),
            },
            _ => return None,
        })
    }

    /// The figure over all items; `NaN` without items.
    pub fn value(&self) -> f64 {
        self.value_over(&(0..self.n() as u32).collect::<Vec<_>>())
    }

    /// The 95 % interval of the figure, and how it was found.
    pub fn interval(&self, seed: u64) -> (Interval, Method) {
        match self {
            Self::Proportion(right) => {
                let successes = right.iter().filter(|right| **right).count();
                (wilson(successes, right.len()), Method::Wilson)
            }
            _ => {
                let interval = bootstrap(self.n(), seed, |draw| self.value_over(draw));
                (interval, Method::Bootstrap)
            }
        }
    }
}

fn ratio(pairs: &[[f64; 2]], draw: &[u32]) -> f64 {
    let [numerator, denominator] = draw.iter().fold([0.0, 0.0], |[a, b], i| {
        let [x, y] = pairs[*i as usize];
        [a + x, b + y]
    });
    numerator / denominator
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn figures_by_hand() {
        let right = Series::Proportion(vec![true, false, true, true]);
        assert_eq!(right.value(), 0.75);
        assert_eq!(right.value_over(&[1, 1, 0, 2]), 0.5);
        assert_eq!(right.of_items(&[1, 2]).value(), 0.5);
        // 6 nats over 4 tokens: not the mean of 2/1 and 4/3.
        let nats = vec![[2.0, 1.0], [4.0, 3.0]];
        assert_eq!(Series::Ratio(nats.clone()).value(), 1.5);
        assert_eq!(Series::ExpRatio(nats).value(), 1.5f64.exp());
        let middle = Series::Median(vec![3.0, 1.0, 2.0, 7.0]);
        assert_eq!(middle.value(), 3.0);
        assert_eq!(middle.value_over(&[1, 1, 3]), 1.0);
        let both = right.followed_by(&Series::Proportion(vec![false]));
        assert_eq!(both.map(|it| it.value()), Some(0.6));
        assert_eq!(right.followed_by(&middle), None);
    }

    #[test]
    fn a_proportion_has_a_wilson_interval_and_all_else_a_bootstrap() {
        let right = Series::Proportion(vec![true; 10]);
        let (interval, method) = right.interval(1);
        assert_eq!(method, Method::Wilson);
        assert!((interval.low - 0.7224672001371106).abs() < 1e-12);
        let nats = Series::Ratio((0..40).map(|i| [f64::from(i % 5), 1.0]).collect());
        let (interval, method) = nats.interval(1);
        assert_eq!(method, Method::Bootstrap);
        assert!(interval.low < 2.0 && 2.0 < interval.high, "{interval:?}");
    }
}
