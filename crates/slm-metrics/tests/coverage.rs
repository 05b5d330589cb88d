//! The promises of a classifier, over many experiments.

use slm_metrics::{Classifier, ScoredItem};

const LABELS: usize = 6;
const EXPERIMENTS: usize = 2_000;
const TEST_ROWS: usize = 40;

/// A stream of numbers in `[0, 1)` (SplitMix64; Steele, Lea and Flood 2014).
struct Uniform(u64);

impl Uniform {
    fn draw(&mut self) -> f64 {
        self.0 = self.0.wrapping_add(0x9E37_79B9_7F4A_7C15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
        ((z ^ (z >> 31)) >> 11) as f64 / (1u64 << 53) as f64
    }

    /// Gumbel noise: the largest of scores plus this is a draw from their softmax (Gumbel 1954).
    fn gumbel(&mut self) -> f64 {
        -(-self.draw().max(1e-300).ln()).ln()
    }

    /// An item of a model that is three times too sure of itself, and wrong about a third of its items.
    fn item(&mut self) -> ScoredItem {
        let logits: Vec<f64> = (0..LABELS).map(|_| 2.0 * self.gumbel()).collect();
        let noisy: Vec<f64> = logits.iter().map(|logit| logit + self.gumbel()).collect();
        let truth = (0..LABELS).fold(0, |best, i| if noisy[i] > noisy[best] { i } else { best });
        ScoredItem {
            logprobs: logits.iter().map(|logit| 3.0 * logit - 40.0).collect(),
            truth,
        }
    }

    fn items(&mut self, n: usize) -> Vec<ScoredItem> {
        (0..n).map(|_| self.item()).collect()
    }
}

/// Mean and standard error of one number per experiment.
fn mean(values: &[f64]) -> (f64, f64) {
    let n = values.len() as f64;
    let mean = values.iter().sum::<f64>() / n;
    let squares = values
        .iter()
        .map(|value| (value - mean).powi(2))
        .sum::<f64>();
    (mean, (squares / (n - 1.0) / n).sqrt())
}

/// Shares of rows that are covered (right, or abstained from) and answered, one of each per experiment.
fn experiments(seed: u64, fit: impl Fn(&mut Uniform) -> Classifier) -> [Vec<f64>; 2] {
    let mut random = Uniform(seed);
    let (mut covered, mut answered) = (Vec::new(), Vec::new());
    for _ in 0..EXPERIMENTS {
        let classifier = fit(&mut random);
        let labels: Vec<_> = random
            .items(TEST_ROWS)
            .iter()
            .map(|item| (classifier.decide(&item.logprobs).label, item.truth))
            .collect();
        let share = |n: usize| n as f64 / TEST_ROWS as f64;
        let is_covered =
            |(label, truth): &&(Option<usize>, usize)| label.is_none_or(|it| it == *truth);
        covered.push(share(labels.iter().filter(is_covered).count()));
        answered.push(share(
            labels.iter().filter(|(label, _)| label.is_some()).count(),
        ));
    }
    [covered, answered]
}

fn labels() -> Vec<String> {
    (0..LABELS).map(|label| label.to_string()).collect()
}

/// Split-conformal prediction covers with `ceil((n + 1) c) / (n + 1)` exactly where the model is wrong more often than `1 - c` and scores have no ties: never
/// less than `c`, and no more than `1 / (n + 1)` above it.
#[test]
fn at_most_as_many_rows_are_answered_wrongly_as_promised() {
    for (n, coverage) in [(19, 0.9), (50, 0.8), (100, 0.95)] {
        let [covered, answered] = experiments(n as u64, |random| {
            let (temperature, threshold) = (random.items(30), random.items(n));
            Classifier::fit(labels(), &temperature, &threshold, coverage)
        });
        let ranks = (n + 1) as f64;
        let exact = (ranks * coverage - 1e-9).ceil() / ranks;
        let ((covered, error), (answered, _)) = (mean(&covered), mean(&answered));
        assert!(
            (covered - exact).abs() < 4.0 * error,
            "{covered} for {exact}, n = {n}"
        );
        // The promise is not kept by saying nothing.
        assert!(answered > 1.2 * (1.0 - coverage), "{answered}, n = {n}");
    }
}

/// A threshold one rank lower, the quantile of the rows as they are, misses its promise: the test above can fail.
#[test]
fn without_the_correction_coverage_is_missed() {
    let (n, coverage) = (19, 0.9);
    let [covered, _] = experiments(3, |random| {
        // The 17th of 19 scores, 89 % of them: what the correction makes of 85 %.
        let (temperature, threshold) = (random.items(30), random.items(n));
        Classifier::fit(labels(), &temperature, &threshold, 0.85)
    });
    let (covered, error) = mean(&covered);
    assert!(covered + 4.0 * error < coverage, "{covered}");
}
