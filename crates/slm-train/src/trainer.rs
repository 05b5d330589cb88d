//! The loop.

mod ahead;
mod evaluation;
mod keeping;
mod learning;
mod micro_loss;
mod plan;
mod practising;
mod preferences;
mod step;

use std::path::PathBuf;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Instant;

use slm_data::{BatchOptions, Sample, Share};
use slm_model::{Decoder, Param};
use slm_recipe::{Method, Objective, PreferenceSection, TrainSection};
use slm_run::Emit;

use self::ahead::Ahead;
use self::evaluation::HeldOut;
use self::plan::Plan;
use self::preferences::Preferences;
use crate::pace::Pace;
use crate::{
    LossScale, Optimizer, Plateau, Ranks, Reference, Schedule, State, Teaching, TrainError,
    latest_checkpoint,
};

/// The rows of a run.
#[derive(Clone, Copy, Debug)]
pub struct Corpus<'a> {
    pub train: &'a [Sample],
    /// Held out; may be empty, and then there is no evaluation but that of a task.
    pub validation: &'a [Sample],
}

/// What the loop needs besides model and rows.
#[derive(Clone, Debug)]
pub struct Options {
    pub section: TrainSection,
    pub seed: u64,
    /// See [`Optimizer::new`].
    pub loraplus_lr_ratio: f64,
    /// Length that packed rows are filled up to.
    pub max_length: usize,
    pub packing: bool,
    /// Whether each epoch has an order of its own.
    pub shuffle: bool,
    /// How often the rows of each source come up.
    pub shares: Vec<Share>,
    /// How much judged answers count; read with an objective that has them.
    pub preference: PreferenceSection,
    /// What the student held the answers for before its first step; read with `dpo` and `kto`.
    pub reference: Reference,
    /// A teacher, where there is one; with `sft`.
    pub teaching: Option<Teaching>,
    /// Where checkpoints go.
    pub checkpoints: PathBuf,
    /// Go on from the newest complete checkpoint.
    pub resume: bool,
}

/// How a run ended.
#[derive(Clone, Debug, PartialEq, serde::Serialize, serde::Deserialize)]
pub struct Outcome {
    pub state: State,
    pub total_steps: usize,
    /// Stopped by the user after a checkpoint.
    pub interrupted: bool,
    /// Stopped because the metric no longer improved.
    pub stopped_early: bool,
    /// Wall time of this call.
    pub elapsed_s: f64,
    /// The step whose weights the model has now.
    pub weights_of_step: usize,
}

/// A training run in progress.
pub struct Trainer<'a> {
    ranks: Ranks,
    corpus: Corpus<'a>,
    options: Options,
    schedule: Schedule,
    steps_per_epoch: usize,
    total_steps: usize,
    optimizer: Optimizer,
    /// After the last step whose figures were read.
    state: State,
    ahead: Ahead,
    started: Instant,
    pace: Pace,
    /// The batches of the epoch that is under way, and its number.
    planned: Option<(usize, Plan<'a>)>,
    /// How answers are judged, with an objective that has them.
    preferences: Option<Preferences>,
    /// What the held-out rows said, while the task is measured.
    awaiting: Option<Option<HeldOut>>,
    stopped_early: bool,
}

/// Where [`Trainer::advance`] stopped.
#[expect(clippy::large_enum_variant, reason = "one exists at a time")]
#[derive(Clone, Debug)]
pub enum Turn {
    /// `metric_for_best_model` of a task has to be measured now, and told by [`Trainer::measured`]. Does not happen when
    /// the metric is the loss.
    Measure,
    /// The run ended.
    Ended(Outcome),
}

/// Optimizer steps of a run over `rows` rows (or packed rows), as HF's Trainer counts them: an epoch's last group of
/// micro-batches may be smaller, and counts as a step. `micro_batches` are those of a step, over all processes.
pub fn total_steps(
    section: &TrainSection,
    batches_per_epoch: usize,
    micro_batches: usize,
) -> usize {
    let steps_per_epoch = batches_per_epoch.div_ceil(micro_batches);
    if section.max_steps > 0 {
        return section.max_steps;
    }
    (section.num_train_epochs * steps_per_epoch as f64).ceil() as usize
}

/// Micro-batches of an epoch.
pub fn batches_per_epoch(
    samples: &[Sample],
    objective: Objective,
    options: &BatchOptions,
) -> usize {
    Plan::new(samples, objective, options).len()
}

impl<'a> Trainer<'a> {
    /// Plans a run of one process. `decoder` already has its adapter, or all its weights marked as trained.
    ///
    /// # Errors
    /// No rows; full fine-tuning in another dtype than f32; a checkpoint that does not fit.
    pub fn new(
        decoder: &mut Decoder,
        corpus: Corpus<'a>,
        options: Options,
    ) -> Result<Self, TrainError> {
        Self::among(Ranks::default(), decoder, corpus, options)
    }

    /// The same of `ranks`, each of which plans it with the same arguments.
    ///
    /// # Errors
    /// Also where the processes stand at different places.
    pub fn among(
        ranks: Ranks,
        decoder: &mut Decoder,
        corpus: Corpus<'a>,
        mut options: Options,
    ) -> Result<Self, TrainError> {
        if corpus.train.is_empty() {
            return Err(TrainError::NoRows);
        }
        let section = &options.section.clone();
        if section.per_device_train_batch_size.rows().is_none() {
            return Err(TrainError::Unsettled);
        }
        let is_f32 = decoder
            .trainable()
            .iter()
            .all(|p| p.value.dtype() == burn::tensor::DType::F32);
        if section.method == Method::Full && !is_f32 {
            return Err(TrainError::NeedsF32);
        }
        let preferences = Preferences::new(decoder, &corpus, &options)?;
        let plan = Plan::new(corpus.train, section.objective, &options.batches(0));
        let batches_per_epoch = plan.len();
        if batches_per_epoch == 0 {
            return Err(TrainError::NoRows);
        }
        let mut optimizer = Optimizer::new(section, options.loraplus_lr_ratio);
        let mut state = State {
            micro_batches: section.gradient_accumulation_steps * ranks.count(),
            plateau: Plateau::new(section),
            loss_scale: LossScale::of(decoder),
            ..State::default()
        };
        if options.resume
            && let Some(checkpoint) = latest_checkpoint(&options.checkpoints)?
        {
            checkpoint.restore(options.trained_mut(decoder), &mut optimizer)?;
            state = checkpoint.state;
            if state.micro_batches == 0 {
                state.micro_batches = section.gradient_accumulation_steps;
            }
        }
        let trained = options.trained_mut(decoder);
        ranks.start_alike(trained, state.step, batches_per_epoch)?;
        let total_steps = total_steps(section, batches_per_epoch, state.micro_batches);
        let ahead = Ahead::of(decoder, &options, &ranks, state.loss_scale);
        Ok(Self {
            ranks,
            corpus,
            schedule: Schedule::new(section, total_steps),
            steps_per_epoch: batches_per_epoch.div_ceil(state.micro_batches),
            total_steps,
            optimizer,
            ahead,
            state,
            started: Instant::now(),
            pace: Pace::default(),
            planned: None,
            preferences,
            awaiting: None,
            stopped_early: false,
            options,
        })
    }

    /// What the recipe says of training.
    pub fn section(&self) -> &TrainSection {
        &self.options.section
    }

    /// Steps of the whole run.
    pub fn total_steps(&self) -> usize {
        self.total_steps
    }

    /// Steps that have been taken, those of the checkpoint included.
    pub fn steps_taken(&self) -> usize {
        self.state.step
    }

    /// Trains until a task has to be measured, to the end, to `stop`, or to where the metric no longer improves.
    ///
    /// # Errors
    /// A step that is not to be learned from, see [`crate::Fault`]; a checkpoint that cannot be written.
    pub fn advance(
        &mut self,
        decoder: &mut Decoder,
        stop: &AtomicBool,
        emit: Emit<'_>,
    ) -> Result<Turn, TrainError> {
        while self.awaiting.is_none()
            && !self.stopped_early
            && self.steps_asked() < self.total_steps
        {
            let is_stopped = self.ranks.any(stop.load(Ordering::Relaxed));
            if self.unless_lost(is_stopped, decoder, emit)? {
                self.hear(decoder, emit)?;
                self.checkpoint(decoder, emit)?;
                return Ok(Turn::Ended(self.outcome(true, self.state.step)));
            }
            self.ask(decoder, emit)?;
            if !self.has_to_hear() {
                continue;
            }
            self.hear(decoder, emit)?;
            if self.is_due(self.options.section.eval_steps) && self.has_metric() {
                self.evaluate(decoder, emit)?;
            } else if self.is_due(self.save_steps()) {
                self.checkpoint(decoder, emit)?;
            }
        }
        if self.awaiting.is_some() {
            return Ok(Turn::Measure);
        }
        let taken = self.take_best(decoder)?;
        Ok(Turn::Ended(self.outcome(false, taken)))
    }

    fn outcome(&self, interrupted: bool, weights_of_step: usize) -> Outcome {
        Outcome {
            state: self.state.clone(),
            total_steps: self.total_steps,
            interrupted,
            stopped_early: self.stopped_early,
            elapsed_s: self.started.elapsed().as_secs_f64(),
            weights_of_step,
        }
    }

    /// The batches of the epoch that the step after `step` is in.
    fn planned(&mut self, step: usize) -> &Plan<'a> {
        let at = step / self.steps_per_epoch;
        let held = self.planned.take().filter(|(epoch, _)| *epoch == at);
        let objective = self.options.section.objective;
        let batches = self.options.batches(at);
        let plan = || (at, Plan::new(self.corpus.train, objective, &batches));
        &self.planned.insert(held.unwrap_or_else(plan)).1
    }
}

impl Options {
    /// What a step changes: the model's weights, and what the teacher's sake has beside them.
    fn trained<'p>(&'p self, decoder: &'p Decoder) -> Vec<&'p Param> {
        let beside = self.teaching.iter().flat_map(Teaching::trained);
        decoder.trainable().into_iter().chain(beside).collect()
    }

    /// The same in the order in which a backward pass is done with them.
    fn trained_from_the_top<'p>(&'p self, decoder: &'p Decoder) -> Vec<&'p Param> {
        let beside = self.teaching.iter().flat_map(Teaching::trained);
        let own = decoder.trainable_from_the_top().into_iter();
        own.chain(beside).collect()
    }

    /// The same, to be changed.
    fn trained_mut<'p>(&'p mut self, decoder: &'p mut Decoder) -> Vec<&'p mut Param> {
        let beside = self.teaching.iter_mut().flat_map(Teaching::trained_mut);
        decoder.trainable_mut().into_iter().chain(beside).collect()
    }

    /// How the rows of an epoch become batches.
    fn batches(&self, epoch: usize) -> BatchOptions {
        BatchOptions {
            batch_size: self.section.per_device_train_batch_size.rows().unwrap_or(1),
            max_length: self.max_length,
            packing: self.packing,
            shuffle: self.shuffle,
            group_by_length: self.section.group_by_length,
            shares: self.shares.clone(),
            seed: self.seed,
            epoch,
        }
    }

    /// How the held-out rows become batches.
    fn held_out_batches(&self) -> BatchOptions {
        BatchOptions {
            batch_size: self.section.per_device_eval_batch_size,
            shuffle: false,
            shares: Vec::new(),
            ..self.batches(0)
        }
    }
}
