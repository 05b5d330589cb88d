//! Where the numbers of training are kept.

use slm_recipe::{ReportTo, TrainSection};
use slm_run::{Event, MetricsLog, RunDir, RunError, TensorBoardLog};

/// Every step and every evaluation, one JSON object a line.
pub(super) const METRICS: &str = "metrics.jsonl";
/// Event files, where the recipe wants them.
pub(super) const TENSORBOARD: &str = "tensorboard";

/// The logs of a run.
pub(super) struct Log {
    metrics: MetricsLog,
    tensorboard: Option<TensorBoardLog>,
    /// The first that could not be written.
    pub(super) failure: Option<RunError>,
}

impl Log {
    /// Goes on where `steps_taken` steps have been logged.
    pub(super) fn open(
        run: &mut RunDir,
        section: &TrainSection,
        steps_taken: usize,
    ) -> Result<Self, RunError> {
        let wanted = section.report_to.contains(&ReportTo::Tensorboard);
        let folder = wanted.then(|| run.path(TENSORBOARD));
        let begin = |folder| TensorBoardLog::create(folder, steps_taken + 1);
        Ok(Self {
            metrics: run.metrics_log()?,
            tensorboard: folder.map(begin).transpose()?,
            failure: None,
        })
    }

    pub(super) fn take(&mut self, event: &Event) {
        if !matches!(event, Event::Step { .. } | Event::Eval { .. }) {
            return;
        }
        let told = match &mut self.tensorboard {
            Some(tensorboard) => tensorboard.append(event),
            None => Ok(()),
        };
        if let Err(error) = self.metrics.append(event).and(told) {
            self.failure.get_or_insert(error);
        }
    }
}
