//! F1 of two classes and Matthews' correlation, from `[truth, answer]` pairs.

use std::collections::BTreeMap;

/// F1 of class 1, as scikit-learn's `f1_score` computes it: 0 where there is nothing of it.
pub(crate) fn binary_f1(pairs: impl Iterator<Item = [usize; 2]>) -> f64 {
    let (mut both, mut one) = (0.0, 0.0);
    for [truth, answer] in pairs {
        both += 2.0 * f64::from(u8::from(truth == 1 && answer == 1));
        one += f64::from(u8::from(truth == 1)) + f64::from(u8::from(answer == 1));
    }
    if one == 0.0 { 0.0 } else { both / one }
}

/// Matthews' correlation of any number of classes, as scikit-learn's `matthews_corrcoef` computes it: 0 where one side has one class.
pub(crate) fn matthews(pairs: impl Iterator<Item = [usize; 2]>) -> f64 {
    let mut counts: BTreeMap<usize, [f64; 2]> = BTreeMap::new();
    let (mut right, mut n) = (0.0, 0.0);
    for [truth, answer] in pairs {
        counts.entry(truth).or_default()[0] += 1.0;
        counts.entry(answer).or_default()[1] += 1.0;
        right += f64::from(u8::from(truth == answer));
        n += 1.0;
    }
    let sum = |of: &dyn Fn([f64; 2]) -> f64| counts.values().map(|pair| of(*pair)).sum::<f64>();
    let covariance = right * n - sum(&|[truth, answer]| truth * answer);
    let spread =
        (n * n - sum(&|[truth, _]| truth * truth)) * (n * n - sum(&|[_, answer]| answer * answer));
    if spread == 0.0 {
        0.0
    } else {
        covariance / spread.sqrt()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Expected values from scikit-learn 1.9.
    #[test]
    fn as_scikit_learn() {
        let pairs = [[1, 1], [0, 1], [1, 0], [1, 1], [0, 0]];
        assert!((binary_f1(pairs.into_iter()) - 2.0 / 3.0).abs() < 1e-15);
        assert!((matthews(pairs.into_iter()) - 0.16666666666666666).abs() < 1e-15);
        let three = [[0, 0], [1, 2], [2, 2], [2, 0], [1, 1], [0, 1]];
        assert!((matthews(three.into_iter()) - 0.25).abs() < 1e-15);
        assert_eq!(matthews([[1, 1], [1, 1]].into_iter()), 0.0);
        assert_eq!(binary_f1([[0, 0]].into_iter()), 0.0);
    }
}
