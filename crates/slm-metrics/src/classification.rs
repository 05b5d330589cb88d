//! Figures over labels.

/// The unweighted mean over labels of F1, as scikit-learn's `f1_score(average="macro")`.
///
/// The labels are those that occur, as truth or as prediction, among the items of `draw`; a label that is never right has F1 = 0. `truth` and
/// `predicted` hold label numbers below `n_labels`. `NaN` without items.
pub fn macro_f1(truth: &[u32], predicted: &[u32], n_labels: usize, draw: &[u32]) -> f64 {
    // Per label: items that are both, truth, predicted.
    let mut counts = vec![[0u32; 3]; n_labels];
    for &item in draw {
        let (t, p) = (
            truth[item as usize] as usize,
            predicted[item as usize] as usize,
        );
        counts[t][0] += u32::from(t == p);
        counts[t][1] += 1;
        counts[p][2] += 1;
    }
    let (sum, labels) = counts
        .iter()
        .filter(|[_, truth, predicted]| truth + predicted > 0)
        .fold((0.0, 0.0), |(sum, labels), [both, truth, predicted]| {
            (
                sum + 2.0 * f64::from(*both) / f64::from(truth + predicted),
                labels + 1.0,
            )
        });
    sum / labels
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn agrees_with_scikit_learn() {
        // f1_score(["a","a","b","b","c","d"], ["a","b","b","b","a","e"], average="macro") = 0.26, scikit-learn 1.9.1.
        // By hand: F1 = a 2/4, b 4/5, c 0, d 0, e 0; mean of five = 0.26.
        let (truth, predicted) = ([0, 0, 1, 1, 2, 3], [0, 1, 1, 1, 0, 4]);
        let all: Vec<u32> = (0..6).collect();
        assert!((macro_f1(&truth, &predicted, 5, &all) - 0.26).abs() < 1e-12);
        // A label that no item of the draw touches does not count: a alone is right here.
        assert_eq!(macro_f1(&truth, &predicted, 5, &[0, 0]), 1.0);
        assert!(macro_f1(&truth, &predicted, 5, &[]).is_nan());
    }
}
