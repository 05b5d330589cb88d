//! Whether probabilities mean what they say: calibration error, Brier score, reliability curve, temperature.

use serde::{Deserialize, Serialize};

use crate::statistics::{Interval, wilson};

/// Equal-width bins of confidence behind every calibration error (Guo et al., On Calibration of Modern Neural Networks, 2017).
pub const CALIBRATION_BINS: usize = 15;

/// Smallest and largest temperature: where all items are right, the likelihood knows no best one.
const TEMPERATURES: [f64; 2] = [0.01, 100.0];

/// One item of a closed label set: the model's scores and the truth.
#[derive(Clone, Debug, PartialEq)]
pub struct ScoredItem {
    /// Log-likelihood of each label, in nats; they need not be normalised over the labels.
    pub logprobs: Vec<f64>,
    /// Number of the right label.
    pub truth: usize,
}

/// The probabilities of labels: log-likelihoods divided by the temperature, normalised over the labels.
pub fn probabilities(logprobs: &[f64], temperature: f64) -> Vec<f64> {
    let largest = logprobs.iter().copied().fold(f64::NEG_INFINITY, f64::max);
    let weights: Vec<f64> = logprobs
        .iter()
        .map(|logprob| ((logprob - largest) / temperature).exp())
        .collect();
    let sum: f64 = weights.iter().sum();
    weights.iter().map(|weight| weight / sum).collect()
}

/// The label with the largest value; of equal ones, the first. 0 for none.
pub fn likeliest(values: &[f64]) -> usize {
    let mut best = 0;
    for (label, value) in values.iter().enumerate() {
        if *value > values[best] {
            best = label;
        }
    }
    best
}

/// The likeliest label's probability, and whether that label is right.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct Confidence {
    /// From `1 / labels` to 1.
    pub probability: f64,
    /// Whether the label is the truth.
    pub right: bool,
}

impl ScoredItem {
    /// How sure the model is of its answer at this temperature.
    pub fn confidence(&self, temperature: f64) -> Confidence {
        let answer = likeliest(&self.logprobs);
        Confidence {
            probability: probabilities(&self.logprobs, temperature)[answer],
            right: answer == self.truth,
        }
    }

    /// Sum over the labels of the squared distance between probability and truth (Brier 1950): 0 to 2. scikit-learn's `brier_score_loss` with
    /// `scale_by_half=False` is its mean.
    pub fn brier(&self, temperature: f64) -> f64 {
        let probabilities = probabilities(&self.logprobs, temperature);
        let distances = probabilities.iter().enumerate().map(|(label, p)| {
            let wanted = if label == self.truth { 1.0 } else { 0.0 };
            (p - wanted) * (p - wanted)
        });
        distances.sum()
    }

    /// Minus the log of the truth's probability, in nats.
    pub fn loss(&self, temperature: f64) -> f64 {
        -probabilities(&self.logprobs, temperature)[self.truth].ln()
    }
}

/// Items whose confidence falls into one bin.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct ReliabilityBin {
    /// Lower end of the bin, part of it.
    pub from: f64,
    /// Upper end, not part of it except for the last bin.
    pub to: f64,
    /// Items.
    pub n: usize,
    /// Their mean confidence.
    pub confidence: f64,
    /// Share of them that is right.
    pub accuracy: f64,
    /// Its 95 % interval by Wilson.
    pub interval: Interval,
}

/// The reliability curve: the bins that have items, by confidence.
pub fn reliability(items: &[Confidence]) -> Vec<ReliabilityBin> {
    let all: Vec<u32> = (0..items.len() as u32).collect();
    let sums = binned(items, &all);
    let bins = sums.iter().enumerate().filter(|(_, [n, ..])| *n > 0.0);
    bins.map(|(bin, [n, confidence, right])| ReliabilityBin {
        from: bin as f64 / CALIBRATION_BINS as f64,
        to: (bin + 1) as f64 / CALIBRATION_BINS as f64,
        n: *n as usize,
        confidence: confidence / n,
        accuracy: right / n,
        interval: wilson(*right as usize, *n as usize),
    })
    .collect()
}

/// The expected calibration error of the items of `draw`: the distance between confidence and accuracy in each bin, weighted by its items. `NaN`
/// without items.
pub fn calibration_error(items: &[Confidence], draw: &[u32]) -> f64 {
    let gaps = binned(items, draw).map(|[_, confidence, right]| (confidence - right).abs());
    gaps.iter().sum::<f64>() / draw.len() as f64
}

/// Items, their summed confidence and the right ones, by bin.
fn binned(items: &[Confidence], draw: &[u32]) -> [[f64; 3]; CALIBRATION_BINS] {
    let mut bins = [[0.0; 3]; CALIBRATION_BINS];
    for item in draw {
        let Confidence { probability, right } = items[*item as usize];
        let bin = ((probability * CALIBRATION_BINS as f64) as usize).min(CALIBRATION_BINS - 1);
        bins[bin][0] += 1.0;
        bins[bin][1] += probability;
        bins[bin][2] += f64::from(u8::from(right));
    }
    bins
}

/// The temperature with the largest likelihood of the truth (Guo et al. 2017), between 0.01 and 100; 1 without items.
///
/// The loss is convex in `1 / temperature`, and its slope there is the mean over the items of the expected log-likelihood less that of the truth: its
/// zero is found by bisection.
pub fn fit_temperature(items: &[ScoredItem]) -> f64 {
    if items.is_empty() {
        return 1.0;
    }
    let slope = |temperature: f64| -> f64 {
        let of_item = |item: &ScoredItem| {
            let expected = probabilities(&item.logprobs, temperature)
                .into_iter()
                .zip(&item.logprobs)
                // 0 times minus infinity is 0 here.
                .filter(|(p, _)| *p > 0.0)
                .map(|(p, logprob)| p * logprob);
            expected.sum::<f64>() - item.logprobs[item.truth]
        };
        items.iter().map(of_item).sum()
    };
    let [mut low, mut high] = TEMPERATURES.map(f64::ln);
    // 60 halvings of the range leave nothing that a float can tell.
    for _ in 0..60 {
        let middle = 0.5 * (low + high);
        // A positive slope: less weight on the scores, a higher temperature, is better.
        if slope(middle.exp()) > 0.0 {
            low = middle;
        } else {
            high = middle;
        }
    }
    (0.5 * (low + high)).exp()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn item(logprobs: &[f64], truth: usize) -> ScoredItem {
        ScoredItem {
            logprobs: logprobs.to_vec(),
            truth,
        }
    }

    #[test]
    fn probabilities_by_hand() {
        let p = probabilities(&[0.75f64.ln() - 900.0, 0.25f64.ln() - 900.0], 1.0);
        assert!((p[0] - 0.75).abs() < 1e-12 && (p[1] - 0.25).abs() < 1e-12);
        let flat = probabilities(&[0.0, -2.0], f64::INFINITY);
        assert_eq!(flat, [0.5, 0.5]);
        assert_eq!(likeliest(&[-2.0, -1.0, -1.0]), 1);
    }

    /// 3 of 4 are right where the scores say 9 : 1: the best temperature makes it 3 : 1, ln 9 / ln 3 = 2.
    #[test]
    fn the_temperature_makes_confidence_what_accuracy_is() {
        let scores = [0.9f64.ln(), 0.1f64.ln()];
        let items: Vec<_> = [0, 0, 0, 1].map(|truth| item(&scores, truth)).into();
        assert!((fit_temperature(&items) - 2.0).abs() < 1e-9);
        assert!((items[0].confidence(2.0).probability - 0.75).abs() < 1e-12);
        // All right, and all wrong: the ends of the range.
        assert!((fit_temperature(&items[..3]) - 0.01).abs() < 1e-9);
        assert!((fit_temperature(&items[3..]) - 100.0).abs() < 1e-6);
        assert_eq!(fit_temperature(&[]), 1.0);
    }

    #[test]
    fn errors_by_hand() {
        let sure = |probability, right| Confidence { probability, right };
        let items = [
            sure(0.95, true),
            sure(0.97, false),
            sure(0.5, true),
            sure(1.0, true),
        ];
        // One bin holds 0.95, 0.97 and 1.0: 2.92 against 2 right; the other is 0.5 away.
        let error = calibration_error(&items, &[0, 1, 2, 3]);
        assert!((error - (0.92 + 0.5) / 4.0).abs() < 1e-12, "{error}");
        let curve = reliability(&items);
        assert_eq!(curve.iter().map(|bin| bin.n).collect::<Vec<_>>(), [1, 3]);
        assert!((curve[1].accuracy - 2.0 / 3.0).abs() < 1e-12);
        let half = item(&[0.0, 0.0], 1);
        assert!((half.brier(1.0) - 0.5).abs() < 1e-12);
        assert!((half.loss(1.0) - 2f64.ln()).abs() < 1e-12);
    }
}
