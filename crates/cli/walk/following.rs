//! The processes of a run beside the first: they train along, and write nothing.

use std::path::Path;

use anyhow::{Result, bail};
use slm_train::{Ranks, TrainError, Trainer, Turn};

use super::Walk;
use crate::{failure::Interrupted, interrupt, terminal::Terminal};

/// What the first process tells before it trains: [`BEGUN`] or [`SKIPPED`].
pub(super) const STAGE: &str = "train";
pub(super) const BEGUN: &str = "begun";
pub(super) const SKIPPED: &str = "skipped";
/// Told when all is written.
const END: &str = "end";

/// By what name the first process tells the metric of a task after a step.
pub(super) fn metric_of(step: usize) -> String {
    format!("metric/{step}")
}

/// Trains along with the first process, which has the run in `root`, and ends when that ends: a launcher takes the end of one
/// process for the end of the work.
pub(crate) fn follow(root: &Path, resume: bool, ranks: &Ranks, terminal: &Terminal) -> Result<()> {
    if ranks.hear(STAGE)? == BEGUN {
        let mut walk = Walk::open(root, &[], false, terminal)?;
        walk.resume = resume;
        walk.train_along(ranks)?;
    }
    ranks.hear(END)?;
    Ok(())
}

impl Walk {
    /// Tells the processes that train along that all is written.
    pub(crate) fn end(&self) -> Result<()> {
        Ok(self.ranks.tell(END, "")?)
    }

    fn train_along(&self, ranks: &Ranks) -> Result<()> {
        let base = self.base()?;
        let shards = self.shards()?;
        let mut decoder = self.untrained(&base)?;
        let teacher = self.teacher_found()?;
        let teaching = self.taught_along(teacher.as_ref(), &base, &shards, &decoder)?;
        let options = self.options(&shards, self.reference_kept()?, teaching);
        let corpus = self.corpus(&shards);
        let mut trainer = Trainer::among(ranks.clone(), &mut decoder, corpus, options)?;
        let trained = interrupt::heeded(|stop| -> Result<()> {
            loop {
                match trainer.advance(&mut decoder, stop, &mut |_| {})? {
                    Turn::Ended(outcome) if outcome.interrupted => bail!(Interrupted {
                        run: self.run.root().into(),
                        step: outcome.state.step,
                    }),
                    Turn::Ended(_) => return Ok(()),
                    Turn::Measure => {
                        let metric = ranks.hear(&metric_of(trainer.steps_taken()))?.parse()?;
                        trainer.measured(&mut decoder, metric, &mut |_| {})?;
                    }
                }
            }
        })?;
        trained.map_err(|error| match error.downcast::<TrainError>() {
            Ok(error) => error.with_origins(|row| shards.origin(row)).into(),
            Err(error) => error,
        })
    }
}
