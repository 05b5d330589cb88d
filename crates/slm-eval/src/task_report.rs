//! What one model did on one task, and its two files: the figures as JSON, every sample as JSONL.

use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};
use slm_recipe::{EvalTask, MetricName, OutputType};
use slm_run::{RunError, write_file_atomic};
use slm_suite::Figure;

use crate::calibration::Calibration;
use crate::error::EvalError;
use crate::metric::{Answers, Metric, measure};
use crate::sample::Sample;
use crate::suite::Exchange;

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
    /// The figures of a suite's task, in the names of lm-evaluation-harness.
    #[serde(skip_serializing_if = "Vec::is_empty", default)]
    pub figures: Vec<Figure>,
    /// Seconds that the answers took.
    pub elapsed_s: f64,
    /// Tokens that a suite's task had the model read to score pairs: what several begin with counts once.
    #[serde(skip_serializing_if = "is_zero", default)]
    pub tokens_read: usize,
    /// What a suite's task asked and was answered, item by item; in a file of its own.
    #[serde(skip)]
    pub exchanges: Vec<Exchange>,
    /// Every item; in a file of its own.
    #[serde(skip)]
    pub samples: Vec<Sample>,
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
        if let Some(metric) = metrics.iter().find(|metric| !metric.is_finite()) {
            return Err(EvalError::MetricNotFinite {
                task: name.clone(),
                name: metric.name,
                value: metric.value,
            });
        }
        Ok(Self {
            task: name.clone(),
            output_type: task.output_type,
            definition: None,
            n: samples.len(),
            choices,
            metrics,
            calibration: None,
            figures: Vec::new(),
            elapsed_s,
            tokens_read: 0,
            exchanges: Vec::new(),
            samples,
        })
    }

    /// Adds what only the task of a suite has.
    pub(crate) fn with_suite(self, figures: Vec<Figure>, exchanges: Vec<Exchange>) -> Self {
        Self {
            figures,
            exchanges,
            ..self
        }
    }

    /// The figure of this name, if the task has it.
    pub fn metric(&self, name: MetricName) -> Option<&Metric> {
        self.metrics.iter().find(|metric| metric.name == name)
    }

    pub(crate) fn answers(&self) -> Answers<'_> {
        Answers {
            choices: &self.choices,
            samples: &self.samples,
        }
    }

    /// Writes `scores.json` and `samples.jsonl` into a folder that exists, and `exchanges.jsonl` where there are some. Returns the
    /// paths of the first two.
    ///
    /// # Errors
    /// When the folder cannot be written; each file is there whole or not at all.
    pub fn write(&self, folder: &Path) -> Result<[PathBuf; 2], EvalError> {
        let [scores, samples] = paths(folder);
        write_lines(&samples, &self.samples)?;
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
        report.samples = read_text(&samples)?
            .lines()
            .enumerate()
            .map(|(i, line)| parse(&samples, i + 1, line))
            .collect::<Result<_, _>>()?;
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
