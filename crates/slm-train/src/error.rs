//! What can stop a training run.

use std::path::PathBuf;

use slm_model::ModelError;
use slm_run::RunError;

/// A run that cannot go on.
#[derive(Debug, thiserror::Error)]
pub enum TrainError {
    #[error("the loss of step {step} is {loss}")]
    Diverged { step: usize, loss: f64 },
    #[error("there are no training rows")]
    NoRows,
    #[error("full fine-tuning updates the weights themselves and needs `model.dtype = \"f32\"`")]
    NeedsF32,
    #[error("checkpoint `{path}`: {what}")]
    Checkpoint { path: PathBuf, what: String },
    #[error(transparent)]
    Model(#[from] ModelError),
    #[error(transparent)]
    Run(#[from] RunError),
}

impl TrainError {
    /// What the user can do about it.
    pub fn hint(&self) -> Option<String> {
        match self {
            Self::Diverged { .. } => {
                Some("try a lower `train.learning_rate`, or a longer `train.warmup_ratio`".into())
            }
            Self::NoRows => Some("`slm-tune data stats` shows what was dropped and why".into()),
            Self::NeedsF32 => Some("train an adapter instead: `train.method = \"lora\"`".into()),
            Self::Checkpoint { .. } => Some(
                "the checkpoint may belong to another recipe; `--overwrite` starts afresh".into(),
            ),
            Self::Model(error) => error.hint(),
            Self::Run(error) => error.hint(),
        }
    }
}
