//! What one model did on one task, and its two files: the figures as JSON, every sample as JSONL.

use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};
use slm_metrics::{Series, confusion, most_confused};
use slm_recipe::{EvalTask, MetricName, OutputType};
use slm_run::{RunError, write_file_atomic};
use slm_suite::Observed;

use crate::calibration::Calibration;
use crate::cost::{Cost, Latency};
use crate::error::EvalError;
use crate::measure_name::MeasureName;
use crate::metric::{Answers, Labels, Metric, measure};
use crate::sample::Sample;
use crate::suite::Exchange;

/// The file of what a suite's task observed.
const OBSERVED: &str = "observed.jsonl";

/// One model on one task.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct TaskReport {
    /// The task's name.
    pub task: String,
    /// How the model answered.
    pub output_type: OutputType,
    /// Digest of how the task was defined when it was answered.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub definition: Option<String>,
    /// Items answered.
    pub n: usize,
    /// The choices, in the order of each sample's `logprobs`; empty for other tasks.
    #[serde(skip_serializing_if = "Vec::is_empty", default)]
    pub choices: Vec<String>,
    /// The figures.
    pub metrics: Vec<Metric>,
    /// Probabilities that hold, and the right to abstain, where the task asks for them.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub calibration: Option<Calibration>,
    /// Seconds that the answers took.
    pub elapsed_s: f64,
    /// What the answers took besides.
    #[serde(default)]
    pub cost: Cost,
    /// Tokens that a suite's task had the model read to score pairs: what several begin with counts once.
    #[serde(skip_serializing_if = "is_zero", default)]
    pub tokens_read: usize,
    /// What each metric of a suite's task observed on each item, in the metrics' order; in a file of its own.
    #[serde(skip)]
    pub observed: Vec<Series>,
    /// What a suite's task asked and was answered, item by item; in a file of its own.
    #[serde(skip)]
    pub exchanges: Vec<Exchange>,
    /// Every item; in a file of its own.
    #[serde(skip)]
    pub samples: Vec<Sample>,
}

/// A label that was given for another.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Mistaken {
    /// The wanted label.
    pub wanted: String,
    /// The label that was given.
    pub given: String,
    /// How often.
    pub n: u64,
    /// How often the wanted label was wanted.
    pub of: u64,
}

impl TaskReport {
    /// The usual figures over answered items.
    ///
    /// # Errors
    /// Without items, and where a figure is not finite.
    pub fn new(
        task: &str,
        output_type: OutputType,
        choices: Vec<String>,
        samples: Vec<Sample>,
        seed: u64,
        elapsed_s: f64,
    ) -> Result<Self, EvalError> {
        let task = EvalTask {
            name: task.into(),
            output_type,
            ..EvalTask::default()
        };
        Self::of(&task, choices, samples, seed, elapsed_s)
    }

    /// The figures that the task names over answered items.
    ///
    /// # Errors
    /// Without items, where a figure is not finite, and where the task names a metric that no item has.
    pub fn of(
        task: &EvalTask,
        choices: Vec<String>,
        samples: Vec<Sample>,
        seed: u64,
        elapsed_s: f64,
    ) -> Result<Self, EvalError> {
        let name = &task.name;
        if samples.is_empty() {
            return Err(EvalError::NoItems { task: name.clone() });
        }
        let answers = Answers {
            choices: &choices,
            samples: &samples,
        };
        let metrics = measure(answers, task.measured(), seed);
        let is_there = |name: &MetricName| metrics.iter().any(|metric| metric.name == *name);
        if let Some(missing) = task.metrics.iter().find(|name| !is_there(name)) {
            return Err(EvalError::MetricWithoutItems {
                task: name.clone(),
                name: *missing,
            });
        }
        check_finite(name, &metrics)?;
        Ok(Self {
            metrics,
            ..Self::without_metrics(task, choices, samples, elapsed_s)
        })
    }

    /// The answers before they are measured.
    pub(crate) fn without_metrics(
        task: &EvalTask,
        choices: Vec<String>,
        samples: Vec<Sample>,
        elapsed_s: f64,
    ) -> Self {
        Self {
            task: task.name.clone(),
            output_type: task.output_type,
            definition: None,
            n: samples.len(),
            choices,
            metrics: Vec::new(),
            calibration: None,
            elapsed_s,
            cost: Cost::default(),
            tokens_read: 0,
            observed: Vec::new(),
            exchanges: Vec::new(),
            samples,
        }
    }

    /// What answers cost that were waited for so long.
    pub(crate) fn cost_of(&self, waits: Vec<f64>, batch_size: usize) -> Cost {
        let Some(latency) = Latency::of(waits, batch_size) else {
            return Cost::default();
        };
        let tokens: usize = self.samples.iter().map(|it| it.output_tokens).sum();
        Cost {
            latency: Some(latency),
            tokens_per_s: (self.elapsed_s > 0.0).then(|| tokens as f64 / self.elapsed_s),
            ..Cost::default()
        }
    }

    /// Which labels of a closed set were given for others, the most frequent first.
    pub fn most_confused(&self) -> Vec<Mistaken> {
        // Without common choices each item has its own.
        if self.choices.is_empty() {
            return Vec::new();
        }
        let labels = Labels::of(self.answers());
        let matrix = confusion(&labels.truth, &labels.predicted, labels.names.len());
        let pairs = most_confused(&matrix).into_iter();
        pairs
            .map(|pair| Mistaken {
                wanted: labels.names[pair.truth as usize].clone(),
                given: labels.names[pair.predicted as usize].clone(),
                n: pair.n,
                of: matrix[pair.truth as usize].iter().sum(),
            })
            .collect()
    }

    /// The figures of a suite's task over answered items, in the names of lm-evaluation-harness.
    ///
    /// # Errors
    /// Where a figure is not finite.
    pub(crate) fn of_suite(
        head: Self,
        observed: Vec<Observed>,
        seed: u64,
    ) -> Result<Self, EvalError> {
        let (names, observed): (Vec<_>, Vec<_>) =
            observed.into_iter().map(|it| (it.name, it.series)).unzip();
        let metrics: Vec<Metric> = names
            .into_iter()
            .zip(&observed)
            .map(|(name, series)| Metric::of(MeasureName::Suite(name), series, seed))
            .collect();
        check_finite(&head.task, &metrics)?;
        Ok(Self {
            metrics,
            observed,
            ..head
        })
    }

    /// The figure of this name, if the task has it.
    pub fn metric(&self, name: impl Into<MeasureName>) -> Option<&Metric> {
        let name = name.into();
        self.metrics.iter().find(|metric| metric.name == name)
    }

    /// What a metric observed on each item, and the numbers of the samples that it applies to.
    pub(crate) fn observe(&self, name: &MeasureName) -> Option<(Vec<usize>, Series)> {
        match name {
            MeasureName::Metric(name) => self.answers().observe(*name),
            MeasureName::Suite(_) => {
                let at = self
                    .metrics
                    .iter()
                    .position(|metric| metric.name == *name)?;
                let series = self.observed.get(at)?;
                Some(((0..series.n()).collect(), series.clone()))
            }
        }
    }

    pub(crate) fn answers(&self) -> Answers<'_> {
        Answers {
            choices: &self.choices,
            samples: &self.samples,
        }
    }

    /// Writes `scores.json` and `samples.jsonl` into a folder that exists, and of a suite's task `observed.jsonl` and `exchanges.jsonl`.
    /// Returns the paths of the first two.
    ///
    /// # Errors
    /// When the folder cannot be written; each file is there whole or not at all.
    pub fn write(&self, folder: &Path) -> Result<[PathBuf; 2], EvalError> {
        let [scores, samples] = paths(folder);
        write_lines(&samples, &self.samples)?;
        if !self.observed.is_empty() {
            write_lines(&folder.join(OBSERVED), &self.observed)?;
        }
        if !self.exchanges.is_empty() {
            write_lines(&folder.join("exchanges.jsonl"), &self.exchanges)?;
        }
        let mut text =
            serde_json::to_vec_pretty(self).map_err(|error| unwritable(&scores, error))?;
        text.push(b'\n');
        write_file_atomic(&scores, &text)?;
        Ok([scores, samples])
    }

    /// Reads what [`TaskReport::write`] wrote.
    ///
    /// # Errors
    /// When a file is missing or not an evaluation, or when samples are missing.
    pub fn read(folder: &Path) -> Result<Self, EvalError> {
        let [scores, samples] = paths(folder);
        let mut report: Self = parse(&scores, 1, &read_text(&scores)?)?;
        report.samples = read_lines(&samples)?;
        let observed = folder.join(OBSERVED);
        if observed.is_file() {
            report.observed = read_lines(&observed)?;
        }
        if report.samples.len() != report.n {
            return Err(EvalError::NotPaired {
                task: report.task,
                found: format!(
                    "`{}` has {} samples, `scores.json` says {}",
                    samples.display(),
                    report.samples.len(),
                    report.n
                ),
            });
        }
        Ok(report)
    }
}

impl Metric {
    fn is_finite(&self) -> bool {
        self.value.is_finite() && self.low.is_finite() && self.high.is_finite()
    }
}

fn check_finite(task: &str, metrics: &[Metric]) -> Result<(), EvalError> {
    match metrics.iter().find(|metric| !metric.is_finite()) {
        None => Ok(()),
        Some(metric) => Err(EvalError::MetricNotFinite {
            task: task.into(),
            name: metric.name.clone(),
            value: metric.value,
        }),
    }
}

/// As serde asks it.
fn is_zero(n: &usize) -> bool {
    *n == 0
}

fn write_lines(path: &Path, values: &[impl Serialize]) -> Result<(), EvalError> {
    let mut lines = Vec::new();
    for value in values {
        serde_json::to_writer(&mut lines, value).map_err(|error| unwritable(path, error))?;
        lines.push(b'\n');
    }
    Ok(write_file_atomic(path, &lines)?)
}

fn read_lines<T: for<'a> Deserialize<'a>>(path: &Path) -> Result<Vec<T>, EvalError> {
    let text = read_text(path)?;
    let lines = text.lines().enumerate();
    lines.map(|(i, line)| parse(path, i + 1, line)).collect()
}

fn unwritable(path: &Path, source: serde_json::Error) -> EvalError {
    EvalError::Unreadable {
        path: path.to_owned(),
        line: 1,
        source,
    }
}

fn paths(folder: &Path) -> [PathBuf; 2] {
    [folder.join("scores.json"), folder.join("samples.jsonl")]
}

fn read_text(path: &Path) -> Result<String, EvalError> {
    fs_err::read_to_string(path).map_err(|error| RunError::io(path, error).into())
}

fn parse<T: for<'a> Deserialize<'a>>(path: &Path, line: usize, text: &str) -> Result<T, EvalError> {
    serde_json::from_str(text).map_err(|source| EvalError::Unreadable {
        path: path.to_owned(),
        line: line + source.line() - 1,
        source,
    })
}
