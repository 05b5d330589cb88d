//! The metrics by name: what each observes on a sample, and which of two values is better.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use crate::sample::{Finish, Sample, Score};
use slm_metrics::{Method, Series};

/// The metrics.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum MetricName {
    /// Share of items whose likeliest choice, by summed log-likelihood, is the target.
    Accuracy,
    /// The same by log-likelihood per token.
    AccuracyNorm,
    /// Unweighted mean over the labels of F1.
    MacroF1,
    /// Share of items whose generated answer is the target; for a likelihood, whose greedy answer would be.
    ExactMatch,
    /// Share of answers that are a JSON object, of the items that want one.
    JsonValid,
    /// Share of fields that are right, of the items that want a JSON object.
    FieldAccuracy,
    /// Share of answers that ended by themselves.
    StopRate,
    /// Mean loss of a target token, in nats.
    Loss,
    /// `exp` of the loss per token.
    Perplexity,
    /// `exp` of the loss per byte of the target: comparable between tokenizers.
    BytePerplexity,
}

/// One figure with its interval.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Metric {
    /// Which.
    pub name: MetricName,
    /// The figure: a share of 1, nats, or a perplexity.
    pub value: f64,
    /// Lower end of the 95 % interval.
    pub low: f64,
    /// Upper end of the 95 % interval.
    pub high: f64,
    /// How the interval was found.
    pub method: Method,
    /// Items behind the figure.
    pub n: usize,
}

impl MetricName {
    /// All, in the order of tables; the first one that a task has is its headline.
    const ALL: [Self; 10] = [
        Self::Accuracy,
        Self::AccuracyNorm,
        Self::MacroF1,
        Self::Perplexity,
        Self::BytePerplexity,
        Self::Loss,
        Self::ExactMatch,
        Self::JsonValid,
        Self::FieldAccuracy,
        Self::StopRate,
    ];

    /// The name in files.
    pub fn id(self) -> String {
        let value = serde_json::to_value(self).unwrap_or_default();
        value.as_str().unwrap_or_default().into()
    }

    /// The metric of this name in files.
    pub fn from_id(id: &str) -> Option<Self> {
        serde_json::from_value(id.into()).ok()
    }

    /// The name for people.
    pub fn label(self) -> &'static str {
        match self {
            Self::Accuracy => "accuracy",
            Self::AccuracyNorm => "accuracy, per token",
            Self::MacroF1 => "macro F1",
            Self::ExactMatch => "exact match",
            Self::JsonValid => "valid JSON",
            Self::FieldAccuracy => "field accuracy",
            Self::StopRate => "stop rate",
            Self::Loss => "loss",
            Self::Perplexity => "perplexity",
            Self::BytePerplexity => "byte perplexity",
        }
    }

    /// Whether a larger value is better.
    pub fn higher_is_better(self) -> bool {
        !matches!(self, Self::Loss | Self::Perplexity | Self::BytePerplexity)
    }

    /// Whether the value is a share of 1, shown in per cent.
    pub fn is_share(self) -> bool {
        self.higher_is_better()
    }

    /// What this metric observes on each sample, and the numbers of the samples that it applies to; `None` where it applies to none.
    pub(crate) fn observe(self, samples: &[Sample]) -> Option<(Vec<usize>, Series)> {
        let applies: Vec<usize> = (0..samples.len())
            .filter(|i| self.applies(&samples[*i].score))
            .collect();
        if applies.is_empty() {
            return None;
        }
        let chosen = applies.iter().map(|i| &samples[*i]);
        let series = match self {
            Self::MacroF1 => labels(chosen),
            Self::FieldAccuracy | Self::Loss => {
                Series::Ratio(chosen.map(|s| self.pair(s)).collect())
            }
            Self::Perplexity | Self::BytePerplexity => {
                Series::ExpRatio(chosen.map(|s| self.pair(s)).collect())
            }
            _ => Series::Proportion(chosen.map(|s| self.is_right(s)).collect()),
        };
        Some((applies, series))
    }

    /// Depends on the item alone, never on the answer, so that two models are compared on the same items.
    fn applies(self, score: &Score) -> bool {
        match (self, score) {
            (Self::Accuracy | Self::AccuracyNorm | Self::MacroF1, Score::Choices { .. }) => true,
            (Self::ExactMatch | Self::StopRate, Score::Generated { .. }) => true,
            (Self::JsonValid | Self::FieldAccuracy, Score::Generated { json, .. }) => {
                json.is_some()
            }
            (Self::ExactMatch | Self::Loss | Self::Perplexity, Score::Likelihood { .. }) => true,
            (Self::BytePerplexity, Score::Likelihood { target_bytes, .. }) => *target_bytes > 0,
            _ => false,
        }
    }

    fn is_right(self, sample: &Sample) -> bool {
        match (self, &sample.score) {
            (Self::AccuracyNorm, Score::Choices { correct_norm, .. }) => *correct_norm,
            (Self::StopRate, Score::Generated { finish, .. }) => *finish == Finish::Stop,
            (Self::JsonValid, Score::Generated { json, .. }) => json.is_some_and(|json| json.valid),
            _ => sample.is_correct(),
        }
    }

    fn pair(self, sample: &Sample) -> [f64; 2] {
        match &sample.score {
            Score::Generated { json, .. } => json.map_or([0.0; 2], |json| {
                [json.fields_correct as f64, json.fields as f64]
            }),
            Score::Likelihood {
                logprob,
                target_bytes,
                ..
            } => {
                let length = match self {
                    Self::BytePerplexity => *target_bytes,
                    _ => sample.output_tokens,
                };
                [-logprob, length as f64]
            }
            Score::Choices { .. } => [0.0; 2],
        }
    }
}

/// Targets and answers as numbers of labels.
fn labels<'a>(samples: impl Iterator<Item = &'a Sample>) -> Series {
    let mut numbers: BTreeMap<&str, u32> = BTreeMap::new();
    let mut number = |label: &'a str| {
        let next = numbers.len() as u32;
        *numbers.entry(label.trim()).or_insert(next)
    };
    let (truth, predicted): (Vec<u32>, Vec<u32>) = samples
        .map(|sample| (number(&sample.target), number(&sample.output)))
        .unzip();
    Series::Labels {
        truth,
        predicted,
        n_labels: numbers.len(),
    }
}

/// Every metric that applies to these samples. The intervals of one metric are the same for the same samples and seed.
pub(crate) fn measure(samples: &[Sample], seed: u64) -> Vec<Metric> {
    MetricName::ALL
        .into_iter()
        .filter_map(|name| {
            let (applies, series) = name.observe(samples)?;
            let (interval, method) = series.interval(seed);
            Some(Metric {
                name,
                value: series.value(),
                low: interval.low,
                high: interval.high,
                method,
                n: applies.len(),
            })
        })
        .collect()
}
