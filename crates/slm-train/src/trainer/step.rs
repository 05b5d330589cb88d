//! One optimizer step over a group of micro-batches.

use std::time::Instant;

use slm_data::Batch;
use slm_model::Decoder;
use slm_ops::{DeviceSums, TokenSums};
use slm_run::{Emit, Event};

use super::Trainer;
use crate::gradients::{Gradients, LossOptions, TokenMeans, loss_and_gradients};
use crate::{Diverged, Fault, TrainError, clip, watchdog};

/// A micro-batch of a step, and its place among the batches of the epoch.
struct MicroBatch {
    place: usize,
    batch: Batch,
}

impl Trainer<'_> {
    pub(super) fn step(
        &mut self,
        decoder: &mut Decoder,
        emit: Emit<'_>,
    ) -> Result<Event, TrainError> {
        let started = Instant::now();
        let group = self.group();
        let learned_tokens: usize = group.iter().map(|it| it.batch.learned).sum();
        let tokens: usize = group.iter().map(|it| it.batch.tokens).sum();

        let mut gradients = Gradients::new();
        let sums = self.sums(decoder, &group, learned_tokens, &mut gradients);
        let means = TokenMeans::new(sums.iter().copied().sum(), learned_tokens.max(1));
        let grad_norm = clip(&mut gradients, self.options.section.max_grad_norm);
        let spike_factor = self.options.section.loss_spike_factor;
        let fault = watchdog::watch(means.loss, &self.state.recent_losses, spike_factor)
            .or((!grad_norm.is_finite()).then_some(Fault::GradNorm(grad_norm)));
        if let Some(fault) = fault {
            return Err(self.stop_before(decoder, &group, &sums, fault, emit)?);
        }
        let lr = self.lr();
        self.optimizer.step(decoder, &gradients, lr);

        self.state.step += 1;
        self.state.tokens += tokens as u64;
        self.state.last_loss = means.loss;
        if self.state.step == 1 {
            self.state.first_loss = means.loss;
        }
        if spike_factor > 0.0 && learned_tokens > 0 {
            watchdog::remember(&mut self.state.recent_losses, means.loss);
        }
        let left = self.total_steps - self.state.step;
        let (tokens_per_s, eta_s) = self.pace.measure(tokens, started.elapsed(), left);
        Ok(Event::Step {
            step: self.state.step,
            total_steps: self.total_steps,
            epoch: self.state.step as f64 / self.steps_per_epoch as f64,
            loss: means.loss,
            entropy: means.entropy,
            token_accuracy: means.token_accuracy,
            lr,
            grad_norm,
            tokens,
            learned_tokens,
            tokens_per_s,
            eta_s,
        })
    }

    /// The micro-batches of the next step; an epoch's last group may be smaller.
    fn group(&mut self) -> Vec<MicroBatch> {
        let n = self.options.section.gradient_accumulation_steps;
        let first = self.state.step % self.steps_per_epoch * n;
        let batches = self.planned();
        (first..first + n)
            .filter_map(|place| {
                let batch = batches.get(place)?;
                Some(MicroBatch { place, batch })
            })
            .collect()
    }

    /// The sums of each micro-batch; adds the gradients of the step's mean loss.
    fn sums(
        &self,
        decoder: &Decoder,
        group: &[MicroBatch],
        learned_tokens: usize,
        gradients: &mut Gradients,
    ) -> Vec<TokenSums> {
        let section = &self.options.section;
        let sums = group
            .iter()
            .enumerate()
            .map(|(i, MicroBatch { batch, .. })| {
                if batch.learned == 0 {
                    return DeviceSums::default();
                }
                let draw = self.options.seed ^ ((self.state.step as u64) << 20 | i as u64);
                let options = LossOptions {
                    label_smoothing: section.label_smoothing_factor,
                    gradient_checkpointing: section.gradient_checkpointing,
                    neftune_noise_alpha: section.neftune_noise_alpha,
                    dropout_seed: slm_ops::noise::mix(draw),
                    ..LossOptions::mean_of(learned_tokens)
                };
                loss_and_gradients(decoder, batch, &options, gradients)
            });
        DeviceSums::read_each(sums.collect())
    }

    /// The rate of the next step.
    fn lr(&self) -> f64 {
        match &self.state.plateau {
            Some(plateau) => plateau.lr,
            None => self.schedule.lr(self.state.step),
        }
    }

    /// Keeps the state before a bad step, and says which rows are behind it.
    fn stop_before(
        &mut self,
        decoder: &Decoder,
        group: &[MicroBatch],
        sums: &[TokenSums],
        fault: Fault,
        emit: Emit<'_>,
    ) -> Result<TrainError, TrainError> {
        let mean = |i: usize| sums[i].loss / group[i].batch.learned.max(1) as f64;
        let places = match fault {
            // The gradients of the group are one sum by now.
            Fault::GradNorm(_) => group.iter().map(|it| it.place).collect(),
            Fault::Loss(_) | Fault::Spike { .. } => {
                let is_worse =
                    |a: &usize, b: &usize| badness(mean(*a)).total_cmp(&badness(mean(*b)));
                let worst = (0..group.len()).max_by(is_worse);
                worst.map(|i| vec![group[i].place]).unwrap_or_default()
            }
        };
        let checkpoint = self.keep(decoder, emit)?;
        let step = self.state.step + 1;
        let batches = self.planned();
        let rows = places
            .into_iter()
            .flat_map(|place| batches.sample_rows(place));
        Ok(TrainError::Diverged(Box::new(Diverged {
            step,
            fault,
            rows: rows.collect(),
            origins: Vec::new(),
            checkpoint,
        })))
    }
}

/// Orders losses from good to bad: what is no number is worst.
fn badness(loss: f64) -> f64 {
    if loss.is_nan() { f64::INFINITY } else { loss }
}
