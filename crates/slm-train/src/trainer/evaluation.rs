//! Evaluations: which weights are the best, and whether it is worth going on.

use slm_data::batches;
use slm_model::Decoder;
use slm_run::{Emit, Event, TaskMetric};

use super::Trainer;
use crate::{Best, TokenMeans, TrainError, held_out_means};

impl Trainer<'_> {
    /// Whether there is anything to evaluate.
    pub(super) fn has_metric(&self) -> bool {
        !self.corpus.validation.is_empty() || self.options.section.task_metric().is_some()
    }

    /// Measures the held-out rows; judges by them, or leaves that to [`Self::measured`].
    pub(super) fn evaluate(
        &mut self,
        decoder: &mut Decoder,
        emit: Emit<'_>,
    ) -> Result<(), TrainError> {
        let rows = batches(self.corpus.validation, &self.options.held_out_batches());
        let means = held_out_means(decoder, rows.iter());
        if self.options.section.task_metric().is_some() {
            self.awaiting = Some(means);
            return Ok(());
        }
        match means {
            Some(means) => self.judge(decoder, Some(means), means.loss, emit),
            None => Ok(()),
        }
    }

    /// Takes in what [`super::Turn::Measure`] asked for: the task's metric of the weights as they are.
    ///
    /// # Errors
    /// A checkpoint cannot be written.
    pub fn measured(
        &mut self,
        decoder: &mut Decoder,
        metric: f64,
        emit: Emit<'_>,
    ) -> Result<(), TrainError> {
        match self.awaiting.take() {
            Some(means) => self.judge(decoder, means, metric, emit),
            None => Ok(()),
        }
    }

    /// Tells, saves, and notes whether patience has run out.
    fn judge(
        &mut self,
        decoder: &Decoder,
        means: Option<TokenMeans>,
        metric: f64,
        emit: Emit<'_>,
    ) -> Result<(), TrainError> {
        let section = &self.options.section;
        let state = &mut self.state;
        if let Some(plateau) = &mut state.plateau {
            plateau.observe(section, metric);
        }
        let best = state.best.as_ref().map(|best| best.metric);
        let is_better = best.is_none_or(|best| match section.greater_is_better() {
            true => metric > best,
            false => metric < best,
        });
        // As HF's EarlyStoppingCallback: a gain that is too small makes the best checkpoint, but tries patience.
        let enough = |best: f64| (metric - best).abs() > section.early_stopping_threshold;
        match is_better && best.is_none_or(enough) {
            true => state.evals_without_gain = 0,
            false => state.evals_without_gain += 1,
        }
        if is_better {
            let step = state.step;
            state.best = Some(Best { step, metric });
        }
        let means = means.unwrap_or(TokenMeans::UNKNOWN);
        emit(Event::Eval {
            step: state.step,
            loss: means.loss,
            entropy: means.entropy,
            token_accuracy: means.token_accuracy,
            metric: section.task_metric().map(|_| TaskMetric {
                name: section.metric_for_best_model.clone(),
                value: metric,
            }),
            best: is_better,
        });
        let patience = section.early_stopping_patience;
        self.stopped_early = patience > 0 && state.evals_without_gain >= patience;
        // The best weights must be on disk to be taken at the end, and the last ones to go on from.
        let save_steps = section.save_steps;
        if save_steps == 0 || is_better || self.stopped_early || self.is_due(save_steps) {
            self.checkpoint(decoder, emit)?;
        }
        Ok(())
    }
}
