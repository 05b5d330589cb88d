//! What is wrong with a suite, its rows, or what a task makes of them.

use std::path::PathBuf;

use slm_data::DataError;
use slm_recipe::{Place, RecipeErrors};
use slm_text::TextError;
use thiserror::Error;

/// Why a suite cannot be read, or a task not be asked.
#[derive(Debug, Error)]
pub enum SuiteError {
    /// A file that cannot be read.
    #[error("cannot read suite `{}`: {reason}", file.display())]
    Unreadable {
        /// The file.
        file: PathBuf,
        /// What the system said.
        reason: String,
    },
    /// A TOML suite with problems.
    #[error(transparent)]
    Toml(#[from] RecipeErrors),
    /// It is not YAML.
    #[error("{place} is not valid YAML: {reason}")]
    Syntax {
        /// Where.
        place: Place,
        /// What the parser said.
        reason: String,
    },
    /// A key that means nothing here.
    #[error("{place} unknown key `{key}`{}", question(nearest.as_deref()))]
    UnknownKey {
        /// Where.
        place: Place,
        /// The key.
        key: String,
        /// The key that was probably meant.
        nearest: Option<String>,
    },
    /// A key whose value is Python.
    #[error(
        "{place} `{key}` is the Python function `{function}`, which only lm-evaluation-harness can run"
    )]
    Python {
        /// Where.
        place: Place,
        /// The key.
        key: String,
        /// The function.
        function: String,
    },
    /// A value of another type, or outside what is allowed.
    #[error("{place} `{key}` is {found}, needs {needed}")]
    Value {
        /// Where.
        place: Place,
        /// The key.
        key: String,
        /// What was found.
        found: String,
        /// What is needed.
        needed: String,
    },
    /// A key that is needed and not there.
    #[error("{place} missing key `{key}`: {reason}")]
    MissingKey {
        /// The file.
        place: Place,
        /// The key.
        key: String,
        /// What it is needed for.
        reason: String,
    },
    /// A file that leads back to itself.
    #[error("{place} `{key}` leads back to `{target}`")]
    Circle {
        /// Where.
        place: Place,
        /// `include` or `task`.
        key: String,
        /// What it leads to.
        target: String,
    },
    /// A group whose task has no file.
    #[error("{place} no file beside `{}` names the task or tag `{name}`", file.display())]
    UnknownTask {
        /// Where.
        place: Place,
        /// The group's file.
        file: PathBuf,
        /// The name.
        name: String,
    },
    /// A suite without a task.
    #[error("suite `{}` has no task", file.display())]
    Empty {
        /// The file.
        file: PathBuf,
    },
    /// Rows that were given to a task that the suite does not have.
    #[error("rows are given for task `{task}`, which no suite has")]
    UnusedRows {
        /// The task.
        task: String,
        /// The name that was probably meant.
        nearest: Option<String>,
    },
    /// A task without rows on this machine.
    #[error("task `{task}` has no rows here for its split `{split}`: it names `{dataset}`")]
    NoRows {
        /// The task.
        task: String,
        /// The split that is needed.
        split: String,
        /// The data set that the file names.
        dataset: String,
    },
    /// A template that does not compile.
    #[error("task `{task}`: `{key}` is no template: {reason}")]
    Template {
        /// The task.
        task: String,
        /// The key.
        key: &'static str,
        /// What the engine said.
        reason: String,
    },
    /// A row that a template cannot be filled with, or whose values do not fit.
    #[error("{origin}: task `{task}`, `{key}`: {reason}")]
    Row {
        /// Where the row comes from.
        origin: String,
        /// The task.
        task: String,
        /// The key.
        key: &'static str,
        /// What is wrong.
        reason: String,
        /// The value that was probably meant.
        nearest: Option<String>,
    },
    /// Keys of a task that do not go together.
    #[error("task `{task}`: {reason}")]
    Task {
        /// The task.
        task: String,
        /// What contradicts what, and what is needed.
        reason: String,
    },
    /// A prompt that the chat template refuses.
    #[error("{origin}: task `{task}` cannot write this prompt: {source}")]
    Chat {
        /// Where the row comes from.
        origin: String,
        /// The task.
        task: String,
        /// Why.
        source: TextError,
    },
    /// Rows that cannot be read.
    #[error(transparent)]
    Data(#[from] DataError),
}

fn question(nearest: Option<&str>) -> String {
    nearest.map_or_else(String::new, |nearest| {
        format!("; did you mean `{nearest}`?")
    })
}

impl SuiteError {
    /// What the user can do about it.
    pub fn hint(&self) -> Option<String> {
        match self {
            Self::Toml(errors) => errors.hint(),
            Self::Data(error) => error.hint(),
            Self::Chat { source, .. } => source.hint(),
            Self::Python { .. } => Some(
                "write what it does as a Jinja template, or write the rows out as they come from it and name them with `--data TASK=FILE`".into(),
            ),
            Self::UnknownTask { .. } => {
                Some("put the task's file beside the group's, or take the name out of the group".into())
            }
            Self::NoRows { task, split, .. } => Some(format!(
                "name a file of rows: `--data {task}=FILE`, or `--data {task}:{split}=FILE` for this split alone"
            )),
            Self::UnusedRows { nearest: Some(nearest), .. } => Some(format!("did you mean `{nearest}`?")),
            Self::Row { nearest: Some(nearest), .. } => Some(format!("did you mean `{nearest}`?")),
            Self::Empty { .. } => Some("give it a `[[task]]`".into()),
            _ => None,
        }
    }
}
