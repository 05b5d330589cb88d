//! Checkpoints: when, which are kept, and which one is taken.

use std::path::PathBuf;

use slm_dist::DistError;
use slm_model::Decoder;
use slm_run::{Emit, Event, RunError};

use super::Trainer;
use crate::checkpoint::checkpoints;
use crate::{Checkpoint, TrainError};

impl Trainer<'_> {
    /// Every `every` steps (0: at the end of each epoch), and at the last step.
    pub(super) fn is_due(&self, every: usize) -> bool {
        self.is_due_at(self.state.step, every)
    }

    /// The same after `step`.
    pub(super) fn is_due_at(&self, step: usize, every: usize) -> bool {
        let every = if every == 0 {
            self.steps_per_epoch
        } else {
            every
        };
        step.is_multiple_of(every) || step == self.total_steps
    }

    /// 0 means with each evaluation; without one, at the end of each epoch.
    pub(super) fn save_steps(&self) -> usize {
        let section = &self.options.section;
        if section.save_steps == 0 {
            section.eval_steps
        } else {
            section.save_steps
        }
    }

    pub(super) fn checkpoint(
        &mut self,
        decoder: &Decoder,
        emit: Emit<'_>,
    ) -> Result<(), TrainError> {
        if !self.ranks.leads() {
            return Ok(());
        }
        let folder = &self.options.checkpoints;
        let trained = self.options.trained(decoder);
        let checkpoint = Checkpoint::write(folder, trained, &mut self.optimizer, &self.state)?;
        emit(Event::Checkpoint {
            step: self.state.step,
            path: checkpoint.path,
        });
        self.drop_old_checkpoints()
    }

    /// A checkpoint of the state as it is, unless there is one.
    pub(super) fn keep(
        &mut self,
        decoder: &Decoder,
        emit: Emit<'_>,
    ) -> Result<PathBuf, TrainError> {
        let path = Checkpoint::folder(&self.options.checkpoints, self.state.step);
        if !path.exists() {
            self.checkpoint(decoder, emit)?;
        }
        Ok(path)
    }

    /// What the processes worked out together; where one of them is lost, keeps the state as it is for a resumed run.
    pub(super) fn unless_lost<T>(
        &mut self,
        result: Result<T, DistError>,
        decoder: &Decoder,
        emit: Emit<'_>,
    ) -> Result<T, TrainError> {
        let source = match result {
            Ok(it) => return Ok(it),
            Err(source) => source,
        };
        let checkpoint = self.keep(decoder, emit)?;
        Err(TrainError::Lost {
            step: self.state.step + 1,
            source,
            checkpoint,
        })
    }

    /// Keeps the newest `save_total_limit` checkpoints (0: all), and the best one.
    fn drop_old_checkpoints(&self) -> Result<(), TrainError> {
        let limit = match self.options.section.save_total_limit {
            0 => return Ok(()),
            limit => limit,
        };
        let folder = &self.options.checkpoints;
        let all = checkpoints(folder);
        let best = self.state.best.as_ref();
        let best = best.map(|best| Checkpoint::folder(folder, best.step));
        for path in all
            .iter()
            .rev()
            .skip(limit)
            .filter(|path| Some(*path) != best.as_ref())
        {
            fs_err::remove_dir_all(path).map_err(|e| RunError::io(path, e))?;
        }
        Ok(())
    }

    /// Puts the best weights into the model. Returns their step.
    pub(super) fn take_best(&self, decoder: &mut Decoder) -> Result<usize, TrainError> {
        let wanted = self.options.section.load_best_model_at_end;
        let Some(best) = self.state.best.as_ref().filter(|_| wanted) else {
            return Ok(self.state.step);
        };
        if best.step != self.state.step {
            Checkpoint::open(&Checkpoint::folder(&self.options.checkpoints, best.step))?
                .restore_weights(decoder)?;
        }
        Ok(best.step)
    }
}
