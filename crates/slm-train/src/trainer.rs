//! The loop.

use std::path::PathBuf;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Instant;

use slm_data::{BatchOptions, Batches, Sample, Share, batches};
use slm_model::Decoder;
use slm_ops::{DeviceSums, TokenSums};
use slm_recipe::{Method, TrainSection};
use slm_run::{Emit, Event, RunError};

use crate::checkpoint::checkpoints;
use crate::gradients::{Gradients, LossOptions, held_out_means, loss_and_gradients};
use crate::{
    Checkpoint, Optimizer, Plateau, Schedule, State, TokenMeans, TrainError, clip,
    latest_checkpoint,
};

/// The rows of a run.
#[derive(Clone, Copy, Debug)]
pub struct Corpus<'a> {
    pub train: &'a [Sample],
    /// Held out; may be empty, and then there is no evaluation.
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
    /// Stopped because the held-out loss no longer fell.
    pub stopped_early: bool,
    /// Wall time of this call.
    pub elapsed_s: f64,
    /// The step whose weights the model has now.
    pub weights_of_step: usize,
}

/// A training run in progress.
pub struct Trainer<'a> {
    corpus: Corpus<'a>,
    options: Options,
    schedule: Schedule,
    steps_per_epoch: usize,
    total_steps: usize,
    optimizer: Optimizer,
    state: State,
}

/// Optimizer steps of a run over `rows` rows (or packed rows), as HF's Trainer counts them: an epoch's last group of
/// micro-batches may be smaller, and counts as a step.
pub fn total_steps(section: &TrainSection, batches_per_epoch: usize) -> usize {
    let steps_per_epoch = batches_per_epoch.div_ceil(section.gradient_accumulation_steps);
    if section.max_steps > 0 {
        return section.max_steps;
    }
    (section.num_train_epochs * steps_per_epoch as f64).ceil() as usize
}

impl<'a> Trainer<'a> {
    /// Plans a run. `decoder` already has its adapter, or all its weights marked as trained.
    ///
    /// # Errors
    /// No rows; full fine-tuning in another dtype than f32; a checkpoint that does not fit.
    pub fn new(
        decoder: &mut Decoder,
        corpus: Corpus<'a>,
        options: Options,
    ) -> Result<Self, TrainError> {
        if corpus.train.is_empty() {
            return Err(TrainError::NoRows);
        }
        let section = &options.section;
        let is_f32 = decoder
            .trainable()
            .iter()
            .all(|p| p.value.dtype() == burn::tensor::DType::F32);
        if section.method == Method::Full && !is_f32 {
            return Err(TrainError::NeedsF32);
        }
        let batches_per_epoch = epoch(&corpus, &options, 0).len();
        let total_steps = total_steps(section, batches_per_epoch);
        let mut this = Self {
            corpus,
            schedule: Schedule::new(section, total_steps),
            steps_per_epoch: batches_per_epoch.div_ceil(section.gradient_accumulation_steps),
            total_steps,
            optimizer: Optimizer::new(section, options.loraplus_lr_ratio),
            state: State {
                plateau: Plateau::new(section),
                ..State::default()
            },
            options,
        };
        if this.options.resume
            && let Some(checkpoint) = latest_checkpoint(&this.options.checkpoints)?
        {
            checkpoint.restore(decoder, &mut this.optimizer)?;
            this.state = checkpoint.state;
        }
        Ok(this)
    }

    /// Steps of the whole run.
    pub fn total_steps(&self) -> usize {
        self.total_steps
    }

    /// Trains to the end, to `stop`, or to where the held-out loss no longer falls.
    ///
    /// # Errors
    /// The loss is no longer finite; a checkpoint cannot be written.
    pub fn run(
        mut self,
        decoder: &mut Decoder,
        stop: &AtomicBool,
        emit: Emit<'_>,
    ) -> Result<Outcome, TrainError> {
        let started = Instant::now();
        let (mut interrupted, mut stopped_early) = (false, false);
        let mut pace = Pace::new(self.state.tokens);
        let mut planned: Option<(usize, Batches<'a>)> = None;
        while self.state.step < self.total_steps {
            if stop.load(Ordering::Relaxed) {
                self.checkpoint(decoder, emit)?;
                interrupted = true;
                break;
            }
            let at = self.state.step / self.steps_per_epoch;
            if planned.as_ref().is_none_or(|(held, _)| *held != at) {
                planned = Some((at, epoch(&self.corpus, &self.options, at)));
            }
            let Some((_, batches)) = &planned else { break };
            let event = self.step(decoder, batches)?;
            emit(pace.measure(event, self.state.tokens, self.total_steps - self.state.step));
            if self.is_due(self.options.section.eval_steps) && !self.corpus.validation.is_empty() {
                stopped_early = self.evaluate(decoder, emit)?;
            } else if self.is_due(self.save_steps()) {
                self.checkpoint(decoder, emit)?;
            }
            if stopped_early {
                break;
            }
        }
        let weights_of_step = if interrupted {
            self.state.step
        } else {
            self.take_best(decoder)?
        };
        let elapsed_s = started.elapsed().as_secs_f64();
        let total_steps = self.total_steps;
        Ok(Outcome {
            state: self.state,
            total_steps,
            interrupted,
            stopped_early,
            elapsed_s,
            weights_of_step,
        })
    }

    /// One optimizer step over a group of micro-batches.
    fn step(&mut self, decoder: &mut Decoder, batches: &Batches<'_>) -> Result<Event, TrainError> {
        let section = &self.options.section;
        let first = self.state.step % self.steps_per_epoch * section.gradient_accumulation_steps;
        let group: Vec<_> = (first..first + section.gradient_accumulation_steps)
            .filter_map(|at| batches.get(at))
            .collect();
        let learned_tokens: usize = group.iter().map(|batch| batch.learned).sum();
        let tokens: usize = group.iter().map(|batch| batch.tokens).sum();

        let mut gradients = Gradients::new();
        let mut sums = Vec::new();
        for (i, batch) in group
            .iter()
            .enumerate()
            .filter(|(_, batch)| batch.learned > 0)
        {
            let options = LossOptions {
                label_smoothing: section.label_smoothing_factor,
                gradient_checkpointing: section.gradient_checkpointing,
                dropout_seed: slm_ops::lora_linear::mix(
                    self.options.seed ^ ((self.state.step as u64) << 20 | i as u64),
                ),
                ..LossOptions::mean_of(learned_tokens)
            };
            sums.push(loss_and_gradients(decoder, batch, &options, &mut gradients));
        }
        let sum: TokenSums = DeviceSums::read_each(sums).into_iter().sum();
        let loss = if learned_tokens > 0 {
            sum.loss / learned_tokens as f64
        } else {
            0.0
        };
        if !loss.is_finite() {
            return Err(TrainError::Diverged {
                step: self.state.step + 1,
                loss,
            });
        }
        let grad_norm = clip(&mut gradients, section.max_grad_norm);
        let by_step = || self.schedule.lr(self.state.step);
        let lr = self.state.plateau.as_ref().map_or_else(by_step, |p| p.lr);
        self.optimizer.step(decoder, &gradients, lr);

        self.state.step += 1;
        self.state.tokens += tokens as u64;
        self.state.last_loss = loss;
        if self.state.step == 1 {
            self.state.first_loss = loss;
        }
        let epoch = self.state.step as f64 / self.steps_per_epoch as f64;
        let (step, total_steps) = (self.state.step, self.total_steps);
        let (tokens_per_s, eta_s) = (f64::NAN, f64::NAN);
        Ok(Event::Step {
            step,
            total_steps,
            epoch,
            loss,
            lr,
            grad_norm,
            tokens,
            learned_tokens,
            tokens_per_s,
            eta_s,
        })
    }

    /// Evaluates, saves, and says whether patience has run out.
    fn evaluate(&mut self, decoder: &mut Decoder, emit: Emit<'_>) -> Result<bool, TrainError> {
        let section = &self.options.section;
        let batch_size = section.per_device_eval_batch_size;
        let options = BatchOptions {
            batch_size,
            shuffle: false,
            shares: Vec::new(),
            ..batch_options(&self.options, 0)
        };
        let rows = batches(self.corpus.validation, &options);
        let Some(TokenMeans { loss, .. }) = held_out_means(decoder, rows.iter()) else {
            return Ok(false);
        };
        if let Some(plateau) = &mut self.state.plateau {
            plateau.observe(section, loss);
        }
        let step = self.state.step;
        let best = self.state.best.is_none_or(|(_, lowest)| loss < lowest);
        if best {
            self.state.best = Some((step, loss));
            self.state.evals_without_gain = 0;
        } else {
            self.state.evals_without_gain += 1;
        }
        emit(Event::Eval { step, loss, best });
        let patience = section.early_stopping_patience;
        let stop = patience > 0 && self.state.evals_without_gain >= patience;
        // The best weights must be on disk to be taken at the end, and the last ones to go on from.
        if section.save_steps == 0 || best || stop || self.is_due(section.save_steps) {
            self.checkpoint(decoder, emit)?;
        }
        Ok(stop)
    }

    /// Every `every` steps (0: at the end of each epoch), and at the last step.
    fn is_due(&self, every: usize) -> bool {
        let every = if every == 0 {
            self.steps_per_epoch
        } else {
            every
        };
        self.state.step.is_multiple_of(every) || self.state.step == self.total_steps
    }

    /// 0 means with each evaluation; without held-out rows, at the end of each epoch.
    fn save_steps(&self) -> usize {
        let section = &self.options.section;
        if section.save_steps == 0 {
            section.eval_steps
        } else {
            section.save_steps
        }
    }

    fn checkpoint(&mut self, decoder: &Decoder, emit: Emit<'_>) -> Result<(), TrainError> {
        let folder = &self.options.checkpoints;
        let checkpoint = Checkpoint::write(folder, decoder, &mut self.optimizer, &self.state)?;
        emit(Event::Checkpoint {
            step: self.state.step,
            path: checkpoint.path,
        });
        self.drop_old_checkpoints()
    }

    /// Keeps the newest `save_total_limit` checkpoints (0: all), and the best one.
    fn drop_old_checkpoints(&self) -> Result<(), TrainError> {
        let limit = match self.options.section.save_total_limit {
            0 => return Ok(()),
            limit => limit,
        };
        let all = checkpoints(&self.options.checkpoints);
        let best = self
            .state
            .best
            .map(|(step, _)| Checkpoint::folder(&self.options.checkpoints, step));
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

    /// Puts the weights with the lowest held-out loss into the model. Returns their step.
    fn take_best(&self, decoder: &mut Decoder) -> Result<usize, TrainError> {
        let Some((step, _)) = self
            .state
            .best
            .filter(|_| self.options.section.load_best_model_at_end)
        else {
            return Ok(self.state.step);
        };
        if step != self.state.step {
            Checkpoint::open(&Checkpoint::folder(&self.options.checkpoints, step))?
                .restore_weights(decoder)?;
        }
        Ok(step)
    }
}

fn batch_options(options: &Options, epoch: usize) -> BatchOptions {
    BatchOptions {
        batch_size: options.section.per_device_train_batch_size,
        max_length: options.max_length,
        packing: options.packing,
        shuffle: options.shuffle,
        shares: options.shares.clone(),
        seed: options.seed,
        epoch,
    }
}

fn epoch<'a>(corpus: &Corpus<'a>, options: &Options, epoch: usize) -> Batches<'a> {
    batches(corpus.train, &batch_options(options, epoch))
}

/// Tokens per second since the start of this call.
struct Pace {
    started: Instant,
    steps: usize,
    tokens_before: u64,
}

impl Pace {
    fn new(tokens_before: u64) -> Self {
        Self {
            started: Instant::now(),
            steps: 0,
            tokens_before,
        }
    }

    fn measure(&mut self, mut event: Event, tokens: u64, left: usize) -> Event {
        self.steps += 1;
        let elapsed = self.started.elapsed().as_secs_f64();
        if let Event::Step {
            tokens_per_s,
            eta_s,
            ..
        } = &mut event
        {
            *tokens_per_s = (tokens - self.tokens_before) as f64 / elapsed;
            *eta_s = elapsed / self.steps as f64 * left as f64;
        }
        event
    }
}
