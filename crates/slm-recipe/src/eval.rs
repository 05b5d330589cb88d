//! `[eval]`: what is measured on the base and on the tuned model.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::MetricName;

/// The measurements after training.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct EvalSection {
    /// Use at most this many held-out rows for the loss, 0 for all.
    pub max_samples: usize,
    /// Whether the base is measured as well.
    pub compare_base: bool,
    /// The tasks.
    pub task: Vec<EvalTask>,
}

impl Default for EvalSection {
    fn default() -> Self {
        Self {
            max_samples: 0,
            compare_base: true,
            task: Vec::new(),
        }
    }
}

/// One task: rows, and how their answers are scored.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
#[schemars(extend("required" = ["name", "output_type"]))]
pub struct EvalTask {
    /// Name in reports and of the folder under `eval/`; unique.
    #[schemars(extend("minLength" = 1))]
    pub name: String,
    /// File of rows; without it, the held-out rows.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub path: Option<String>,
    /// How the model answers.
    pub output_type: OutputType,
    /// The possible answers of `multiple_choice`, and the labels of a constraint; empty = `data.labels`, or the distinct
    /// completions of the training rows. With `generate_until`, the answers that count as valid; empty = any.
    pub choices: Vec<String>,
    /// What is computed, the headline first; empty = the usual ones of the output type.
    pub metrics: Vec<MetricName>,
    /// Longest answer of `generate_until`, in tokens.
    #[schemars(extend("minimum" = 1))]
    pub max_new_tokens: usize,
    /// Sampling temperature of `generate_until`; 0 = greedy.
    #[schemars(extend("minimum" = 0))]
    pub temperature: f64,
    /// Nucleus of `generate_until`: sample from the likeliest tokens that together have this probability.
    #[schemars(extend("exclusiveMinimum" = 0, "maximum" = 1))]
    pub top_p: f64,
    /// Texts that end an answer of `generate_until`.
    pub stop: Vec<String>,
    /// What an answer of `generate_until` is held to while it is written.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub constraint: Option<AnswerConstraint>,
    /// Use at most this many rows, 0 for all.
    pub max_samples: usize,
    /// Rows that are answered together.
    #[schemars(extend("minimum" = 1))]
    pub batch_size: usize,
    /// Calibrates the probabilities of `multiple_choice` and lets it abstain.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub calibration: Option<CalibrationSection>,
}

/// Rows that calibrate a classifier, and what its answers promise.
///
/// They are never rows of the test: they are set aside from the task's rows, or lie in a file of their own. Half of them set the temperature, the other half
/// the threshold. Rows with the same prompt stay together.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct CalibrationSection {
    /// File of rows; without it, `share` of the task's rows are set aside.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub path: Option<String>,
    /// Share of the task's rows that are set aside, seeded.
    #[schemars(extend("exclusiveMinimum" = 0, "exclusiveMaximum" = 1))]
    pub share: f64,
    /// Share of rows, at least, that is answered rightly or not at all; at most the rest is answered wrongly.
    #[schemars(extend("exclusiveMinimum" = 0, "exclusiveMaximum" = 1))]
    pub coverage: f64,
}

impl Default for CalibrationSection {
    fn default() -> Self {
        Self {
            path: None,
            share: 0.5,
            coverage: 0.9,
        }
    }
}

impl Default for EvalTask {
    fn default() -> Self {
        Self {
            name: String::new(),
            path: None,
            output_type: OutputType::GenerateUntil,
            choices: Vec::new(),
            metrics: Vec::new(),
            max_new_tokens: 64,
            temperature: 0.0,
            top_p: 1.0,
            stop: Vec::new(),
            constraint: None,
            max_samples: 0,
            batch_size: 16,
            calibration: None,
        }
    }
}

/// What answers are held to while they are written: one of the three.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct AnswerConstraint {
    /// One of the task's choices.
    pub labels: bool,
    /// What this regular expression matches from end to end.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub regex: Option<String>,
    /// JSON that the schema in this file describes.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub json_schema: Option<String>,
}

impl AnswerConstraint {
    /// How many of the three are given.
    pub(crate) fn count(&self) -> usize {
        let given = [
            self.labels,
            self.regex.is_some(),
            self.json_schema.is_some(),
        ];
        given.into_iter().filter(|given| *given).count()
    }
}

impl EvalTask {
    /// What is computed: the task's own metrics, or the usual ones of its output type.
    pub fn measured(&self) -> &[MetricName] {
        match &self.metrics[..] {
            [] => self.output_type.default_metrics(),
            named => named,
        }
    }
}

/// How the model answers, in the names of lm-evaluation-harness.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum OutputType {
    /// The choice with the largest log-likelihood: accuracy.
    MultipleChoice,
    /// A generated text: exact match.
    GenerateUntil,
    /// The log-likelihood of the row's own answer: loss and perplexity.
    Loglikelihood,
}
