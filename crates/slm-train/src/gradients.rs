//! Loss and gradients of one micro-batch.

mod head;
mod held_out;
mod learned;
mod stack;

use std::collections::BTreeMap;

use burn::tensor::Tensor;
use slm_data::Batch;
use slm_model::{Decoder, Param};
use slm_ops::{DeviceSums, TokenWeights};

use crate::alignment::Beside;
use crate::preference::{JudgedSums, Judging};
use crate::stopwatch::{Part, lap};
use crate::teaching::Lesson;

use head::{Aim, BatchLoss, head_loss};
pub(crate) use held_out::held_out_sums;
pub use held_out::{TokenMeans, held_out_means};
use learned::tokens_of;
pub(crate) use learned::{Learned, judged, learned_states, learned_states_by_layer, row_logprobs};
use stack::Stack;

/// Gradients by the name of the weight, outside the graph.
pub type Gradients = BTreeMap<String, Tensor<2>>;

/// Where a backward pass leaves the gradients that it finds, in the order in which it finds them.
pub trait Gather {
    /// Adds to the gradient of a weight.
    fn add(&mut self, name: &str, gradient: Tensor<2>);

    /// The micro-batch says nothing more of these weights.
    fn settle(&mut self, _params: &[&Param]) {}
}

impl Gather for Gradients {
    fn add(&mut self, name: &str, gradient: Tensor<2>) {
        let sum = match self.remove(name) {
            Some(held) => held.add(gradient),
            None => gradient,
        };
        self.insert(name.into(), sum);
    }
}

/// How the loss of a micro-batch is taken.
#[derive(Clone, Debug)]
pub struct LossOptions {
    /// What each learned token counts; of supervised training, 1 / learned tokens of the whole step.
    pub weights: TokenWeights,
    /// What gradients are multiplied by on the way: see [`crate::LossScale`].
    pub loss_scale: f64,
    /// HF's `label_smoothing_factor`.
    pub label_smoothing: f64,
    /// Keep one tensor per layer, and do each layer's forward pass again in its backward pass: the numbers are the same.
    pub gradient_checkpointing: bool,
    /// Draws dropout and noise, the same in both passes.
    pub dropout_seed: u64,
    /// See `neftune.rs`; 0 is none.
    pub neftune_noise_alpha: f64,
}

impl LossOptions {
    /// Of `learned` tokens in the step, without scaling, smoothing, checkpointing, and any seed.
    pub fn mean_of(learned: usize) -> Self {
        Self {
            weights: TokenWeights::Same(1.0 / learned as f64),
            loss_scale: 1.0,
            label_smoothing: 0.0,
            gradient_checkpointing: false,
            dropout_seed: 0,
            neftune_noise_alpha: 0.0,
        }
    }
}

/// The sums over the learned tokens of `batch`; adds the gradients of their weighted loss to `gradients`.
///
/// Nothing waits for the device here: read the sums when the step's work is under way.
pub fn loss_and_gradients(
    decoder: &Decoder,
    batch: &Batch,
    options: &LossOptions,
    gradients: &mut dyn Gather,
) -> DeviceSums {
    pass(decoder, batch, options, Aim::Tokens, gradients).sums
}

/// The same of a batch of answers, whose weights are `judging`'s and not `options`'; `batch` is what
/// [`crate::Preference::scored`] gives.
pub fn judged_loss_and_gradients(
    decoder: &Decoder,
    batch: &Batch,
    judging: &Judging,
    options: &LossOptions,
    gradients: &mut dyn Gather,
) -> (DeviceSums, JudgedSums) {
    let aim = Aim::Judged(judging);
    let BatchLoss { sums, judged, .. } = pass(decoder, batch, options, aim, gradients);
    (sums, judged)
}

/// The same of a batch that a teacher has something to say of: the sums over its own tokens, those of the divergence, and those
/// of the distances from the teacher's layers, where any are mapped.
pub fn taught_loss_and_gradients(
    decoder: &Decoder,
    batch: &Batch,
    lesson: &Lesson,
    options: &LossOptions,
    gradients: &mut dyn Gather,
) -> [DeviceSums; 3] {
    let aim = Aim::Taught(lesson);
    let BatchLoss {
        sums,
        taught,
        layers,
        ..
    } = pass(decoder, batch, options, aim, gradients);
    [sums, taught, layers]
}

fn pass(
    decoder: &Decoder,
    batch: &Batch,
    options: &LossOptions,
    aim: Aim<'_>,
    gradients: &mut dyn Gather,
) -> BatchLoss {
    let tokens = tokens_of(decoder, batch);
    let learned = Learned::of(batch, decoder);
    let mut beside = beside(aim, &learned, options);
    let stack = Stack::forward(decoder, tokens, options, |layer, x| {
        if let Some(beside) = &mut beside {
            beside.see(layer, x, gradients);
        }
    });
    let states = decoder.finish(stack.top());
    lap(Part::Forward);
    let mut loss = head_loss(decoder, &learned, states, options, aim);
    loss.layers = beside.as_mut().map(Beside::take_sums).unwrap_or_default();
    lap(Part::Head);
    let pull = |layer, output: &_| beside.as_mut()?.pull(layer, output);
    stack.backward(loss.surrogate.clone(), pull, gradients);
    lap(Part::Backward);
    loss
}

/// A student beside its teacher's layers, where any are mapped.
fn beside<'a>(aim: Aim<'a>, learned: &'a Learned, options: &LossOptions) -> Option<Beside<'a>> {
    let Aim::Taught(lesson) = aim else {
        return None;
    };
    let weights = options.weights.clone().scaled(options.loss_scale);
    let said = lesson.layers.as_ref()?;
    Some(said.beside(learned, &weights))
}
