//! One optimizer step over a group of micro-batches.

use std::time::{Duration, Instant};

use slm_model::Decoder;
use slm_run::{Emit, Event};

use super::Trainer;
use super::ahead::Asked;
use super::micro_loss::{MicroLoss, Unread};
use super::plan::{Content, MicroBatch};
use crate::gradients::{LossOptions, loss_and_gradients, taught_loss_and_gradients};
use crate::ranks::Reducer;
use crate::stopwatch::{Part, lap};
use crate::{
    Alignment, Author, Diverged, Fault, JudgedCounts, JudgedSums, TrainError, grad_norm, watchdog,
};

impl Trainer<'_> {
    /// One optimizer step; [`Trainer::advance`] takes them all, with everything that comes between.
    ///
    /// # Errors
    /// A step that is not to be learned from, see [`crate::Fault`].
    pub fn step(&mut self, decoder: &mut Decoder, emit: Emit<'_>) -> Result<Event, TrainError> {
        self.ask(decoder, emit)?;
        let mut told = None;
        self.hear(decoder, &mut |event| match event {
            Event::Step { .. } => told = Some(event),
            event => emit(event),
        })?;
        Ok(told.expect("one step was asked for"))
    }

    /// Asks the device for all that the next step is made of; [`Trainer::hear`] says what became of it.
    ///
    /// # Errors
    /// Another process was lost, or a teacher cannot be asked.
    pub(crate) fn ask(&mut self, decoder: &mut Decoder, emit: Emit<'_>) -> Result<(), TrainError> {
        let started = Instant::now();
        let group = self.group();
        lap(Part::Data);
        let group = self.practised(decoder, group);
        let counted = self.unless_lost(self.counted(&group), decoder, emit)?;
        let [tokens, learned] = counted;
        lap(Part::Forward);

        let (unread, gradients) = self.losses(decoder, &group, learned)?;
        let gradients = gradients.finish();
        let gradients = self.unless_lost(gradients, decoder, emit)?;
        let asked = Asked {
            places: group.iter().map(|it| it.place).collect(),
            tokens,
            unread,
            norm: grad_norm(&gradients),
            lr: self.lr(),
            started,
            gradients: Some(gradients),
        };
        self.learn_ahead(decoder, asked);
        Ok(())
    }

    /// Takes in what a step came to: learns from it, unless that was done ahead, or stops before it. `took` is its share of the time
    /// of several.
    pub(super) fn taken(
        &mut self,
        decoder: &mut Decoder,
        asked: Asked,
        losses: &[MicroLoss],
        norm: f64,
        took: Option<Duration>,
        emit: Emit<'_>,
    ) -> Result<Event, TrainError> {
        let said = MicroLoss::total(losses);
        let (means, learned_tokens) = (said.means(), said.n_tokens);
        let grad_norm = norm / self.loss_scale();
        if let Some(fault) = self.fault(means.loss, grad_norm, emit) {
            return Err(self.stop_before(decoder, &asked.places, losses, fault, emit)?);
        }
        if let Some(gradients) = asked.gradients.filter(|_| grad_norm.is_finite()) {
            self.learn(decoder, gradients, grad_norm, asked.lr);
        }
        lap(Part::Optimizer);

        let (tokens, took) = (
            asked.tokens,
            took.unwrap_or_else(|| asked.started.elapsed()),
        );
        self.state.step += 1;
        self.state.tokens += tokens as u64;
        self.state.last_loss = means.loss;
        if self.state.step == 1 {
            self.state.first_loss = means.loss;
        }
        if self.options.section.loss_spike_factor > 0.0 && learned_tokens > 0 {
            watchdog::remember(&mut self.state.recent_losses, means.loss);
        }
        let left = self.total_steps - self.state.step;
        let (tokens_per_s, eta_s) = self.pace.measure(tokens, took, left);
        Ok(Event::Step {
            step: self.state.step,
            total_steps: self.total_steps,
            epoch: self.state.step as f64 / self.steps_per_epoch as f64,
            loss: means.loss,
            entropy: means.entropy,
            token_accuracy: means.token_accuracy,
            rewards: said.judged.map(|judged| judged.rewards()),
            taught: said.taught(),
            lr: asked.lr,
            grad_norm,
            tokens,
            learned_tokens,
            tokens_per_s,
            eta_s,
        })
    }

    /// Places in the batches of the next step, padding included.
    pub fn next_places(&mut self) -> usize {
        let batches = self.group();
        let places = batches.iter().map(|it| it.batch().rows * it.batch().cols);
        places.sum()
    }

    /// The micro-batches of the next step; an epoch's last group may be smaller.
    fn group(&mut self) -> Vec<MicroBatch> {
        let n = self.state.micro_batches;
        let step = self.steps_asked();
        let first = step % self.steps_per_epoch * n;
        let batches = self.planned(step);
        (first..first + n)
            .filter_map(|place| batches.get(place))
            .collect()
    }

    /// What each micro-batch says that this process takes, its sums still on the device, and the gradients of the step's mean loss.
    fn losses<'a>(
        &'a self,
        decoder: &'a Decoder,
        group: &[MicroBatch],
        learned: usize,
    ) -> Result<(Vec<Unread>, Reducer<'a>), TrainError> {
        let trained = self.options.trained_from_the_top(decoder);
        let mut gradients = self.ranks.reducer(trained);
        let last = (0..group.len()).rfind(|i| self.ranks.takes(*i));
        let counts = self.judged_counts(group);
        let teaching = self.options.teaching.as_ref();
        let practises = teaching.is_some_and(|it| it.practice().is_some());
        let learn = |(i, it): (usize, &MicroBatch)| {
            if Some(i) == last {
                gradients.begin_last();
            }
            let gradients = &mut gradients;
            let options = self.loss_options(i, learned);
            let mut said = Unread {
                n_tokens: it.batch().learned,
                teaching: teaching.map(|it| it.measure),
                n_pairs: teaching
                    .and_then(|it| it.alignment())
                    .map(Alignment::n_pairs),
                is_own: practises.then_some(it.author == Author::Student),
                ..Unread::default()
            };
            match (&it.content, &self.preferences) {
                (_, preferences) if !self.ranks.takes(i) => {
                    said.n_tokens = 0;
                    said.judged = preferences.as_ref().map(|_| JudgedSums::default());
                }
                (Content::Judged(batch), Some(preferences)) => {
                    let learned = preferences.learn(decoder, batch, counts, &options, gradients);
                    (said.sums, said.judged) = (learned.0, Some(learned.1));
                    said.n_tokens = preferences.preference.scored(batch).learned;
                }
                (Content::Rows(batch, rows), _) if said.n_tokens > 0 => {
                    let lesson = teaching.map(|of| of.lesson(decoder, batch, rows, it.author));
                    match lesson.transpose()? {
                        None => said.sums = loss_and_gradients(decoder, batch, &options, gradients),
                        Some(lesson) => {
                            [said.sums, said.taught, said.layers] = taught_loss_and_gradients(
                                decoder, batch, &lesson, &options, gradients,
                            );
                        }
                    }
                }
                _ => {}
            }
            Ok(said)
        };
        let said: Result<_, TrainError> = group.iter().enumerate().map(learn).collect();
        Ok((said?, gradients))
    }

    fn judged_counts(&self, group: &[MicroBatch]) -> JudgedCounts {
        let counts = group
            .iter()
            .filter_map(|it| match (&it.content, &self.preferences) {
                (Content::Judged(batch), Some(preferences)) => {
                    Some(preferences.preference.counts(batch))
                }
                _ => None,
            });
        counts.sum()
    }

    /// How the loss of the `i`-th micro-batch of a step with `learned` learned tokens is taken.
    fn loss_options(&self, i: usize, learned: usize) -> LossOptions {
        let section = &self.options.section;
        let draw = self.draw(i);
        LossOptions {
            loss_scale: self.loss_scale(),
            label_smoothing: section.label_smoothing_factor,
            gradient_checkpointing: section.gradient_checkpointing,
            neftune_noise_alpha: section.neftune_noise_alpha,
            dropout_seed: slm_ops::noise::mix(draw),
            ..LossOptions::mean_of(learned.max(1))
        }
    }

    /// What is drawn for the `i`-th micro-batch of the next step is a function of this.
    pub(super) fn draw(&self, i: usize) -> u64 {
        self.options.seed ^ ((self.steps_asked() as u64) << 20 | i as u64)
    }

    /// The rate of the next step.
    fn lr(&self) -> f64 {
        match &self.state.plateau {
            Some(plateau) => plateau.lr,
            None => self.schedule.lr(self.steps_asked()),
        }
    }

    /// Keeps the state before a bad step, and says which rows are behind it.
    fn stop_before(
        &mut self,
        decoder: &Decoder,
        group: &[usize],
        losses: &[MicroLoss],
        fault: Fault,
        emit: Emit<'_>,
    ) -> Result<TrainError, TrainError> {
        let places = match fault {
            // The gradients of the group are one sum by now.
            Fault::GradNorm(_) => group.to_vec(),
            Fault::Loss(_) | Fault::Spike { .. } => {
                let badness = |i: &usize| losses[*i].badness();
                let is_worse = |a: &usize, b: &usize| badness(a).total_cmp(&badness(b));
                let worst = (0..group.len()).max_by(is_worse);
                worst.map(|i| vec![group[i]]).unwrap_or_default()
            }
        };
        let checkpoint = self.keep(decoder, emit)?;
        let step = self.state.step + 1;
        let batches = self.planned(self.state.step);
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
