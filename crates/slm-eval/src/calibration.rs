//! Closed-label mode: rows that calibrate a classifier, never those that test it, and what the classifier then does on the test.

use std::collections::HashSet;

use serde::{Deserialize, Serialize};
use slm_data::{HeldOut, Prompt};
use slm_metrics::statistics::{Interval, bootstrap, wilson};
use slm_metrics::{
    Classifier, Confidence, Decision, ReliabilityBin, ScoredItem, calibration_error, reliability,
};
use slm_recipe::{EvalTask, MetricName};
use slm_run::{Emit, sha256_json};

use crate::error::EvalError;
use crate::evaluator::Evaluator;
use crate::metric::Answers;
use crate::task_report::TaskReport;

/// A task's rows, those that calibrate apart from those that test.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Split {
    /// Rows that set the temperature.
    pub temperature: Vec<HeldOut>,
    /// Rows that set the threshold.
    pub threshold: Vec<HeldOut>,
    /// Rows that test.
    pub test: Vec<HeldOut>,
    /// Rows of a calibration file whose prompt is one of the test: not used.
    pub n_in_test: usize,
}

impl Split {
    /// Sets a share of the rows aside, or takes the rows of a file of their own (`own`).
    ///
    /// A row's prompt and the seed decide where it goes: rows with the same prompt stay together, and adding rows moves none.
    pub fn of(items: Vec<HeldOut>, own: Option<Vec<HeldOut>>, share: f64, seed: u64) -> Self {
        let mut split = Self::default();
        let calibration = match own {
            Some(own) => {
                let tested: HashSet<String> = items.iter().map(|it| key("", seed, it)).collect();
                let n = own.len();
                let own: Vec<_> = own
                    .into_iter()
                    .filter(|item| !tested.contains(&key("", seed, item)))
                    .collect();
                split.n_in_test = n - own.len();
                split.test = items;
                own
            }
            None => {
                let (aside, test) = items
                    .into_iter()
                    .partition(|item| fraction("calibration", seed, item) < share);
                split.test = test;
                aside
            }
        };
        (split.temperature, split.threshold) = calibration
            .into_iter()
            .partition(|item| fraction("temperature", seed, item) < 0.5);
        split
    }
}

fn key(purpose: &str, seed: u64, item: &HeldOut) -> String {
    let prompt = match &item.prompt {
        // The answer's own ids are no part of what is asked.
        Prompt::Tokens { prompt, .. } => Prompt::Tokens {
            prompt: prompt.clone(),
            answer: Vec::new(),
        },
        other => other.clone(),
    };
    sha256_json(&(purpose, seed, prompt))
}

/// A number in `[0, 1)` that depends on everything given.
fn fraction(purpose: &str, seed: u64, item: &HeldOut) -> f64 {
    // 52 bits: what a float holds exactly.
    let bits = u64::from_str_radix(&key(purpose, seed, item)[..13], 16).unwrap_or(0);
    bits as f64 / (1u64 << 52) as f64
}

/// A figure with its 95 % interval.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct Figure {
    /// The figure.
    pub value: f64,
    /// Its interval: Wilson's for shares, else by the bootstrap.
    #[serde(flatten)]
    pub interval: Interval,
}

/// A classifier and what it does on the rows of the test.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Calibration {
    /// The classifier.
    pub classifier: Classifier,
    /// Rows of a calibration file that were not used, because the test has their prompt.
    pub n_in_test: usize,
    /// Expected calibration error of the scores as they are.
    pub error_before: Figure,
    /// The same after the temperature.
    pub error_after: Figure,
    /// Mean loss of the right label as the scores are, in nats.
    pub loss_before: f64,
    /// The same after the temperature.
    pub loss_after: f64,
    /// Share of rows that were answered.
    pub answered: Figure,
    /// Share of all rows that were answered wrongly: at most `1 - coverage` is promised.
    pub wrong: Figure,
    /// Share of the answered rows that are right; none where nothing was answered.
    pub right_of_answered: Option<Figure>,
    /// The reliability curve of the scores as they are.
    pub reliability_before: Vec<ReliabilityBin>,
    /// The same after the temperature.
    pub reliability_after: Vec<ReliabilityBin>,
}

impl Evaluator<'_> {
    /// Fits a classifier on the calibration rows of a task and measures it on the answers of `report`.
    ///
    /// # Errors
    /// As [`Evaluator::evaluate`], and with too few rows for the coverage that the task asks for.
    pub fn calibrate(
        &self,
        task: &EvalTask,
        split: &Split,
        report: &TaskReport,
        emit: Emit<'_>,
    ) -> Result<Calibration, EvalError> {
        let coverage = task.calibration.clone().unwrap_or_default().coverage;
        let needed = Classifier::fewest_rows(coverage);
        if split.threshold.len() < needed || split.temperature.is_empty() {
            return Err(EvalError::TooFewCalibrationRows {
                task: task.name.clone(),
                found: split.threshold.len() + split.temperature.len(),
                needed: 2 * needed,
                coverage,
            });
        }
        let task = EvalTask {
            max_samples: 0,
            metrics: vec![MetricName::Accuracy],
            ..task.clone()
        };
        let rows = [&split.temperature[..], &split.threshold].concat();
        let answered = self.evaluate(&task, &rows, emit)?;
        let items = scored(answered.answers());
        let (temperature, threshold) = items.split_at(split.temperature.len());
        let labels = answered.choices.clone();
        let classifier = Classifier::fit(labels, temperature, threshold, coverage);
        Ok(Calibration {
            n_in_test: split.n_in_test,
            ..Calibration::of(classifier, &scored(report.answers()), self.seed)
        })
    }
}

/// `multiple_choice` refuses items whose target is no choice: none is left out here.
fn scored(answers: Answers<'_>) -> Vec<ScoredItem> {
    let items = answers.samples.iter();
    items.filter_map(|sample| answers.scored(sample)).collect()
}

impl Calibration {
    /// What a classifier does on items that neither trained nor calibrated it.
    pub fn of(classifier: Classifier, items: &[ScoredItem], seed: u64) -> Self {
        let decisions: Vec<(Decision, usize)> = items
            .iter()
            .map(|item| (classifier.decide(&item.logprobs), item.truth))
            .collect();
        let count = |holds: &dyn Fn(&Decision, usize) -> bool| {
            decisions
                .iter()
                .filter(|(it, truth)| holds(it, *truth))
                .count()
        };
        let n = items.len();
        let answered = count(&|it, _| it.label.is_some());
        let right = count(&|it, truth| it.label == Some(truth));
        let [before, after] = [1.0, classifier.temperature].map(|temperature| {
            let of = |item: &ScoredItem| item.confidence(temperature);
            items.iter().map(of).collect::<Vec<Confidence>>()
        });
        let loss =
            |temperature| items.iter().map(|it| it.loss(temperature)).sum::<f64>() / n as f64;
        Self {
            n_in_test: 0,
            error_before: error(&before, seed),
            error_after: error(&after, seed),
            loss_before: loss(1.0),
            loss_after: loss(classifier.temperature),
            answered: share(answered, n),
            wrong: share(answered - right, n),
            right_of_answered: (answered > 0).then(|| share(right, answered)),
            reliability_before: reliability(&before),
            reliability_after: reliability(&after),
            classifier,
        }
    }
}

fn share(part: usize, whole: usize) -> Figure {
    Figure {
        value: part as f64 / whole as f64,
        interval: wilson(part, whole),
    }
}

fn error(items: &[Confidence], seed: u64) -> Figure {
    let all: Vec<u32> = (0..items.len() as u32).collect();
    Figure {
        value: calibration_error(items, &all),
        interval: bootstrap(items.len(), seed, |draw| calibration_error(items, draw)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn item(row: usize) -> HeldOut {
        HeldOut {
            row,
            origin: format!("rows:{row}"),
            // Two rows of each prompt.
            prompt: Prompt::Text(format!("prompt {}", row / 2)),
            target: "a".into(),
            slices: Default::default(),
        }
    }

    fn rows(items: &[HeldOut]) -> Vec<usize> {
        items.iter().map(|item| item.row).collect()
    }

    #[test]
    fn no_row_and_no_prompt_is_on_two_sides() {
        let split = Split::of((0..2000).map(item).collect(), None, 0.4, 7);
        let sides = [&split.temperature, &split.threshold, &split.test];
        let mut all = sides.map(|side| rows(side)).concat();
        all.sort_unstable();
        assert_eq!(all, (0..2000).collect::<Vec<_>>());
        let prompts = sides.map(|side| {
            let prompts = rows(side).into_iter().map(|row| row / 2);
            prompts.collect::<HashSet<_>>()
        });
        assert!(prompts[0].is_disjoint(&prompts[1]) && prompts[1].is_disjoint(&prompts[2]));
        assert!(prompts[0].is_disjoint(&prompts[2]));
        // Shares of 1,000 prompts: 0.2, 0.2 and 0.6, within four standard deviations.
        for (side, expected) in prompts.iter().zip([200, 200, 600]) {
            assert!(side.len().abs_diff(expected) < 62, "{}", side.len());
        }
        assert_ne!(
            split,
            Split::of((0..2000).map(item).collect(), None, 0.4, 8)
        );
        // Adding rows moves none.
        let fewer = Split::of((0..1000).map(item).collect(), None, 0.4, 7);
        assert_eq!(rows(&fewer.test), rows(&split.test)[..fewer.test.len()]);
    }

    #[test]
    fn a_file_of_its_own_gives_up_what_the_test_has() {
        let own = (90..200).map(item).collect();
        let split = Split::of((0..100).map(item).collect(), Some(own), 0.5, 7);
        assert_eq!(split.test.len(), 100);
        assert_eq!(split.n_in_test, 10);
        assert_eq!(split.temperature.len() + split.threshold.len(), 100);
    }

    #[test]
    fn figures_by_hand() {
        let classifier = Classifier {
            labels: vec!["a".into(), "b".into()],
            temperature: 1.0,
            threshold: 0.7,
            coverage: 0.9,
            n_temperature: 1,
            n_threshold: 9,
        };
        let item = |p: f64, truth| ScoredItem {
            logprobs: vec![p.ln(), (1.0 - p).ln()],
            truth,
        };
        // Answered right, answered wrongly, twice abstained.
        let items = [item(0.8, 0), item(0.9, 1), item(0.6, 0), item(0.5, 1)];
        let found = Calibration::of(classifier, &items, 1);
        let values = [found.answered, found.wrong].map(|it| it.value);
        assert_eq!(values, [0.5, 0.25]);
        assert_eq!(found.right_of_answered.map(|it| it.value), Some(0.5));
        assert_eq!(found.error_before, found.error_after);
    }
}
