//! What can stop an evaluation.

use std::path::PathBuf;

use slm_grammar::GrammarError;
use slm_run::RunError;
use slm_suite::SuiteError;
use slm_text::TextError;
use thiserror::Error;

use slm_recipe::MetricName;

use crate::measure_name::MeasureName;

/// Why a task could not be evaluated, compared, written or read.
#[derive(Debug, Error)]
pub enum EvalError {
    /// Nothing to measure: an empty task never passes for a measured one.
    #[error("task `{task}` has no items")]
    NoItems {
        /// The task.
        task: String,
    },
    /// A multiple-choice task without choices.
    #[error("task `{task}` has {found} choices, `multiple_choice` needs at least 2")]
    TooFewChoices {
        /// The task.
        task: String,
        /// Distinct choices found.
        found: usize,
    },
    /// The same choice twice.
    #[error("task `{task}` names the choice `{choice}` more than once")]
    DuplicateChoice {
        /// The task.
        task: String,
        /// The choice.
        choice: String,
    },
    /// An item whose answer is none of the choices.
    #[error("{origin}: the answer `{target}` is none of the {n_choices} choices of task `{task}`")]
    UnknownTarget {
        /// The task.
        task: String,
        /// Where the item comes from.
        origin: String,
        /// Its answer.
        target: String,
        /// How many choices there are.
        n_choices: usize,
        /// The choice that looks most like it.
        nearest: Option<String>,
    },
    /// An answer that encodes to no token.
    #[error("{origin}: the answer `{target}` of task `{task}` gives no token to score")]
    EmptyTarget {
        /// The task.
        task: String,
        /// Where the item comes from.
        origin: String,
        /// The answer.
        target: String,
    },
    /// A prompt that encodes to no token: the first token of the answer would be predicted from nothing.
    #[error("{origin}: the prompt of task `{task}` gives no token")]
    EmptyPrompt {
        /// The task.
        task: String,
        /// Where the item comes from.
        origin: String,
    },
    /// An item that the tokenizer or its chat template refuses.
    #[error("{origin}: task `{task}` cannot encode this item: {source}")]
    Text {
        /// The task.
        task: String,
        /// Where the item comes from.
        origin: String,
        /// Why.
        source: TextError,
    },
    /// What answers cannot be held to.
    #[error("task `{task}` cannot hold its answers to `constraint`: {source}")]
    Constraint {
        /// The task.
        task: String,
        /// Why.
        source: Box<GrammarError>,
    },
    /// A file that holds no schema.
    #[error("task `{task}`: `{}` is not valid JSON: {source}", path.display())]
    SchemaFile {
        /// The task.
        task: String,
        /// The file.
        path: PathBuf,
        /// What the parser met, with line and column.
        source: serde_json::Error,
    },
    /// A tokenizer whose answers cannot be constrained.
    #[error("task `{task}` cannot hold its answers to `constraint`: {source}")]
    Unspelled {
        /// The task.
        task: String,
        /// Why.
        source: TextError,
    },
    /// An item that the model cannot read.
    #[error(
        "{origin}: task `{task}` needs {tokens} tokens for this item, the model reads at most {limit}"
    )]
    TooLong {
        /// The task.
        task: String,
        /// Where the item comes from.
        origin: String,
        /// Tokens needed.
        tokens: usize,
        /// Tokens that fit.
        limit: usize,
    },
    /// The model gave something that is not a number.
    #[error("{origin}: the model's log-likelihood is {value} in task `{task}`")]
    NotFinite {
        /// The task.
        task: String,
        /// Where the item comes from.
        origin: String,
        /// What it gave.
        value: f64,
    },
    /// A figure that is not a number.
    #[error("{} of task `{task}` is {value}", name.label())]
    MetricNotFinite {
        /// The task.
        task: String,
        /// The metric.
        name: MeasureName,
        /// What came out.
        value: f64,
    },
    /// A metric that was asked for and applies to no item.
    #[error("task `{task}` has no item to measure by {}", name.label())]
    MetricWithoutItems {
        /// The task.
        task: String,
        /// The metric.
        name: MetricName,
    },
    /// Too few rows to calibrate on.
    #[error(
        "task `{task}` has {found} rows to calibrate on, a coverage of {coverage} needs about {needed}"
    )]
    TooFewCalibrationRows {
        /// The task.
        task: String,
        /// Rows found.
        found: usize,
        /// Rows needed: half of them set the threshold.
        needed: usize,
        /// The coverage that was asked for.
        coverage: f64,
    },
    /// Two reports that are not about the same items.
    #[error("the reports of task `{task}` are not about the same items: {found}")]
    NotPaired {
        /// The task.
        task: String,
        /// The first difference.
        found: String,
    },
    /// A file of an evaluation that cannot be read back.
    #[error("`{}` line {line} is not part of an evaluation: {source}", path.display())]
    Unreadable {
        /// The file.
        path: PathBuf,
        /// The line, from 1.
        line: usize,
        /// What serde says.
        source: serde_json::Error,
    },
    /// An evaluation without tasks.
    #[error("the evaluation holds no task")]
    NoTasks,
    /// A file that is no baseline.
    #[error("`{}` is not a baseline: {source}", path.display())]
    BaselineUnreadable {
        /// The file.
        path: PathBuf,
        /// What serde says.
        source: serde_json::Error,
    },
    /// A baseline of another format.
    #[error("baseline `{}` has format version {found}, this version reads {}", path.display(), crate::baseline::BASELINE_FORMAT)]
    BaselineFormat {
        /// The file.
        path: PathBuf,
        /// Its version; 0 without one.
        found: u64,
    },
    /// Rows without the column that they are grouped by.
    #[error("{reason}")]
    NoGroup {
        /// Which row, and what it lacks.
        reason: String,
    },
    /// Answers that a task's measure cannot be taken of.
    #[error("task `{task}`: {reason}")]
    NotMeasurable {
        /// The task.
        task: String,
        /// Why.
        reason: String,
    },
    /// A suite whose rows cannot be asked.
    #[error(transparent)]
    Suite(#[from] SuiteError),
    /// A file could not be written or read.
    #[error(transparent)]
    Run(#[from] RunError),
}

impl EvalError {
    pub(crate) fn constraint(task: &str, source: GrammarError) -> Self {
        Self::Constraint {
            task: task.into(),
            source: source.into(),
        }
    }

    /// Whether rows or suites are to be mended, not the model.
    pub fn is_about_rows(&self) -> bool {
        matches!(
            self,
            Self::NoItems { .. }
                | Self::TooFewChoices { .. }
                | Self::DuplicateChoice { .. }
                | Self::UnknownTarget { .. }
                | Self::EmptyTarget { .. }
                | Self::EmptyPrompt { .. }
                | Self::NotMeasurable { .. }
                | Self::Suite(_)
        )
    }

    /// What the user can do about it.
    pub fn hint(&self) -> Option<String> {
        match self {
            Self::NoItems { .. } => Some(
                "give the task rows with `path`, or hold rows out with `data.val_size`".into(),
            ),
            Self::TooFewChoices { .. } => Some(
                "list the answers in the task's `choices` or in `data.labels`".into(),
            ),
            Self::DuplicateChoice { .. } => Some("remove one of the two".into()),
            Self::UnknownTarget { nearest, .. } => Some(match nearest {
                Some(nearest) => format!("did you mean `{nearest}`? every answer must be one of the choices"),
                None => "add it to the task's `choices` or to `data.labels`".into(),
            }),
            Self::EmptyTarget { .. } => Some("remove the row, or give it an answer".into()),
            Self::EmptyPrompt { .. } => Some("give the row a prompt; this tokenizer puts no token before a text".into()),
            Self::TooLong { .. } => Some(
                "shorten the row, drop it (`data.overlong = \"drop\"` for held-out rows), or use a base with a longer context".into(),
            ),
            Self::NotFinite { .. } | Self::MetricNotFinite { .. } => Some(
                "training has probably diverged: lower `train.learning_rate`, or evaluate an earlier checkpoint".into(),
            ),
            Self::MetricWithoutItems { name, .. } => Some(format!(
                "take `{}` out of the task's `metrics`",
                name.key()
            )),
            Self::TooFewCalibrationRows { .. } => Some(
                "raise `calibration.share`, give a file of more rows, or lower `calibration.coverage`".into(),
            ),
            Self::NotPaired { .. } => Some("evaluate both models again on the same rows".into()),
            Self::Unreadable { .. } => Some("delete the file and run the evaluation again".into()),
            Self::NoTasks => Some("measure it first: `slm-tune eval RUN`".into()),
            Self::BaselineUnreadable { .. } | Self::BaselineFormat { .. } => {
                Some("write it again: `slm-tune baseline save RUN FILE`".into())
            }
            Self::NoGroup { .. } => Some("group by a short column that the prompt does not use".into()),
            Self::NotMeasurable { .. } => Some("take the metric out of the task's list".into()),
            Self::Suite(error) => error.hint(),
            Self::Run(error) => error.hint(),
            Self::Text { source, .. } | Self::Unspelled { source, .. } => source.hint(),
            Self::Constraint { source, .. } => source.hint(),
            Self::SchemaFile { .. } => Some("`constraint.json_schema` names a file with a JSON schema".into()),
        }
    }
}
