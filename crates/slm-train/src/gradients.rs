//! Loss and gradients of one micro-batch.

use std::collections::BTreeMap;

use burn::tensor::{Int, Tensor, TensorData};
use slm_data::Batch;
use slm_model::{Decoder, Param, Tokens};
use slm_ops::{
    DeviceSums, TokenSums, TokenWeights, carried, linear_cross_entropy, linear_kl, linear_nll,
    linear_uld, token_scores, upload,
};

use crate::alignment::Beside;
use crate::neftune;
use crate::preference::{JudgedSums, Judging};
use crate::stopwatch::{Part, lap};
use crate::teaching::{Lesson, Said};

/// Gradients by the name of the weight, outside the graph.
pub type Gradients = BTreeMap<String, Tensor<2>>;

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
    gradients: &mut Gradients,
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
    gradients: &mut Gradients,
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
    gradients: &mut Gradients,
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

/// What a batch is learned for.
#[derive(Clone, Copy)]
enum Aim<'a> {
    /// Its tokens.
    Tokens,
    /// The answers that were judged better.
    Judged(&'a Judging),
    /// Its tokens, and what a teacher says of them.
    Taught(&'a Lesson),
}

/// The loss of a micro-batch.
struct BatchLoss {
    sums: DeviceSums,
    /// What the backward pass starts from.
    surrogate: Tensor<1>,
    /// Of judged answers.
    judged: JudgedSums,
    /// The divergence from a teacher.
    taught: DeviceSums,
    /// The distances from its layers.
    layers: DeviceSums,
}

fn pass(
    decoder: &Decoder,
    batch: &Batch,
    options: &LossOptions,
    aim: Aim<'_>,
    gradients: &mut Gradients,
) -> BatchLoss {
    let tokens = tokens_of(decoder, batch);
    let learned = Learned::of(batch, decoder);
    if options.gradient_checkpointing {
        let loss = checkpointed(decoder, &learned, &tokens, options, aim, gradients);
        lap(Part::Backward);
        return loss;
    }
    let seed = options.dropout_seed;
    let mut beside = beside(aim, &learned, options);
    let mut x = neftune::embed(decoder, &tokens, options.neftune_noise_alpha, seed);
    let pass = decoder.pass(&tokens, Some(seed));
    let mut pulls = Vec::new();
    for (i, layer) in decoder.layers().iter().enumerate() {
        x = layer.forward(decoder.config(), x, &pass, None);
        if let Some(beside) = &mut beside {
            beside.see(i, &x, gradients);
            pulls.extend(beside.pull(i, &x));
        }
    }
    let states = decoder.finish(x);
    drop(pass);
    lap(Part::Forward);
    let mut loss = head_loss(decoder, &learned, states, options, aim);
    loss.layers = beside.as_mut().map(Beside::take_sums).unwrap_or_default();
    lap(Part::Head);
    let start = pulls.into_iter().fold(loss.surrogate.clone(), Tensor::add);
    collect(start, decoder.trainable(), gradients);
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

fn checkpointed(
    decoder: &Decoder,
    learned: &Learned,
    tokens: &Tokens,
    options: &LossOptions,
    aim: Aim<'_>,
    gradients: &mut Gradients,
) -> BatchLoss {
    let plain = decoder.inference();
    let pass = plain.pass(tokens, Some(options.dropout_seed));
    let alpha = options.neftune_noise_alpha;
    let mut beside = beside(aim, learned, options);
    let mut inputs = vec![neftune::embed(&plain, tokens, alpha, options.dropout_seed)];
    for (i, layer) in plain.layers().iter().enumerate() {
        let x = layer.forward(plain.config(), inputs[i].clone(), &pass, None);
        if let Some(beside) = &mut beside {
            beside.see(i, &x, gradients);
        }
        inputs.push(x);
    }

    let leaf = |x: Tensor<3>| x.autodiff().require_grad();
    let top = leaf(inputs.pop().unwrap_or_else(|| plain.embed(tokens)));
    let states = decoder.finish(top.clone());
    lap(Part::Forward);
    let mut loss = head_loss(decoder, learned, states, options, aim);
    lap(Part::Head);
    let lowest = decoder.lowest_trained();
    loss.layers = beside.as_mut().map(Beside::take_sums).unwrap_or_default();
    let mut with_pull = |i, output: &Tensor<3>, start: Tensor<1>| {
        let pull = beside.as_mut().and_then(|it| it.pull(i, output));
        pull.into_iter().fold(start, Tensor::add)
    };
    let start = with_pull(inputs.len() - 1, &top, loss.surrogate.clone());
    let around = decoder.trainable_around_layers();
    let mut flowing = collect_with(start, &top, around, gradients);
    drop(top);
    for (i, layer) in decoder.layers().iter().enumerate().rev() {
        let above = flowing
            .take()
            .filter(|_| lowest.is_some_and(|lowest| i >= lowest));
        let (Some(above), Some(input)) = (above, inputs.pop()) else {
            return loss;
        };
        let input = leaf(input);
        let output = layer.forward(decoder.config(), input.clone(), &pass, None);
        let params = layer
            .params()
            .chain(layer.lora_params())
            .filter(|p| p.trainable)
            .collect();
        let start = with_pull(i, &output, carried(output.clone(), above));
        // Nothing of the backward pass reads it.
        drop(output);
        flowing = collect_with(start, &input, params, gradients);
    }
    if let (Some(above), true) = (flowing, decoder.embedding_is_trained()) {
        collect(
            carried(decoder.embed(tokens), above),
            decoder.trainable_around_layers(),
            gradients,
        );
    }
    loss
}

/// The head and loss on the learned positions of final states `[batch, time, hidden]`.
fn head_loss(
    decoder: &Decoder,
    learned: &Learned,
    states: Tensor<3>,
    options: &LossOptions,
    aim: Aim<'_>,
) -> BatchLoss {
    let states = learned.of_states(states);
    let own = |weights: &TokenWeights| {
        linear_cross_entropy(
            states.clone(),
            decoder.head(),
            learned.targets.clone(),
            &weights.clone().scaled(options.loss_scale),
            &decoder.config().head,
            options.label_smoothing,
        )
    };
    let (found, judged) = match aim {
        Aim::Tokens => (own(&options.weights), JudgedSums::default()),
        Aim::Judged(judging) => {
            let logprobs = logprobs(decoder, states.clone(), learned.targets.clone());
            let (weights, judged) = judging.weigh(&logprobs);
            let n = weights.len();
            let device = states.device().inner();
            let weights = Tensor::from_data(TensorData::new(weights, [n]), &device);
            (own(&TokenWeights::Each(weights)), judged)
        }
        Aim::Taught(lesson) => return taught_loss(decoder, learned, states, options, lesson),
    };
    BatchLoss {
        sums: found.sums,
        surrogate: found.surrogate,
        judged,
        taught: DeviceSums::default(),
        layers: DeviceSums::default(),
    }
}

/// The cross entropy and the divergence from a teacher, each with its share, of final states `[n, hidden]`.
fn taught_loss(
    decoder: &Decoder,
    learned: &Learned,
    states: Tensor<2>,
    options: &LossOptions,
    lesson: &Lesson,
) -> BatchLoss {
    let (head, shape) = (decoder.head(), &decoder.config().head);
    let weights = options.weights.clone().scaled(options.loss_scale);
    let measure = &lesson.measure;
    let (temperature, share) = (measure.temperature, measure.share());
    let taught = match &lesson.said {
        Said::Same(teacher) => Some(linear_kl(
            states.clone(),
            teacher.seen_of(head.clone()),
            teacher,
            &weights.clone().scaled(share),
            shape,
            measure.divergence,
            temperature,
        )),
        Said::Foreign(said) => said.as_ref().map(|(teacher, places)| {
            let weights = weights.of(places).scaled(share);
            let states = states.clone().select(0, places.clone());
            linear_uld(states, head.clone(), teacher, &weights, shape, temperature)
        }),
    };
    let targets = learned.targets.clone();
    let own_share = lesson.own_share();
    let own = |weights: TokenWeights, smoothing| {
        linear_cross_entropy(
            states.clone(),
            head.clone(),
            targets.clone(),
            &weights,
            shape,
            smoothing,
        )
    };
    let (sums, surrogate) = match (&taught, own_share > 0.0) {
        (Some(taught), false) => {
            let sums = linear_nll(states, head, targets, shape);
            (sums, taught.surrogate.clone())
        }
        (taught, _) => {
            let own = own(weights.scaled(own_share), options.label_smoothing);
            let surrogate = match taught {
                Some(taught) => own.surrogate.add(taught.surrogate.clone()),
                None => own.surrogate,
            };
            (own.sums, surrogate)
        }
    };
    BatchLoss {
        sums,
        surrogate,
        judged: JudgedSums::default(),
        taught: taught.map(|it| it.sums).unwrap_or_default(),
        layers: DeviceSums::default(),
    }
}

/// ln p of each of `targets`, outside the graph; the host waits for it.
fn logprobs(decoder: &Decoder, states: Tensor<2>, targets: Tensor<1, Int>) -> Vec<f32> {
    if targets.dims()[0] == 0 {
        return Vec::new();
    }
    let scores = token_scores(states, decoder.head(), targets, &decoder.config().head);
    let data = scores.logprobs.into_data();
    data.try_into_vec()
        .expect("log-probabilities are f32, whatever the weights are")
}

/// ln p of the learned tokens of each row, without gradients.
pub(crate) fn row_logprobs(decoder: &Decoder, batch: &Batch) -> Vec<f64> {
    let learned = Learned::of(batch, decoder);
    let states = decoder.hidden(&tokens_of(decoder, batch), None, None);
    let (states, targets) = (learned.of_states(states), learned.targets);
    let places = (0..batch.learn.len()).filter(|place| batch.learn[*place]);
    let mut rows = vec![0.0; batch.rows];
    for (place, logprob) in places.zip(logprobs(decoder, states, targets)) {
        rows[place / batch.cols] += f64::from(logprob);
    }
    rows
}

/// The final states of the learned tokens of a batch, `[n, hidden]`, without gradients.
pub(crate) fn learned_states(decoder: &Decoder, batch: &Batch) -> Tensor<2> {
    let learned = Learned::of(batch, decoder);
    learned.of_states(decoder.hidden(&tokens_of(decoder, batch), None, None))
}

/// The same, and the states after each layer that `reads` wants, by its number.
pub(crate) fn learned_states_by_layer(
    decoder: &Decoder,
    batch: &Batch,
    reads: impl Fn(usize) -> bool,
) -> (Tensor<2>, BTreeMap<usize, Tensor<2>>) {
    let (learned, tokens) = (Learned::of(batch, decoder), tokens_of(decoder, batch));
    let (pass, mut x) = (decoder.pass(&tokens, None), decoder.embed(&tokens));
    let mut read = BTreeMap::new();
    for (i, layer) in decoder.layers().iter().enumerate() {
        x = layer.forward(decoder.config(), x, &pass, None);
        if reads(i) {
            read.insert(i, learned.of_states(x.clone()));
        }
    }
    (learned.of_states(decoder.finish(x)), read)
}

/// What a batch of answers says without gradients: sums over its learned tokens, and the judgement.
pub(crate) fn judged(
    decoder: &Decoder,
    batch: &Batch,
    judging: &Judging,
) -> (TokenSums, JudgedSums) {
    let learned = Learned::of(batch, decoder);
    let states = decoder.hidden(&tokens_of(decoder, batch), None, None);
    let (states, targets) = (learned.of_states(states), learned.targets);
    let logprobs = logprobs(decoder, states.clone(), targets.clone());
    let sums = linear_nll(states, decoder.head(), targets, &decoder.config().head);
    (sums.read(), judging.weigh(&logprobs).1)
}

/// Where a batch learns, and what: brought to the device before anything is computed there, so that nothing waits for it.
pub(crate) struct Learned {
    /// None where every place is learned.
    places: Option<Tensor<1, Int>>,
    targets: Tensor<1, Int>,
}

impl Learned {
    fn of(batch: &Batch, decoder: &Decoder) -> Self {
        let places: Vec<usize> = (0..batch.learn.len()).filter(|&i| batch.learn[i]).collect();
        let ints = |values: Vec<i32>| -> Tensor<1, Int> {
            let n = values.len();
            upload::ints(values, [n], decoder.device())
        };
        let index = || ints(places.iter().map(|&i| i as i32).collect());
        Self {
            places: (places.len() < batch.learn.len()).then(index),
            targets: ints(places.iter().map(|&i| batch.targets[i]).collect()),
        }
    }

    /// The states of those places, `[n, hidden]`, of all, `[rows, cols, hidden]`.
    pub(crate) fn of_states(&self, states: Tensor<3>) -> Tensor<2> {
        let [rows, cols, hidden] = states.dims();
        let states = states.reshape([rows * cols, hidden]);
        match &self.places {
            Some(places) => states.select(0, places.clone()),
            None => states,
        }
    }
}

fn tokens_of(decoder: &Decoder, batch: &Batch) -> Tokens {
    Tokens::new(
        &batch.ids,
        &batch.positions,
        &batch.segments,
        [batch.rows, batch.cols],
        decoder.device(),
    )
}

/// Runs the backward pass of a scalar, if anything below it is trained, and adds the gradients of `params`.
fn collect(scalar: Tensor<1>, params: Vec<&Param>, gradients: &mut Gradients) {
    if scalar.is_tracked() {
        take(&mut scalar.backward(), params, gradients);
    }
}

/// [`collect`], and the gradient of `leaf`.
fn collect_with(
    scalar: Tensor<1>,
    leaf: &Tensor<3>,
    params: Vec<&Param>,
    gradients: &mut Gradients,
) -> Option<Tensor<3>> {
    let mut found = scalar.backward();
    take(&mut found, params, gradients);
    leaf.grad_remove(&mut found)
}

fn take(found: &mut burn::tensor::Gradients, params: Vec<&Param>, gradients: &mut Gradients) {
    for param in params {
        if let Some(gradient) = param.tensor().grad_remove(found) {
            add(gradients, &param.name, gradient);
        }
    }
}

pub(crate) fn add(gradients: &mut Gradients, name: &str, gradient: Tensor<2>) {
    let sum = match gradients.remove(name) {
        Some(held) => held.add(gradient),
        None => gradient,
    };
    gradients.insert(name.into(), sum);
}

/// Means over the learned tokens of some rows.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct TokenMeans {
    /// Cross entropy in nats.
    pub loss: f64,
    /// Entropy of the predicted distributions, in nats.
    pub entropy: f64,
    /// Share of the targets that no other token was likelier than.
    pub token_accuracy: f64,
}

impl TokenMeans {
    /// Nothing was measured.
    pub(crate) const UNKNOWN: Self = Self {
        loss: f64::NAN,
        entropy: f64::NAN,
        token_accuracy: f64::NAN,
    };

    /// The means of `sums` over `n` tokens.
    pub fn new(sums: TokenSums, n: usize) -> Self {
        let n = n as f64;
        Self {
            loss: sums.loss / n,
            entropy: sums.entropy / n,
            token_accuracy: sums.correct / n,
        }
    }
}

/// The means over the learned tokens of all batches, without gradients; `None` when nothing is learned.
///
/// The loss is the plain cross entropy, whatever `label_smoothing_factor` training has, so that runs compare.
pub fn held_out_means(
    decoder: &Decoder,
    batches: impl IntoIterator<Item = Batch>,
) -> Option<TokenMeans> {
    let (sums, count) = held_out_sums(decoder, batches);
    (count > 0).then(|| TokenMeans::new(sums, count))
}

/// The sums, and the number of learned tokens that they are over.
pub(crate) fn held_out_sums(
    decoder: &Decoder,
    batches: impl IntoIterator<Item = Batch>,
) -> (TokenSums, usize) {
    let decoder = decoder.inference();
    let shape = decoder.config().head;
    let (mut sums, mut count) = (Vec::new(), 0);
    for batch in batches.into_iter().filter(|batch| batch.learned > 0) {
        let learned = Learned::of(&batch, &decoder);
        let states = decoder.hidden(&tokens_of(&decoder, &batch), None, None);
        let (states, targets) = (learned.of_states(states), learned.targets);
        sums.push(linear_nll(states, decoder.head(), targets, &shape).read());
        count += batch.learned;
    }
    (sums.into_iter().sum(), count)
}
