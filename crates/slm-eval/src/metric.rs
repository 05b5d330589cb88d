//! What each metric observes on a sample, and the figures that come of it.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};
use slm_metrics::{BleuCounts, ChrfCounts, LabelFigure, Method, Rouge, ScoredItem, Series};
use slm_recipe::MetricName;

use crate::measure_name::MeasureName;
use crate::sample::{Finish, Sample, Score};

/// One figure with its interval.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Metric {
    /// Which.
    pub name: MeasureName,
    /// The figure: a share of 1, nats, a perplexity, or whatever a suite measures.
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

impl Metric {
    /// The figure of what was observed, with its interval.
    pub(crate) fn of(name: MeasureName, series: &Series, seed: u64) -> Self {
        let (interval, method) = series.interval(seed);
        Self {
            name,
            value: series.value(),
            low: interval.low,
            high: interval.high,
            method,
            n: series.n(),
        }
    }
}

/// The answers of one model to one task.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Answers<'a> {
    /// The closed set of labels; empty where there is none.
    pub(crate) choices: &'a [String],
    pub(crate) samples: &'a [Sample],
}

impl Answers<'_> {
    /// What a metric observes on each sample, and the numbers of the samples that it applies to; `None` where it applies to none.
    pub(crate) fn observe(self, name: MetricName) -> Option<(Vec<usize>, Series)> {
        use MetricName::*;
        let applies: Vec<usize> = (0..self.samples.len())
            .filter(|i| self.applies(name, &self.samples[*i]))
            .collect();
        if applies.is_empty() {
            return None;
        }
        let chosen = || applies.iter().map(|i| &self.samples[*i]);
        let texts = || chosen().map(|sample| (sample.output.trim(), [sample.target.trim()]));
        let series = match name {
            MacroF1 => self.labels(LabelFigure::MacroF1),
            MicroF1 => self.labels(LabelFigure::MicroF1),
            WeightedF1 => self.labels(LabelFigure::WeightedF1),
            Mcc => self.labels(LabelFigure::Mcc),
            Ece => Series::Confidence(
                chosen()
                    .filter_map(|sample| Some(self.scored(sample)?.confidence(1.0)))
                    .collect(),
            ),
            Brier | FieldAccuracy | FieldF1 | Loss | Rouge1 | Rouge2 | RougeL => {
                Series::Ratio(chosen().map(|sample| self.pair(name, sample)).collect())
            }
            Perplexity | BytePerplexity => {
                Series::ExpRatio(chosen().map(|sample| self.pair(name, sample)).collect())
            }
            Bleu => Series::Bleu(texts().map(|(a, b)| BleuCounts::of(a, &b)).collect()),
            Chrf => Series::Chrf(texts().map(|(a, b)| ChrfCounts::of(a, &b)).collect()),
            Accuracy | AccuracyNorm | ExactMatch | InvalidOutputs | JsonValid | StopRate => {
                Series::Proportion(chosen().map(|sample| self.holds(name, sample)).collect())
            }
        };
        Some((applies, series))
    }

    /// The figure of one metric with its interval, if it applies to an item.
    fn measure(self, name: MetricName, seed: u64) -> Option<Metric> {
        let (_, series) = self.observe(name)?;
        Some(Metric::of(name.into(), &series, seed))
    }

    /// The log-likelihoods of the choices, and which is right; `None` where the choices or their scores are not there.
    pub(crate) fn scored(self, sample: &Sample) -> Option<ScoredItem> {
        let Score::Choices { logprobs, .. } = &sample.score else {
            return None;
        };
        let target = sample.target.trim();
        let truth = self.choices.iter().position(|choice| choice == target)?;
        (logprobs.len() == self.choices.len()).then(|| ScoredItem {
            logprobs: logprobs.iter().map(|p| f64::from(*p)).collect(),
            truth,
        })
    }

    /// Depends on the item alone, never on the answer, so that two models are compared on the same items.
    fn applies(self, name: MetricName, sample: &Sample) -> bool {
        use MetricName::*;
        match (&sample.score, name) {
            (Score::Choices { .. }, Ece | Brier) => self.scored(sample).is_some(),
            (
                Score::Choices { .. },
                Accuracy | AccuracyNorm | MacroF1 | MicroF1 | WeightedF1 | Mcc,
            ) => true,
            (Score::Generated { .. }, MacroF1 | MicroF1 | WeightedF1 | Mcc | InvalidOutputs) => {
                !self.choices.is_empty()
            }
            (Score::Generated { json, .. }, JsonValid | FieldAccuracy | FieldF1) => json.is_some(),
            (
                Score::Generated { .. },
                ExactMatch | StopRate | Bleu | Chrf | Rouge1 | Rouge2 | RougeL,
            ) => true,
            (Score::Likelihood { target_bytes, .. }, BytePerplexity) => *target_bytes > 0,
            (Score::Likelihood { .. }, ExactMatch | Loss | Perplexity) => true,
            _ => false,
        }
    }

    fn holds(self, name: MetricName, sample: &Sample) -> bool {
        match (name, &sample.score) {
            (MetricName::AccuracyNorm, Score::Choices { correct_norm, .. }) => *correct_norm,
            (MetricName::StopRate, Score::Generated { finish, .. }) => *finish == Finish::Stop,
            (MetricName::JsonValid, Score::Generated { json, .. }) => {
                json.is_some_and(|json| json.valid)
            }
            (MetricName::InvalidOutputs, _) => !self.is_choice(&sample.output),
            _ => sample.is_correct(),
        }
    }

    /// What is added up above and below the line of a ratio.
    fn pair(self, name: MetricName, sample: &Sample) -> [f64; 2] {
        let rouge = |kind: Rouge| [kind.score(&sample.output, &sample.target, false).f1, 1.0];
        match (name, &sample.score) {
            (MetricName::Rouge1, _) => rouge(Rouge::One),
            (MetricName::Rouge2, _) => rouge(Rouge::Two),
            (MetricName::RougeL, _) => rouge(Rouge::L),
            (MetricName::Brier, _) => {
                let brier = self.scored(sample).map_or(f64::NAN, |item| item.brier(1.0));
                [brier, 1.0]
            }
            (
                name,
                Score::Generated {
                    json: Some(json), ..
                },
            ) => match name {
                MetricName::FieldF1 => [
                    2.0 * json.fields_correct as f64,
                    (json.fields_wanted + json.fields_given) as f64,
                ],
                _ => [json.fields_correct as f64, json.fields as f64],
            },
            (
                name,
                Score::Likelihood {
                    logprob,
                    target_bytes,
                    ..
                },
            ) => {
                let length = match name {
                    MetricName::BytePerplexity => *target_bytes,
                    _ => sample.output_tokens,
                };
                [-logprob, length as f64]
            }
            _ => [0.0; 2],
        }
    }

    fn is_choice(self, output: &str) -> bool {
        self.choices.iter().any(|choice| choice == output.trim())
    }

    fn labels(self, figure: LabelFigure) -> Series {
        let labels = Labels::of(self);
        Series::Labels {
            figure,
            n_labels: labels.names.len(),
            truth: labels.truth,
            predicted: labels.predicted,
        }
    }
}

/// Targets and answers as numbers of labels.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Labels {
    /// The choices in their order, then what else occurs.
    pub(crate) names: Vec<String>,
    pub(crate) truth: Vec<u32>,
    pub(crate) predicted: Vec<u32>,
}

impl Labels {
    /// What generated answers that are no choice are counted as: one more label, never wanted.
    pub(crate) const INVALID: &str = "none of them";

    /// Of answers to a closed set of labels; empty for others.
    pub(crate) fn of(answers: Answers<'_>) -> Self {
        let mut names: Vec<String> = answers.choices.to_vec();
        let mut numbers: BTreeMap<String, u32> =
            (0..).zip(&names).map(|(i, it)| (it.clone(), i)).collect();
        let mut number = |label: &str| {
            let label = label.trim();
            if let Some(number) = numbers.get(label) {
                return *number;
            }
            let number = names.len() as u32;
            names.push(label.into());
            numbers.insert(label.into(), number);
            number
        };
        let (mut truth, mut predicted) = (Vec::new(), Vec::new());
        for sample in answers.samples {
            let is_invalid = match sample.score {
                Score::Choices { .. } => false,
                Score::Generated { .. } if !answers.choices.is_empty() => {
                    !answers.is_choice(&sample.output)
                }
                _ => continue,
            };
            truth.push(number(&sample.target));
            predicted.push(number(if is_invalid {
                Self::INVALID
            } else {
                &sample.output
            }));
        }
        Self {
            names,
            truth,
            predicted,
        }
    }
}

/// These metrics of the answers, those that apply to no item left out. The intervals of one metric are the same for the same samples and seed.
pub(crate) fn measure(answers: Answers<'_>, names: &[MetricName], seed: u64) -> Vec<Metric> {
    let measured = names.iter().filter_map(|name| answers.measure(*name, seed));
    measured.collect()
}
