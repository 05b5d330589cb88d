//! Figures over labels, as scikit-learn computes them.

use serde::{Deserialize, Serialize};

/// How often each label was wanted, given and both: all that accuracy, F1 and Matthews' coefficient need.
///
/// A label counts where it occurs as truth or as prediction; a ratio without a denominator is 0, as with scikit-learn's `zero_division=0`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Tally {
    labels: Vec<LabelCounts>,
    n: u64,
}

/// The counts of one label.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct LabelCounts {
    /// Items whose truth and prediction are both this label.
    pub both: u64,
    /// Items whose truth it is: the support.
    pub truth: u64,
    /// Items that were given it.
    pub predicted: u64,
}

impl LabelCounts {
    /// Share of the items given this label that are of it.
    pub fn precision(self) -> f64 {
        share(self.both, self.predicted)
    }

    /// Share of the items of this label that were given it.
    pub fn recall(self) -> f64 {
        share(self.both, self.truth)
    }

    /// Harmonic mean of precision and recall.
    pub fn f1(self) -> f64 {
        share(2 * self.both, self.truth + self.predicted)
    }

    /// Whether any item has it, as truth or as prediction.
    pub fn occurs(self) -> bool {
        self.truth + self.predicted > 0
    }
}

/// Which figure over labels.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum LabelFigure {
    /// Share of items whose prediction is the truth. With one label per item, micro-averaged F1 is the same number.
    MicroF1,
    /// Unweighted mean over the labels of F1.
    MacroF1,
    /// Mean over the labels of F1, weighted by support.
    WeightedF1,
    /// F1 of label 1, where there are two.
    BinaryF1,
    /// Matthews' correlation coefficient for any number of labels (Gorodkin 2004), -1 to 1.
    Mcc,
}

impl Tally {
    /// Counts the items of `draw`, each as often as it is named. `truth` and `predicted` hold label numbers below `n_labels`.
    pub fn over(truth: &[u32], predicted: &[u32], n_labels: usize, draw: &[u32]) -> Self {
        let mut labels = vec![LabelCounts::default(); n_labels];
        for &item in draw {
            let (t, p) = (truth[item as usize], predicted[item as usize]);
            labels[t as usize].both += u64::from(t == p);
            labels[t as usize].truth += 1;
            labels[p as usize].predicted += 1;
        }
        Self {
            labels,
            n: draw.len() as u64,
        }
    }

    /// Counts all items.
    pub fn of(truth: &[u32], predicted: &[u32], n_labels: usize) -> Self {
        let all: Vec<u32> = (0..truth.len() as u32).collect();
        Self::over(truth, predicted, n_labels, &all)
    }

    /// The counts by label number.
    pub fn labels(&self) -> &[LabelCounts] {
        &self.labels
    }

    /// One figure; `NaN` without items.
    pub fn figure(&self, figure: LabelFigure) -> f64 {
        if self.n == 0 {
            return f64::NAN;
        }
        match figure {
            LabelFigure::MicroF1 => share(self.correct(), self.n),
            LabelFigure::MacroF1 => self.macro_f1(),
            LabelFigure::WeightedF1 => {
                let sum = self.labels.iter().map(|it| it.truth as f64 * it.f1());
                sum.sum::<f64>() / self.n as f64
            }
            LabelFigure::BinaryF1 => self.labels.get(1).map_or(0.0, |label| label.f1()),
            LabelFigure::Mcc => self.mcc(),
        }
    }

    fn correct(&self) -> u64 {
        self.labels.iter().map(|label| label.both).sum()
    }

    fn macro_f1(&self) -> f64 {
        let (sum, labels) = self
            .labels
            .iter()
            .filter(|label| label.occurs())
            .fold((0.0, 0.0), |(sum, n), label| (sum + label.f1(), n + 1.0));
        sum / labels
    }

    /// 0 where the truth, or the predictions, are all one label.
    fn mcc(&self) -> f64 {
        let n = self.n as f64;
        let dot = |of: fn(&LabelCounts) -> f64| self.labels.iter().map(of).sum::<f64>();
        let chance = dot(|it| it.truth as f64 * it.predicted as f64);
        let of_truth = n * n - dot(|it| (it.truth as f64).powi(2));
        let of_predicted = n * n - dot(|it| (it.predicted as f64).powi(2));
        let spread = (of_truth * of_predicted).sqrt();
        match spread > 0.0 {
            true => (self.correct() as f64 * n - chance) / spread,
            false => 0.0,
        }
    }
}

/// Wrong answers by what was wanted and what was given.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Confused {
    /// The wanted label.
    pub truth: u32,
    /// The label that was given.
    pub predicted: u32,
    /// How often.
    pub n: u64,
}

/// The confusion matrix, `[truth][predicted]`.
pub fn confusion(truth: &[u32], predicted: &[u32], n_labels: usize) -> Vec<Vec<u64>> {
    let mut matrix = vec![vec![0; n_labels]; n_labels];
    for (t, p) in truth.iter().zip(predicted) {
        matrix[*t as usize][*p as usize] += 1;
    }
    matrix
}

/// Pairs of different labels that occur in a confusion matrix, the most frequent first; of equal ones, in the order of labels.
pub fn most_confused(matrix: &[Vec<u64>]) -> Vec<Confused> {
    let mut pairs: Vec<Confused> = Vec::new();
    for (truth, row) in matrix.iter().enumerate() {
        for (predicted, &n) in row.iter().enumerate() {
            if truth != predicted && n > 0 {
                pairs.push(Confused {
                    truth: truth as u32,
                    predicted: predicted as u32,
                    n,
                });
            }
        }
    }
    pairs.sort_by_key(|pair| std::cmp::Reverse(pair.n));
    pairs
}

fn share(part: u64, whole: u64) -> f64 {
    match whole {
        0 => 0.0,
        _ => part as f64 / whole as f64,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn labels_that_no_item_touches_do_not_count() {
        // f1_score(["a","a","b","b","c","d"], ["a","b","b","b","a","e"], average="macro") = 0.26, scikit-learn 1.9.1.
        // By hand: F1 = a 2/4, b 4/5, c 0, d 0, e 0; mean of five = 0.26.
        let (truth, predicted) = ([0, 0, 1, 1, 2, 3], [0, 1, 1, 1, 0, 4]);
        let all = Tally::of(&truth, &predicted, 5);
        assert!((all.figure(LabelFigure::MacroF1) - 0.26).abs() < 1e-12);
        // a alone is right here.
        let some = Tally::over(&truth, &predicted, 5, &[0, 0]);
        assert_eq!(some.figure(LabelFigure::MacroF1), 1.0);
        let none = Tally::over(&truth, &predicted, 5, &[]);
        assert!(none.figure(LabelFigure::Mcc).is_nan());
    }

    /// `f1_score([1, 0, 1, 1, 0], [1, 1, 0, 1, 0])` and `f1_score([0], [0])`, scikit-learn 1.9.
    #[test]
    fn of_two_labels_the_second_is_looked_for() {
        let f1 = Tally::of(&[1, 0, 1, 1, 0], &[1, 1, 0, 1, 0], 2).figure(LabelFigure::BinaryF1);
        assert!((f1 - 2.0 / 3.0).abs() < 1e-15);
        assert_eq!(Tally::of(&[0], &[0], 1).figure(LabelFigure::BinaryF1), 0.0);
    }

    #[test]
    fn the_most_confused_come_first() {
        let matrix = confusion(&[0, 0, 0, 1, 2], &[1, 1, 0, 2, 2], 3);
        assert_eq!(matrix, [[1, 2, 0], [0, 0, 1], [0, 0, 1]]);
        let pairs: Vec<_> = most_confused(&matrix)
            .iter()
            .map(|it| (it.truth, it.predicted, it.n))
            .collect();
        assert_eq!(pairs, [(0, 1, 2), (1, 2, 1)]);
    }
}
