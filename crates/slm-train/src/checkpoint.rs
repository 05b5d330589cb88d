//! What a run needs to go on: trained weights, moments, and where it stood.

use std::collections::VecDeque;
use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};
use slm_model::{Decoder, Param, WeightFile, write_safetensors};
use slm_run::{AtomicDir, write_file_atomic};

use crate::state_file::{StateFile, write_states};
use crate::{LossScale, Optimizer, Plateau, TrainError};

/// Where a run stands after a step. Everything else follows from the recipe, the seed and the data.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct State {
    /// Optimizer steps taken.
    pub step: usize,
    /// Micro-batches of a step, over all processes: a resumed run keeps it, however many processes it has. 0 in what an earlier
    /// version wrote, which had one.
    #[serde(default)]
    pub micro_batches: usize,
    /// The best evaluation so far.
    pub best: Option<Best>,
    /// Evaluations since the best one.
    pub evals_without_gain: usize,
    /// Of `reduce_lr_on_plateau`.
    pub plateau: Option<Plateau>,
    /// Losses of the last steps, for `loss_spike_factor`.
    #[serde(with = "crate::exact::list")]
    pub recent_losses: VecDeque<f64>,
    /// Of a base in f16.
    pub loss_scale: Option<LossScale>,
    /// Tokens read so far, padding not counted.
    pub tokens: u64,
    /// Loss of the first step and of the last.
    pub first_loss: f64,
    pub last_loss: f64,
}

/// An evaluation that no earlier one was better than.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Best {
    pub step: usize,
    /// The loss on the held-out rows, or the task's metric.
    #[serde(with = "crate::exact")]
    pub metric: f64,
}

/// A complete checkpoint: `weights.safetensors`, `optimizer.safetensors`, and `state.json`, written last.
#[derive(Clone, Debug)]
pub struct Checkpoint {
    pub path: PathBuf,
    pub state: State,
}

impl Checkpoint {
    /// The folder of a step under `checkpoints/`.
    pub fn folder(checkpoints: &Path, step: usize) -> PathBuf {
        checkpoints.join(format!("step-{step:06}"))
    }

    /// Writes a checkpoint of what is `trained` under a temporary name and renames it when it is whole.
    ///
    /// # Errors
    /// The folder cannot be written.
    pub fn write(
        checkpoints: &Path,
        trained: Vec<&Param>,
        optimizer: &mut Optimizer,
        state: &State,
    ) -> Result<Self, TrainError> {
        let path = Self::folder(checkpoints, state.step);
        if path.exists() {
            fs_err::remove_dir_all(&path).map_err(|e| slm_run::RunError::io(&path, e))?;
        }
        let dir = AtomicDir::new(&path)?;
        write_safetensors(&dir.path().join("weights.safetensors"), trained, &[])?;
        write_states(&dir.path().join("optimizer.safetensors"), optimizer.parts())?;
        let json = serde_json::to_vec_pretty(state).unwrap_or_default();
        write_file_atomic(dir.path().join("state.json"), &json)?;
        dir.commit()?;
        Ok(Self {
            path,
            state: state.clone(),
        })
    }

    /// Opens a complete checkpoint.
    ///
    /// # Errors
    /// `state.json` is missing or not readable.
    pub fn open(path: &Path) -> Result<Self, TrainError> {
        let state = path.join("state.json");
        let wrong = |what: String| TrainError::Checkpoint {
            path: path.into(),
            what,
        };
        let text = fs_err::read_to_string(&state).map_err(|e| wrong(e.to_string()))?;
        let state = serde_json::from_str(&text).map_err(|e| wrong(format!("`state.json`: {e}")))?;
        Ok(Self {
            path: path.into(),
            state,
        })
    }

    /// Puts the trained weights back into `decoder`.
    ///
    /// # Errors
    /// A weight is missing or has another shape.
    pub fn restore_weights(&self, decoder: &mut Decoder) -> Result<(), TrainError> {
        self.restore_params(&mut decoder.trainable_mut())
    }

    fn restore_params(&self, trained: &mut [&mut Param]) -> Result<(), TrainError> {
        let file = WeightFile::open(&self.path.join("weights.safetensors"))?;
        for param in trained {
            let device = param.value.device().inner();
            let value = file.read_matrix(&param.name, param.value.dims(), &device)?;
            param.set(value);
        }
        Ok(())
    }

    /// Puts weights and the optimizer's states back into what is `trained`.
    ///
    /// # Errors
    /// A weight is missing, or something has another shape.
    pub fn restore(
        &self,
        mut trained: Vec<&mut Param>,
        optimizer: &mut Optimizer,
    ) -> Result<(), TrainError> {
        self.restore_params(&mut trained)?;
        let file = StateFile::open(&self.path.join("optimizer.safetensors"))?;
        let params: Vec<&Param> = trained.iter().map(|param| &**param).collect();
        let mut read = 0;
        let skipped = self.state.loss_scale.map_or(0, |scale| scale.skipped);
        optimizer.restore(self.state.step - skipped, &params, |name, part| {
            let found = file.fill(name, part)?;
            read += usize::from(found);
            Ok(found)
        })?;
        match file.len()? - read {
            0 => Ok(()),
            others => Err(TrainError::Checkpoint {
                path: self.path.clone(),
                what: format!("{others} states in it are of another optimizer or other weights"),
            }),
        }
    }
}

/// Every complete checkpoint, by step.
pub(crate) fn checkpoints(folder: &Path) -> Vec<PathBuf> {
    let Ok(entries) = fs_err::read_dir(folder) else {
        return Vec::new();
    };
    let mut found: Vec<PathBuf> = entries
        .filter_map(|entry| entry.ok().map(|e| e.path()))
        .filter(|path| {
            path.file_name()
                .is_some_and(|n| n.to_string_lossy().starts_with("step-"))
        })
        .filter(|path| path.join("state.json").is_file())
        .collect();
    found.sort();
    found
}

/// The newest complete checkpoint, if there is one.
///
/// # Errors
/// It cannot be read.
pub fn latest_checkpoint(folder: &Path) -> Result<Option<Checkpoint>, TrainError> {
    checkpoints(folder)
        .last()
        .map(|path| Checkpoint::open(path))
        .transpose()
}
