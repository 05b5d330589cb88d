//! Loss and gradients of one micro-batch.

use std::collections::BTreeMap;

use burn::tensor::{Int, Tensor, TensorData};
use slm_data::Batch;
use slm_model::{Decoder, Param, Tokens};
use slm_ops::{TokenLoss, linear_cross_entropy, loss::linear_nll};

/// Gradients by the name of the weight, outside the graph.
pub type Gradients = BTreeMap<String, Tensor<2>>;

/// The summed loss of the learned tokens of `batch`, in nats; adds `scale` times its gradients to `gradients`.
///
/// `scale` is 1 / learned tokens of the whole step. With `checkpointing` one tensor per layer is kept, and each layer's
/// forward pass is done again in its backward pass: the numbers are the same. `dropout_seed` draws the same dropout in both.
pub fn loss_and_gradients(
    decoder: &Decoder,
    batch: &Batch,
    scale: f64,
    checkpointing: bool,
    dropout_seed: u64,
    gradients: &mut Gradients,
) -> f64 {
    let tokens = tokens_of(decoder, batch);
    if checkpointing {
        return checkpointed(decoder, batch, &tokens, scale, dropout_seed, gradients);
    }
    let states = decoder.hidden(&tokens, None, Some(dropout_seed));
    let TokenLoss { sum, surrogate } = head_loss(decoder, batch, states, scale);
    collect(surrogate, decoder.trainable(), gradients);
    sum
}

fn checkpointed(
    decoder: &Decoder,
    batch: &Batch,
    tokens: &Tokens,
    scale: f64,
    dropout_seed: u64,
    gradients: &mut Gradients,
) -> f64 {
    let plain = decoder.inference();
    let pass = plain.pass(tokens, Some(dropout_seed));
    let mut inputs = vec![plain.embed(tokens)];
    for layer in plain.layers() {
        let x = inputs[inputs.len() - 1].clone();
        inputs.push(layer.forward(plain.config(), x, &pass, None));
    }

    let leaf = |x: Tensor<3>| x.autodiff().require_grad();
    let top = leaf(inputs.pop().unwrap_or_else(|| plain.embed(tokens)));
    let TokenLoss { sum, surrogate } =
        head_loss(decoder, batch, decoder.finish(top.clone()), scale);
    let lowest = decoder.lowest_trained();
    let mut flowing = collect_with(
        surrogate,
        &top,
        decoder.trainable_around_layers(),
        gradients,
    );
    for (i, layer) in decoder.layers().iter().enumerate().rev() {
        let Some(above) = flowing
            .take()
            .filter(|_| lowest.is_some_and(|lowest| i >= lowest))
        else {
            return sum;
        };
        let input = leaf(inputs[i].clone());
        let output = layer.forward(decoder.config(), input.clone(), &pass, None);
        let params = layer
            .params()
            .chain(layer.lora_params())
            .filter(|p| p.trainable)
            .collect();
        flowing = collect_with(output.mul(above).sum(), &input, params, gradients);
    }
    if let (Some(above), true) = (flowing, decoder.embedding_is_trained()) {
        collect(
            decoder.embed(tokens).mul(above).sum(),
            decoder.trainable_around_layers(),
            gradients,
        );
    }
    sum
}

/// The head and loss on the learned positions of final states `[batch, time, hidden]`.
fn head_loss(decoder: &Decoder, batch: &Batch, states: Tensor<3>, scale: f64) -> TokenLoss {
    let (states, targets) = learned(batch, states);
    linear_cross_entropy(states, decoder.head(), targets, scale)
}

/// States and targets of the learned positions only.
fn learned(batch: &Batch, states: Tensor<3>) -> (Tensor<2>, Tensor<1, Int>) {
    let [rows, cols, hidden] = states.dims();
    let places: Vec<usize> = (0..rows * cols).filter(|&i| batch.learn[i]).collect();
    let device = states.device().inner();
    let ints = |values: Vec<i32>| -> Tensor<1, Int> {
        let n = values.len();
        Tensor::from_data(TensorData::new(values, [n]), &device)
    };
    let index = ints(places.iter().map(|&i| i as i32).collect());
    let targets = ints(places.iter().map(|&i| batch.targets[i]).collect());
    (
        states.reshape([rows * cols, hidden]).select(0, index),
        targets,
    )
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
        if let Some(gradient) = param.value.grad_remove(found) {
            add(gradients, &param.name, gradient);
        }
    }
}

fn add(gradients: &mut Gradients, name: &str, gradient: Tensor<2>) {
    let sum = match gradients.remove(name) {
        Some(held) => held.add(gradient),
        None => gradient,
    };
    gradients.insert(name.into(), sum);
}

/// The mean loss over the learned tokens of all batches, in nats, without gradients; `None` when nothing is learned.
pub fn mean_loss(decoder: &Decoder, batches: impl IntoIterator<Item = Batch>) -> Option<f64> {
    let decoder = decoder.inference();
    let (mut sum, mut count) = (0.0, 0);
    for batch in batches.into_iter().filter(|batch| batch.learned > 0) {
        let states = decoder.hidden(&tokens_of(&decoder, &batch), None, None);
        let (states, targets) = learned(&batch, states);
        sum += linear_nll(states, decoder.head(), targets);
        count += batch.learned;
    }
    (count > 0).then(|| sum / count as f64)
}
