//! Steps that a device was asked for, and whose figures nobody has read yet.
//!
//! A GPU stands still while the host reads what a step came to and puts the next one together; so it is asked for the next steps
//! first, and their figures are read together: after `train.logging_steps` of them, or a second, and before anything else that
//! happens between steps. Whether a step is learned from is decided by the device then: a step whose loss or norm is no finite
//! number changes nothing, nor does any after it, until its figures are read and the run stops before it.
//!
//! A step is looked at before it is learned from where more than that hangs on it: the next step's loss scale (f16),
//! `train.loss_spike_factor`, what other processes found, or an optimizer that is no single kernel. Judged answers, generated ones
//! and what a teacher says of either are read on the way anyhow.

use std::time::{Duration, Instant};

use burn::tensor::Tensor;
use slm_model::{Decoder, device};
use slm_recipe::{Objective, Optim};
use slm_run::Emit;

use super::micro_loss::{MicroLoss, Unread};
use super::{Options, Trainer};
use crate::clip::clip_factor_on_device;
use crate::gradients::Gradients;
use crate::optimizer::Clip;
use crate::{LossScale, Ranks, TrainError};

/// How long the figures of a step are left unread: progress is told at least that often.
const PATIENCE: Duration = Duration::from_secs(1);

/// A step that was asked for.
pub(super) struct Asked {
    /// Of its micro-batches, among those of the epoch.
    pub(super) places: Vec<usize>,
    /// Over all processes.
    pub(super) tokens: usize,
    pub(super) unread: Vec<Unread>,
    /// Of the gradients, multiplied by the loss scale; none where nothing has a gradient.
    pub(super) norm: Option<Tensor<1>>,
    pub(super) lr: f64,
    pub(super) started: Instant,
    /// What is to be learned from once it is known what it comes to; none where it has been.
    pub(super) gradients: Option<Gradients>,
}

/// How far the host may be ahead.
pub(super) struct Ahead {
    /// Steps that may be asked for before the first of them is read; 1 where each is looked at first.
    pub(super) most: usize,
    pub(super) asked: Vec<Asked>,
    /// 0 as long as every step was finite, and no number from then on.
    check: Option<Tensor<1>>,
}

impl Ahead {
    pub(super) fn of(
        decoder: &Decoder,
        options: &Options,
        ranks: &Ranks,
        scale: Option<LossScale>,
    ) -> Self {
        let section = &options.section;
        let can_be = device::is_gpu(decoder.device())
            && ranks.count() == 1
            && scale.is_none()
            && options.teaching.is_none()
            && section.objective == Objective::Sft
            && section.optim == Optim::Adamw
            && section.loss_spike_factor == 0.0;
        Self {
            most: if can_be {
                section.logging_steps.max(1)
            } else {
                1
            },
            asked: Vec::new(),
            check: None,
        }
    }

    /// What the gradients of a step are multiplied by: its bound, and no number if it or one before it was not finite.
    fn bound(&mut self, asked: &Asked, max_norm: f64) -> Option<Tensor<1>> {
        let norm = asked.norm.clone()?;
        let checks = asked.unread.iter().filter_map(|it| it.sums.check());
        let checks = checks.chain([norm.clone().sub(norm.clone())]);
        let check = checks.chain(self.check.take()).reduce(Tensor::add)?;
        self.check = Some(check.clone());
        Some(clip_factor_on_device(norm, max_norm).add(check))
    }
}

impl Trainer<'_> {
    /// The number of steps that are taken, or asked for.
    pub(super) fn steps_asked(&self) -> usize {
        self.state.step + self.ahead.asked.len()
    }

    /// Whether [`Trainer::ask`] may be called again before [`Trainer::hear`].
    pub(crate) fn works_ahead(&self) -> bool {
        self.ahead.most > 1
    }

    /// Whether what was asked for is to be read now.
    pub(super) fn has_to_hear(&self) -> bool {
        let (asked, section) = (&self.ahead.asked, &self.options.section);
        let next = self.steps_asked();
        let is_due = |every| self.is_due_at(next, every);
        asked.len() >= self.ahead.most
            || is_due(section.eval_steps)
            || is_due(self.save_steps())
            || asked
                .first()
                .is_some_and(|it| it.started.elapsed() > PATIENCE)
    }

    /// Learns from a step without knowing what it comes to, where that is allowed.
    pub(super) fn learn_ahead(&mut self, decoder: &mut Decoder, mut asked: Asked) {
        if self.works_ahead()
            && let Some(gradients) = asked.gradients.take()
        {
            let bound = self.ahead.bound(&asked, self.options.section.max_grad_norm);
            let on_device = |bound| Clip::OnDevice(Box::new(bound));
            let clip = bound.map_or(Clip::Known(1.0), on_device);
            let trained = self.options.trained_mut(decoder);
            self.optimizer.step(trained, gradients, asked.lr, clip);
        }
        self.ahead.asked.push(asked);
    }

    /// Waits for all that was asked for, and tells of every step.
    ///
    /// # Errors
    /// A step that is not to be learned from.
    pub(crate) fn hear(&mut self, decoder: &mut Decoder, emit: Emit<'_>) -> Result<(), TrainError> {
        let mut asked = std::mem::take(&mut self.ahead.asked);
        let Some(first) = asked.first() else {
            return Ok(());
        };
        let started = first.started;
        let counts: Vec<usize> = asked.iter().map(|it| it.unread.len()).collect();
        let unread = asked.iter_mut().flat_map(|it| it.unread.drain(..));
        let losses = MicroLoss::each(unread.collect());
        let losses = MicroLoss::over(&self.ranks, losses);
        let losses = self.unless_lost(losses, decoder, emit)?;
        let norms = norms(&asked);
        let (elapsed, are_several) = (started.elapsed(), asked.len() > 1);
        let all: usize = asked.iter().map(|it| it.tokens).sum();
        let mut losses = &losses[..];
        for ((it, n), norm) in asked.into_iter().zip(counts).zip(norms) {
            let (own, others) = losses.split_at(n);
            losses = others;
            // Of several steps nobody knows how long each took.
            let share = it.tokens as f64 / all.max(1) as f64;
            let took = are_several.then(|| elapsed.mul_f64(share));
            let event = self.taken(decoder, it, own, norm, took, emit)?;
            emit(event);
        }
        Ok(())
    }
}

/// The norms of the steps, 0 where nothing has a gradient; waits for the device, once.
fn norms(asked: &[Asked]) -> Vec<f64> {
    let there: Vec<_> = asked.iter().filter_map(|it| it.norm.clone()).collect();
    let mut values = Vec::new();
    if !there.is_empty() {
        values.extend(Tensor::cat(there, 0).into_data().iter::<f64>());
    }
    let mut values = values.into_iter();
    let norm = |it: &Asked| it.norm.as_ref().and_then(|_| values.next()).unwrap_or(0.0);
    asked.iter().map(norm).collect()
}

#[cfg(test)]
mod tests {
    use std::hash::{DefaultHasher, Hash, Hasher};
    use std::path::Path;
    use std::sync::atomic::AtomicBool;

    use serde_json::json;
    use slm_data::Sample;
    use slm_model::{DecoderConfig, LoraSpec};
    use slm_recipe::{BatchSize, LoraSection, PreferenceSection, TrainSection};
    use slm_run::Event;

    use super::*;
    use crate::{Corpus, Reference, latest_checkpoint};

    fn decoder() -> Decoder {
        let config = json!({
            "model_type": "llama", "vocab_size": 32, "hidden_size": 16, "intermediate_size": 24, "num_hidden_layers": 2,
            "num_attention_heads": 2, "tie_word_embeddings": true, "initializer_range": 0.2,
        });
        let config = DecoderConfig::from_json(config, Path::new("config.json")).unwrap();
        let mut decoder = Decoder::init(config, 7, &device::open("cpu").unwrap());
        let spec = LoraSpec::from(&LoraSection::default());
        decoder.attach_lora(&spec, 3).unwrap();
        decoder
    }

    /// Rows of several lengths; nothing is learned of the first two, which are a step of their own.
    fn rows() -> Vec<Sample> {
        let row = |i: usize| {
            let ids = (0..6 + i % 3).map(|t| ((i * 7 + t * (i + 1)) % 31 + 1) as u32);
            let ids: Vec<u32> = ids.collect();
            let learn = vec![i > 1; ids.len()];
            Sample::new(i, ids, learn)
        };
        (0..8).map(row).collect()
    }

    /// How a run ended, what it told, and a hash of the bits of the weights that it left.
    #[derive(Debug, PartialEq)]
    struct Run {
        ended: String,
        events: Vec<String>,
        weights: u64,
        checkpoint: Option<usize>,
    }

    /// A run that may be `most` steps ahead; the times in its events are left out.
    fn run(section: &TrainSection, most: usize) -> Run {
        let (rows, folder) = (rows(), tempfile::tempdir().unwrap());
        let corpus = Corpus {
            train: &rows,
            validation: &rows[2..4],
        };
        let options = Options {
            section: section.clone(),
            seed: 1,
            loraplus_lr_ratio: 2.0,
            max_length: 16,
            packing: false,
            shuffle: false,
            shares: Vec::new(),
            preference: PreferenceSection::default(),
            reference: Reference::default(),
            teaching: None,
            checkpoints: folder.path().join("checkpoints"),
            resume: false,
        };
        let mut decoder = decoder();
        let mut trainer = Trainer::new(&mut decoder, corpus, options).unwrap();
        assert!(!trainer.works_ahead(), "a processor does not compute apart");
        trainer.ahead.most = most;
        let mut events = Vec::new();
        let mut emit = |event: Event| events.push(untimed(&event, folder.path()));
        let ended = trainer.advance(&mut decoder, &AtomicBool::new(false), &mut emit);
        let ended = match ended {
            Ok(_) => "well".into(),
            Err(TrainError::Diverged(it)) => format!("{:?} {:?} {:?}", it.step, it.fault, it.rows),
            Err(error) => panic!("{error}"),
        };
        let weights = decoder.trainable().into_iter();
        let mut hasher = DefaultHasher::new();
        let values = weights.flat_map(|it| it.file_values());
        values.for_each(|x| x.to_bits().hash(&mut hasher));
        Run {
            ended,
            events,
            weights: hasher.finish(),
            checkpoint: latest_checkpoint(&folder.path().join("checkpoints"))
                .unwrap()
                .map(|it| it.state.step),
        }
    }

    fn untimed(event: &Event, folder: &Path) -> String {
        let mut value = serde_json::to_value(event).unwrap();
        for key in ["tokens_per_s", "eta_s"] {
            if let Some(it) = value.get_mut(key) {
                *it = 0.into();
            }
        }
        value.to_string().replace(&folder.display().to_string(), "")
    }

    fn section() -> TrainSection {
        TrainSection {
            max_steps: 11,
            per_device_train_batch_size: BatchSize::Rows(1),
            gradient_accumulation_steps: 2,
            learning_rate: 0.02,
            // A bound that some steps reach and others do not.
            max_grad_norm: 1.5,
            weight_decay: 0.1,
            eval_steps: 5,
            load_best_model_at_end: false,
            ..TrainSection::default()
        }
    }

    #[test]
    fn a_run_that_is_ahead_is_the_same_run() {
        for section in [
            section(),
            TrainSection {
                max_grad_norm: 0.0,
                ..section()
            },
        ] {
            let by_step = run(&section, 1);
            assert_eq!(by_step.ended, "well");
            assert_eq!(by_step.events.len(), 11 + 3 + 3, "{:#?}", by_step.events);
            for most in [2, 4, 100] {
                assert_eq!(run(&section, most), by_step, "{most} steps ahead");
            }
        }
    }

    #[test]
    fn a_run_that_is_ahead_stops_before_the_same_step() {
        let section = TrainSection {
            learning_rate: 1e18,
            max_grad_norm: 0.0,
            warmup_ratio: 0.0,
            eval_steps: 9,
            ..section()
        };
        let by_step = run(&section, 1);
        assert_ne!(by_step.ended, "well");
        let step = by_step.checkpoint.unwrap();
        assert!(step > 0, "{}", by_step.ended);
        for most in [2, 3, 8, 100] {
            let ahead = run(&section, most);
            assert_eq!(ahead, by_step, "{most} steps ahead");
        }
    }
}
