//! What can stop a training run.

use std::path::PathBuf;

use slm_data::{CacheError, TranslationError};
use slm_dist::DistError;
use slm_model::ModelError;
use slm_run::RunError;

use crate::Fault;

/// A run that cannot go on.
#[derive(Debug, thiserror::Error)]
pub enum TrainError {
    #[error(transparent)]
    Diverged(Box<Diverged>),
    #[error(
        "a row of {row_tokens} tokens needs {:.1} GB even with gradient checkpointing, and of {:.1} GB that are free nine tenths are used",
        gb(.needed_bytes), gb(.free_bytes)
    )]
    WillNotFit {
        needed_bytes: u64,
        free_bytes: u64,
        row_tokens: usize,
    },
    #[error("`train.per_device_train_batch_size` is still `auto`")]
    Unsettled,
    #[error("there are no training rows")]
    NoRows,
    #[error("{found} answers have a reference, {needed} were needed")]
    NoReference { found: usize, needed: usize },
    #[error("full fine-tuning updates the weights themselves and needs `model.dtype = \"f32\"`")]
    NeedsF32,
    #[error(
        "`distill.hidden.layers` has the student's layer {} follow the teacher's {}, and they have {} and {} layers, counted from 0",
        .pair[0], .pair[1], .layers[0], .layers[1]
    )]
    NoSuchLayers {
        /// Of the student and the teacher.
        pair: [usize; 2],
        /// How many both have.
        layers: [usize; 2],
    },
    #[error("checkpoint `{path}`: {what}")]
    Checkpoint { path: PathBuf, what: String },
    #[error("step {step} was not taken: {source}")]
    Lost {
        /// Counted from 1.
        step: usize,
        source: DistError,
        /// The state before the step, written by the first process.
        checkpoint: PathBuf,
    },
    #[error(transparent)]
    Translation(#[from] TranslationError),
    #[error(transparent)]
    Cache(#[from] CacheError),
    #[error(transparent)]
    Dist(#[from] DistError),
    #[error(transparent)]
    Model(#[from] ModelError),
    #[error(transparent)]
    Run(#[from] RunError),
}

/// A step that is not to be learned from.
#[derive(Clone, Debug, PartialEq, thiserror::Error)]
#[error("step {step} was not taken: {fault}{}", told(.origins))]
pub struct Diverged {
    /// Counted from 1.
    pub step: usize,
    pub fault: Fault,
    /// Numbers of the rows of the micro-batch that it comes from, or of all when that cannot be told.
    pub rows: Vec<usize>,
    /// Where those rows come from, such as `train.jsonl:12`; see [`TrainError::with_origins`].
    pub origins: Vec<String>,
    /// The state before the step.
    pub checkpoint: PathBuf,
}

fn gb(bytes: &u64) -> f64 {
    *bytes as f64 / 1e9
}

/// At most eight places.
fn told(origins: &[String]) -> String {
    let shown: Vec<_> = origins.iter().take(8).map(|it| format!("`{it}`")).collect();
    let more = match origins.len() - shown.len() {
        0 => String::new(),
        more => format!(" and {more} more"),
    };
    match shown.is_empty() {
        true => String::new(),
        false => format!("; it learned from {}{more}", shown.join(", ")),
    }
}

impl TrainError {
    /// The same error, with the places of the rows that are behind it.
    #[must_use]
    pub fn with_origins<'a>(mut self, origin: impl Fn(usize) -> Option<&'a str>) -> Self {
        if let Self::Diverged(it) = &mut self {
            let named = it.rows.iter().filter_map(|row| origin(*row));
            it.origins = named.map(str::to_owned).collect();
        }
        self
    }

    /// What the user can do about it.
    pub fn hint(&self) -> Option<String> {
        match self {
            Self::Diverged(it) => Some(format!(
                "look at these rows; else try a lower `train.learning_rate`, a longer warm-up, or a lower \
                 `train.max_grad_norm`. The state before the step is in `{}`",
                it.checkpoint.display()
            )),
            Self::WillNotFit { .. } => Some(
                "keep the base in `model.quantization = \"int8\"` or `\"nf4\"`, or in `model.dtype = \"bf16\"`; drop or cut long \
                 rows with a smaller `model.max_length`; or take a smaller base"
                    .into(),
            ),
            Self::Unsettled => Some("write the rows of a micro-batch as a number".into()),
            Self::NoRows => Some("`slm-tune data stats` shows what was dropped and why".into()),
            Self::NoReference { .. } => {
                Some("`--overwrite` starts afresh, and computes the reference again".into())
            }
            Self::NeedsF32 => Some("train an adapter instead: `train.method = \"lora\"`".into()),
            Self::NoSuchLayers { layers, .. } => Some(format!(
                "name layers from 0 to {} and from 0 to {}, or leave them to `distill.hidden.layers = \"uniform\"`",
                layers[0].saturating_sub(1),
                layers[1].saturating_sub(1)
            )),
            Self::Checkpoint { .. } => Some(
                "the checkpoint may belong to another recipe; `--overwrite` starts afresh".into(),
            ),
            Self::Lost { checkpoint, .. } => Some(format!(
                "`slm-tune resume` goes on from the newest checkpoint, with any number of processes; where the first one is \
                 left, that is the state before the step, `{}`",
                checkpoint.display()
            )),
            Self::Translation(error) => error.hint(),
            Self::Cache(error) => error.hint(),
            Self::Dist(error) => error.hint(),
            Self::Model(error) => error.hint(),
            Self::Run(error) => error.hint(),
        }
    }
}
