//! What was measured of one model and of its base, read back from a folder.

use std::path::Path;

use slm_recipe::GateTask;
use slm_run::RunError;

use crate::error::EvalError;
use crate::task_report::TaskReport;

/// The reports of a folder.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Evaluation {
    /// The model that was made, task by task.
    pub tuned: Vec<TaskReport>,
    /// The model that it was made of, where it was measured.
    pub base: Vec<TaskReport>,
}

impl Evaluation {
    /// Reads `tuned/TASK` and `base/TASK`, as a run has them under `eval`, or the folders of tasks of one model.
    ///
    /// # Errors
    /// When a file of a task is missing or not an evaluation.
    pub fn read(folder: &Path) -> Result<Self, EvalError> {
        let (tuned, base) = (folder.join("tuned"), folder.join("base"));
        if tuned.is_dir() {
            let base = if base.is_dir() {
                reports(&base)?
            } else {
                Vec::new()
            };
            return Ok(Self {
                tuned: reports(&tuned)?,
                base,
            });
        }
        Ok(Self {
            tuned: reports(folder)?,
            base: Vec::new(),
        })
    }

    /// The tasks and their metrics.
    pub fn tasks(&self) -> Vec<GateTask> {
        let tasks = self.tuned.iter().map(|report| GateTask {
            name: report.task.clone(),
            metrics: report.metrics.iter().map(|it| it.name.key()).collect(),
        });
        tasks.collect()
    }
}

/// The tasks of one model, by name.
fn reports(folder: &Path) -> Result<Vec<TaskReport>, EvalError> {
    let entries = fs_err::read_dir(folder).map_err(|error| RunError::io(folder, error))?;
    let mut folders = Vec::new();
    for entry in entries {
        let path = entry.map_err(|error| RunError::io(folder, error))?.path();
        if path.join("scores.json").is_file() {
            folders.push(path);
        }
    }
    folders.sort();
    folders.iter().map(|path| TaskReport::read(path)).collect()
}
