//! A closed set of labels with calibrated probabilities, and the right to abstain.

use serde::{Deserialize, Serialize};

use crate::calibration::{ScoredItem, fit_temperature, likeliest, probabilities};

/// Scores of labels to a label, or to none.
///
/// # What the threshold promises
/// It is set by split-conformal prediction (Vovk, Gammerman and Shafer, Algorithmic Learning in a Random World, 2005; Lei et al. 2018) on rows that neither
/// trained the model nor set the temperature. Of rows that are exchangeable with those, at least a share of `coverage` have their right label among
/// the labels whose probability reaches the threshold. An answer is given only where exactly one label does, so at most `1 - coverage` of
/// all rows are answered wrongly. Both hold on average over rows and over draws of the calibration rows (marginally): not for each
/// label, nor among the answered rows alone, nor for rows of another kind.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Classifier {
    /// The labels, in the order of the scores.
    pub labels: Vec<String>,
    /// What the log-likelihoods are divided by before they are normalised.
    pub temperature: f64,
    /// The probability that a label has to reach. Above 1 never, so that all rows are abstained from; 0 where every label is always possible.
    pub threshold: f64,
    /// Share of rows whose right label reaches the threshold, at least.
    pub coverage: f64,
    /// Rows that set the temperature.
    pub n_temperature: usize,
    /// Rows that set the threshold.
    pub n_threshold: usize,
}

/// What a classifier says about one row.
#[derive(Clone, Debug, PartialEq)]
pub struct Decision {
    /// Number of the label; `None`: it abstains, because no label or more than one reaches the threshold.
    pub label: Option<usize>,
    /// The labels that reach the threshold, by number.
    pub possible: Vec<usize>,
    /// The likeliest label.
    pub likeliest: usize,
    /// The probability of each label.
    pub probabilities: Vec<f64>,
}

impl Classifier {
    /// Fits the temperature on some rows and the threshold on others. `coverage` is above 0 and below 1.
    ///
    /// With `n` rows for the threshold, it is the `ceil((n + 1) coverage)`-th largest probability of a right label: the correction for `n` being
    /// finite. Where `n` is smaller than that number, no threshold keeps the promise but 0.
    pub fn fit(
        labels: Vec<String>,
        for_temperature: &[ScoredItem],
        for_threshold: &[ScoredItem],
        coverage: f64,
    ) -> Self {
        let temperature = fit_temperature(for_temperature);
        let mut of_truth: Vec<f64> = for_threshold
            .iter()
            .map(|item| probabilities(&item.logprobs, temperature)[item.truth])
            .collect();
        of_truth.sort_by(|a, b| b.total_cmp(a));
        let place = rank(of_truth.len(), coverage);
        Self {
            labels,
            temperature,
            threshold: of_truth.get(place - 1).copied().unwrap_or(0.0),
            coverage,
            n_temperature: for_temperature.len(),
            n_threshold: for_threshold.len(),
        }
    }

    /// The label of one row by the log-likelihoods of all labels, in nats.
    pub fn decide(&self, logprobs: &[f64]) -> Decision {
        let probabilities = probabilities(logprobs, self.temperature);
        let possible: Vec<usize> = (0..probabilities.len())
            .filter(|label| probabilities[*label] >= self.threshold)
            .collect();
        Decision {
            label: match possible[..] {
                [label] => Some(label),
                _ => None,
            },
            possible,
            likeliest: likeliest(&probabilities),
            probabilities,
        }
    }

    /// Rows that a threshold needs at least for this coverage; fewer make it abstain from everything.
    pub fn fewest_rows(coverage: f64) -> usize {
        (1..).find(|n| rank(*n, coverage) <= *n).unwrap_or(1)
    }
}

/// Which of the probabilities, from the largest, is the threshold.
fn rank(n: usize, coverage: f64) -> usize {
    // 100 x 0.55 is 55.00000000000001 in floats: what is that near to a whole number is one.
    (((n + 1) as f64 * coverage - 1e-9).ceil() as usize).max(1)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of_truth(probability: f64) -> ScoredItem {
        ScoredItem {
            logprobs: vec![probability.ln(), (1.0 - probability).ln()],
            truth: 0,
        }
    }

    fn classifier(n: usize, coverage: f64) -> Classifier {
        let rows: Vec<_> = (1..=n).map(|i| of_truth(i as f64 / 100.0)).collect();
        Classifier::fit(vec!["a".into(), "b".into()], &[], &rows, coverage)
    }

    #[test]
    fn the_rank_is_corrected_for_few_rows() {
        // 9 rows at 90 %: the 9th largest of 9, the smallest. 8 rows cannot.
        assert!((classifier(9, 0.9).threshold - 0.01).abs() < 1e-12);
        assert_eq!(classifier(8, 0.9).threshold, 0.0);
        // 19 rows at 90 %: the 18th largest.
        assert!((classifier(19, 0.9).threshold - 0.02).abs() < 1e-12);
        assert_eq!(Classifier::fewest_rows(0.9), 9);
        assert_eq!(Classifier::fewest_rows(0.95), 19);
    }

    #[test]
    fn it_answers_where_one_label_is_possible() {
        let mut it = classifier(0, 0.9);
        it.threshold = 0.7;
        assert_eq!(it.decide(&[0.8f64.ln(), 0.2f64.ln()]).label, Some(0));
        let unsure = it.decide(&[0.4f64.ln(), 0.6f64.ln()]);
        assert_eq!((unsure.label, unsure.likeliest), (None, 1));
        assert!(unsure.possible.is_empty());
        it.threshold = 0.3;
        assert_eq!(it.decide(&[0.4f64.ln(), 0.6f64.ln()]).possible, [0, 1]);
        assert_eq!(it.decide(&[0.2f64.ln(), 0.8f64.ln()]).label, Some(1));
    }
}
