//! `[eval]`: what is measured on the base and on the tuned model.

mod filter;
mod suite;

pub use filter::{FilterFunction, FilterPipeline, FilterStep};
pub use suite::Suite;

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
    /// Suites of tasks, as files: TOML of `[[task]]`, or YAML of lm-evaluation-harness; `general` is part of the binary.
    pub suite: Vec<String>,
    /// Whether base and tuned model are asked what has nothing to do with the rows: the suite `general`.
    pub forgetting: bool,
    /// The tasks.
    pub task: Vec<EvalTask>,
}

impl Default for EvalSection {
    fn default() -> Self {
        Self {
            max_samples: 0,
            compare_base: true,
            suite: Vec::new(),
            forgetting: false,
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
    /// What a row of `path` asks: a column, a text with `{column}` places, or Jinja. Without it, rows are read as `[[data.train]]` says.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub prompt: Option<String>,
    /// What a row wants as answer, written like `prompt`; a number is that of a choice, counted from 0.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub target: Option<String>,
    /// The possible answers of `multiple_choice`, and the labels of a constraint; empty = `data.labels`, or the distinct
    /// completions of the training rows. With `generate_until`, the answers that count as valid; empty = any.
    pub choices: Vec<String>,
    /// What is computed, the headline first; empty = the usual ones of the output type.
    pub metrics: Vec<MetricName>,
    /// The choices of each row, instead of `choices`: a column that holds a list, or Jinja that gives one.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub choices_from: Option<String>,
    /// Whether the choices of `multiple_choice` are also scored without the prompt: accuracy by the difference.
    pub calibrate: bool,
    /// Text before the examples and the prompt.
    pub description: String,
    /// Rows with their answers that stand before the prompt.
    pub num_fewshot: usize,
    /// File of the rows to show; by default `path`, without the row that is asked.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub fewshot_path: Option<String>,
    /// Which rows are shown.
    pub fewshot_sampler: FewshotSampler,
    /// Text between a prompt and its answer.
    pub target_delimiter: String,
    /// Text after an example.
    pub fewshot_delimiter: String,
    /// Whether the prompt is a conversation of the chat template.
    pub chat_template: bool,
    /// How often `generate_until` answers each row.
    #[schemars(extend("minimum" = 1))]
    pub repeats: usize,
    /// Pipelines that make the answer of `generate_until` out of what was written, each measured by itself.
    pub filter: Vec<FilterPipeline>,
    /// What exact match does not look at.
    pub exact_match: ExactMatch,
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
            prompt: None,
            target: None,
            choices: Vec::new(),
            metrics: Vec::new(),
            choices_from: None,
            calibrate: false,
            description: String::new(),
            num_fewshot: 0,
            fewshot_path: None,
            fewshot_sampler: FewshotSampler::Random,
            target_delimiter: " ".into(),
            fewshot_delimiter: "\n\n".into(),
            chat_template: false,
            repeats: 1,
            filter: Vec::new(),
            exact_match: ExactMatch::default(),
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

impl EvalSection {
    /// The suites that are asked: those that are named, and `general` where what was forgotten is measured.
    pub fn suites(&self) -> Vec<String> {
        let mut suites = self.suite.clone();
        if self.forgetting && !suites.iter().any(|name| name == Suite::GENERAL) {
            suites.push(Suite::GENERAL.into());
        }
        suites
    }
}

impl EvalTask {
    /// Whether its rows are filled into templates of its own, instead of being read as the rows to learn from are.
    pub fn is_templated(&self) -> bool {
        self.prompt.is_some() || self.target.is_some()
    }
}

/// Which rows are shown before a prompt, in the names of lm-evaluation-harness where it has one.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum FewshotSampler {
    /// Others for each row, drawn from a seed.
    #[default]
    Random,
    /// The first ones of the file.
    FirstN,
}

/// What exact match does not look at, in answer and target alike.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct ExactMatch {
    /// Whether letters are large.
    pub ignore_case: bool,
    /// ASCII punctuation.
    pub ignore_punctuation: bool,
    /// The digits 0 to 9.
    pub ignore_numbers: bool,
    /// What these regular expressions of Python find.
    pub regexes_to_ignore: Vec<String>,
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
    /// The log-likelihood of the row's whole text, in windows as long as the model reads: perplexity.
    LoglikelihoodRolling,
}
