//! A closed set of labels with calibrated probabilities, and the right to abstain.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use crate::calibration::{ScoredItem, fit_temperature, likeliest, probabilities};

/// `classifier.json`: the classifiers that are shipped with a model.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct ClassifierFile {
    /// Version of this form: 1.
    pub format: u32,
    /// What the thresholds promise, in words.
    pub promise: String,
    /// SHA-256 of the chat template that the prompts were written with; none where the model has no template.
    pub template_sha256: Option<String>,
    /// The classifiers by the name of their task.
    pub tasks: BTreeMap<String, Classifier>,
}

impl ClassifierFile {
    /// The version that is written.
    pub const FORMAT: u32 = 1;
    /// What is written as the promise.
    pub const PROMISE: &str = "of rows like those that set the threshold, on average at least a share of `coverage` is answered rightly or not at all";
    /// The file's name.
    pub const NAME: &str = "classifier.json";
}

/// Scores of labels to a label, or to none.
///
/// # What the threshold promises
/// It is set by split-conformal prediction (Vovk, Gammerman and Shafer, Algorithmic Learning in a Random World, 2005; Lei et al. 2018) on rows that neither
/// trained the model nor set the temperature. Of rows that are exchangeable with those, at least a share of `coverage` is answered rightly or not at all, so at
/// most `1 - coverage` of all rows is answered wrongly. It holds on average over rows and over draws of the calibration rows (marginally): not for
/// each label, nor among the answered rows alone, nor for rows of another kind.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Classifier {
    /// The labels, in the order of the scores.
    pub labels: Vec<String>,
    /// What the log-likelihoods are divided by before they are normalised.
    pub temperature: f64,
    /// The likeliest label is the answer where its probability is above this: 0 answers always, 1 never.
    pub threshold: f64,
    /// Share of rows, at least, that is answered rightly or not at all.
    pub coverage: f64,
    /// Rows that set the temperature.
    pub n_temperature: usize,
    /// Rows that set the threshold.
    pub n_threshold: usize,
}

/// What a classifier says about one row.
#[derive(Clone, Debug, PartialEq)]
pub struct Decision {
    /// Number of the label; `None`: it abstains.
    pub label: Option<usize>,
    /// The likeliest label, also where it abstains.
    pub likeliest: usize,
    /// The probability of each label.
    pub probabilities: Vec<f64>,
}

impl Classifier {
    /// Fits the temperature on some rows and the threshold on others. `coverage` is above 0 and below 1.
    ///
    /// A row's conformal score is the probability of its likeliest label where that is wrong, else 0: a threshold that is not below the score covers the row.
    /// With `n` rows it is the `ceil((n + 1) coverage)`-th smallest score, which corrects for `n` being finite; where `n` is smaller
    /// than that number, nothing is answered.
    pub fn fit(
        labels: Vec<String>,
        for_temperature: &[ScoredItem],
        for_threshold: &[ScoredItem],
        coverage: f64,
    ) -> Self {
        let temperature = fit_temperature(for_temperature);
        let mut scores: Vec<f64> = for_threshold
            .iter()
            .map(|item| match item.confidence(temperature) {
                answer if answer.right => 0.0,
                answer => answer.probability,
            })
            .collect();
        scores.sort_by(f64::total_cmp);
        let place = rank(scores.len(), coverage);
        Self {
            labels,
            temperature,
            threshold: scores.get(place - 1).copied().unwrap_or(1.0),
            coverage,
            n_temperature: for_temperature.len(),
            n_threshold: for_threshold.len(),
        }
    }

    /// The label of one row by the log-likelihoods of all labels, in nats.
    pub fn decide(&self, logprobs: &[f64]) -> Decision {
        let probabilities = probabilities(logprobs, self.temperature);
        let likeliest = likeliest(&probabilities);
        let is_sure = probabilities
            .get(likeliest)
            .is_some_and(|p| *p > self.threshold);
        Decision {
            label: is_sure.then_some(likeliest),
            likeliest,
            probabilities,
        }
    }

    /// Rows that a threshold needs at least for this coverage; with fewer, nothing is answered.
    pub fn fewest_rows(coverage: f64) -> usize {
        (1..).find(|n| rank(*n, coverage) <= *n).unwrap_or(1)
    }
}

/// Which of the scores, from the smallest, is the threshold.
fn rank(n: usize, coverage: f64) -> usize {
    // 100 x 0.55 is 55.00000000000001 in floats: what is that near to a whole number is one.
    (((n + 1) as f64 * coverage - 1e-9).ceil() as usize).max(1)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// An item whose likeliest label, the first, has this probability.
    fn item(probability: f64, truth: usize) -> ScoredItem {
        ScoredItem {
            logprobs: vec![probability.ln(), (1.0 - probability).ln()],
            truth,
        }
    }

    /// Of rows that are all wrong with 0.51, 0.52 and so on.
    fn classifier(n: usize, coverage: f64) -> Classifier {
        let rows: Vec<_> = (1..=n).map(|i| item(0.5 + i as f64 / 100.0, 1)).collect();
        Classifier::fit(vec!["a".into(), "b".into()], &[], &rows, coverage)
    }

    #[test]
    fn the_rank_is_corrected_for_few_rows() {
        // 9 rows at 90 %: the 9th of 9. 8 rows cannot.
        assert!((classifier(9, 0.9).threshold - 0.59).abs() < 1e-12);
        assert_eq!(classifier(8, 0.9).threshold, 1.0);
        // 19 rows at 90 %: the 18th.
        assert!((classifier(19, 0.9).threshold - 0.68).abs() < 1e-12);
        assert_eq!(Classifier::fewest_rows(0.9), 9);
        assert_eq!(Classifier::fewest_rows(0.95), 19);
    }

    #[test]
    fn what_is_right_often_enough_is_always_answered() {
        let mut rows = vec![item(0.8, 0); 18];
        rows.push(item(0.9, 1));
        let it = Classifier::fit(vec!["a".into(), "b".into()], &[], &rows, 0.9);
        assert_eq!(it.threshold, 0.0);
        assert_eq!(it.decide(&[0.5f64.ln(), 0.5f64.ln()]).label, Some(0));
    }

    #[test]
    fn it_answers_above_the_threshold() {
        let it = classifier(9, 0.9);
        let decide = |p: f64| it.decide(&[(1.0 - p).ln(), p.ln()]);
        assert_eq!(decide(0.6).label, Some(1));
        let unsure = decide(0.58);
        assert_eq!((unsure.label, unsure.likeliest), (None, 1));
        assert!((unsure.probabilities[1] - 0.58).abs() < 1e-12);
        assert_eq!(classifier(8, 0.9).decide(&[0.0, -900.0]).label, None);
    }
}
