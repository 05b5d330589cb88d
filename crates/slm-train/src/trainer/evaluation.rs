//! Evaluations: which weights are the best, and whether it is worth going on.

use slm_data::batches;
use slm_dist::DistError;
use slm_model::Decoder;
use slm_run::{Emit, Event, Rewards, TaskMetric};

use super::Trainer;
use super::micro_loss::MicroLoss;
use super::plan::Plan;
use crate::gradients::held_out_sums;
use crate::{Best, TokenMeans, TrainError};

/// What the held-out rows say.
#[derive(Clone, Copy, Debug)]
pub(super) struct HeldOut {
    means: TokenMeans,
    /// Of judged answers.
    rewards: Option<Rewards>,
}

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
        let held_out = self.held_out(decoder);
        let held_out = self.unless_lost(held_out, decoder, emit)?;
        if self.options.section.task_metric().is_some() {
            self.awaiting = Some(held_out);
            return Ok(());
        }
        match held_out {
            Some(held_out) => self.judge(decoder, Some(held_out), held_out.means.loss, emit),
            None => Ok(()),
        }
    }

    /// None without held-out rows.
    fn held_out(&self, decoder: &Decoder) -> Result<Option<HeldOut>, DistError> {
        let (samples, options) = (self.corpus.validation, self.options.held_out_batches());
        let own = match &self.preferences {
            None => {
                let batches = batches(samples, &options);
                let own = (0..batches.len()).filter(|place| self.ranks.takes(*place));
                let own = own.filter_map(|place| batches.get(place));
                let (tokens, n_tokens) = held_out_sums(decoder, own);
                MicroLoss {
                    tokens,
                    n_tokens,
                    ..MicroLoss::default()
                }
            }
            Some(preferences) => {
                let plan = Plan::new(samples, self.options.section.objective, &options);
                preferences.held_out(decoder, &plan, &self.ranks)
            }
        };
        let all = MicroLoss::total(&MicroLoss::over(&self.ranks, vec![own])?);
        Ok((all.n_tokens > 0).then(|| HeldOut {
            means: all.means(),
            rewards: all.judged.map(|judged| judged.rewards()),
        }))
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
            Some(held_out) => self.judge(decoder, held_out, metric, emit),
            None => Ok(()),
        }
    }

    /// Tells, saves, and notes whether patience has run out.
    fn judge(
        &mut self,
        decoder: &Decoder,
        held_out: Option<HeldOut>,
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
        let means = held_out.map_or(TokenMeans::UNKNOWN, |it| it.means);
        emit(Event::Eval {
            step: state.step,
            loss: means.loss,
            entropy: means.entropy,
            token_accuracy: means.token_accuracy,
            rewards: held_out.and_then(|it| it.rewards),
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
