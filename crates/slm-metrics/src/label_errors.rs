//! Labels that are likely wrong, by what a classifier that did not learn from them thinks of them.

use serde::{Deserialize, Serialize};

use crate::calibration::likeliest;

/// Taken off a threshold, so that a probability that equals it by more than its last digits reaches it; that of cleanlab 2.
const ROUNDING: f64 = 1e-6;

/// An item whose label is likely wrong.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct LabelError {
    /// Number of the item.
    pub item: usize,
    /// The label that it has.
    pub given: usize,
    /// The label that it likely should have.
    pub suggested: usize,
    /// Probability of the label that it has.
    pub confidence: f64,
    /// Probability of the label that it likely should have.
    pub suggested_confidence: f64,
}

/// What confident learning says of labelled items.
#[derive(Clone, Debug, PartialEq)]
pub struct ConfidentLearning {
    /// Mean probability of each label over the items that have it; 1 of labels that no item has, which none is then taken for.
    pub thresholds: Vec<f64>,
    /// The confident joint: items by the label that they have and the label that they likely should have. Items that are
    /// sure of none are not counted.
    pub joint: Vec<Vec<usize>>,
    /// The items off its diagonal, but for those whose own label is the likeliest; the least probable label first.
    pub errors: Vec<LabelError>,
}

impl ConfidentLearning {
    /// Looks for label errors by the confident joint of Northcutt, Jiang and Chuang, Confident Learning: Estimating Uncertainty in
    /// Dataset Labels, JAIR 70 (2021).
    ///
    /// An item is sure of the labels whose probability reaches their mean over the items that have them: a label that is rarely
    /// probable asks for less. Of several such labels the likeliest of all counts, as in the authors' cleanlab.
    ///
    /// `probabilities`: for each item, those of the labels `0..n_labels`; `given`: its label. Both have to come from a model that
    /// did not learn from these items, or errors that it has learned by heart are not found.
    ///
    /// # Panics
    /// When an item has another number of probabilities than `n_labels`, or a label beyond them.
    pub fn of(probabilities: &[Vec<f64>], given: &[usize], n_labels: usize) -> Self {
        assert_eq!(probabilities.len(), given.len(), "a label for each item");
        let (mut sums, mut counts) = (vec![0.0; n_labels], vec![0usize; n_labels]);
        for (of_item, label) in probabilities.iter().zip(given) {
            assert_eq!(of_item.len(), n_labels, "a probability for each label");
            sums[*label] += of_item[*label];
            counts[*label] += 1;
        }
        let mean = |(sum, count): (&f64, &usize)| match count {
            0 => 1.0,
            _ => sum / *count as f64,
        };
        let thresholds: Vec<f64> = sums.iter().zip(&counts).map(mean).collect();
        let mut joint = vec![vec![0; n_labels]; n_labels];
        let mut errors = Vec::new();
        for (item, (of_item, given)) in probabilities.iter().zip(given).enumerate() {
            let reached = |label: &usize| {
                counts[*label] > 0 && of_item[*label] >= thresholds[*label] - ROUNDING
            };
            let mut sure = (0..n_labels).filter(reached);
            let (first, more) = (sure.next(), sure.next());
            let Some(first) = first else { continue };
            let suggested = match more {
                None => first,
                Some(_) => likeliest(of_item),
            };
            joint[*given][suggested] += 1;
            if suggested != *given && likeliest(of_item) != *given {
                errors.push(LabelError {
                    item,
                    given: *given,
                    suggested,
                    confidence: of_item[*given],
                    suggested_confidence: of_item[suggested],
                });
            }
        }
        errors.sort_by(|a, b| a.confidence.total_cmp(&b.confidence));
        Self {
            thresholds,
            joint,
            errors,
        }
    }

    /// Pairs of labels, the given and the suggested one, by how often the one is likely meant where the other stands.
    pub fn pairs(&self) -> Vec<(usize, usize, usize)> {
        let n = self.joint.len();
        let mut counts = vec![vec![0; n]; n];
        for error in &self.errors {
            counts[error.given][error.suggested] += 1;
        }
        let all = counts.iter().enumerate();
        let pairs = all.flat_map(|(given, row)| {
            let row = row.iter().enumerate();
            row.map(move |(suggested, count)| (given, suggested, *count))
        });
        let mut pairs: Vec<_> = pairs.filter(|(_, _, count)| *count > 0).collect();
        pairs.sort_by_key(|(_, _, count)| std::cmp::Reverse(*count));
        pairs
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_label_by_hand() {
        // Mean of label 0: (0.9 + 0.8 + 0.1) / 3 = 0.6; of label 1: (0.7 + 0.6) / 2 = 0.65.
        let probabilities = [
            vec![0.9, 0.1],
            vec![0.8, 0.2],
            vec![0.1, 0.9],
            vec![0.3, 0.7],
            vec![0.4, 0.6],
        ];
        let found = ConfidentLearning::of(&probabilities, &[0, 0, 0, 1, 1], 2);
        assert!((found.thresholds[0] - 0.6).abs() < 1e-12);
        assert!((found.thresholds[1] - 0.65).abs() < 1e-12);
        // The last item is sure of nothing.
        assert_eq!(found.joint, [[2, 1], [0, 1]]);
        assert_eq!(
            found.errors,
            [LabelError {
                item: 2,
                given: 0,
                suggested: 1,
                confidence: 0.1,
                suggested_confidence: 0.9
            }]
        );
        assert_eq!(found.pairs(), [(0, 1, 1)]);
    }

    #[test]
    fn a_label_that_no_item_has_is_suggested_for_none() {
        let probabilities = [vec![0.2, 0.1, 0.7], vec![0.3, 0.6, 0.1]];
        let found = ConfidentLearning::of(&probabilities, &[0, 1], 3);
        assert_eq!(found.thresholds[2], 1.0);
        assert!(found.errors.is_empty());
        let none = ConfidentLearning::of(&[], &[], 2);
        assert!(none.errors.is_empty());
    }
}
