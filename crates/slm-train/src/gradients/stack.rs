//! The layers of a micro-batch, each with a graph of its own.
//!
//! The backward pass takes them one by one: the gradients of a layer's weights are whole as soon as its own pass is, and can
//! travel to other processes while the layers below it are taken. With gradient checkpointing a layer's graph is made only then,
//! from what went into it.

use burn::tensor::Tensor;
use slm_model::{Decoder, Param, Pass, Tokens};
use slm_ops::carried;

use super::{Gather, LossOptions};
use crate::neftune;

/// The layers after a forward pass.
pub(super) struct Stack<'a> {
    decoder: &'a Decoder,
    tokens: Tokens,
    pass: Pass,
    /// The lowest layer that is trained, and all above it.
    kept: Vec<Kept>,
    top: Tensor<3>,
}

/// What is kept of a layer for its backward pass.
struct Kept {
    input: Tensor<3>,
    /// With the graph up to it; `None` with gradient checkpointing.
    output: Option<Tensor<3>>,
}

impl<'a> Stack<'a> {
    /// Takes the layers one after the other; `see` is shown what each gives, outside the graphs.
    pub(super) fn forward(
        decoder: &'a Decoder,
        tokens: Tokens,
        options: &LossOptions,
        mut see: impl FnMut(usize, &Tensor<3>),
    ) -> Self {
        let plain = decoder.inference();
        let (alpha, seed) = (options.neftune_noise_alpha, options.dropout_seed);
        let pass = plain.pass(&tokens, Some(seed));
        let lowest = decoder.lowest_trained();
        let mut x = neftune::embed(&plain, &tokens, alpha, seed);
        let mut kept = Vec::new();
        for (i, layer) in plain.layers().iter().enumerate() {
            let plainly = |x| layer.forward(decoder.config(), x, &pass, None);
            if lowest.is_none_or(|lowest| i < lowest) {
                x = plainly(x);
            } else {
                // Of what goes into the lowest of them, a trained embedding alone wants the gradient.
                let input = leaf(x, Some(i) > lowest || decoder.embedding_is_trained());
                let output = (!options.gradient_checkpointing).then(|| {
                    let layer = &decoder.layers()[i];
                    layer.forward(decoder.config(), input.clone(), &pass, None)
                });
                x = match &output {
                    Some(output) => output.clone().inner(),
                    None => plainly(input.clone().inner()),
                };
                kept.push(Kept { input, output });
            }
            see(i, &x);
        }
        Self {
            decoder,
            tokens,
            pass,
            kept,
            top: leaf(x, lowest.is_some()),
        }
    }

    /// What the last layer gives, `[batch, time, hidden]`, where the graph of all that comes after begins.
    pub(super) fn top(&self) -> Tensor<3> {
        self.top.clone()
    }

    /// The backward passes of all that came after the layers, and of each layer; `pull` gives what that of a layer's output starts from
    /// as well.
    pub(super) fn backward(
        self,
        surrogate: Tensor<1>,
        mut pull: impl FnMut(usize, &Tensor<3>) -> Option<Tensor<1>>,
        gradients: &mut dyn Gather,
    ) {
        let Self { decoder, top, .. } = self;
        let mut pulled = |layer: usize, output: &_, start: Tensor<1>| {
            let pull = pull(layer, output);
            pull.into_iter().fold(start, Tensor::add)
        };
        let n = decoder.layers().len();
        let around = decoder.trainable_around_layers();
        let start = pulled(n.saturating_sub(1), &top, surrogate);
        let mut above = collect(start, &top, &around, gradients);
        drop(top);
        for (i, Kept { input, output }) in (0..n).rev().zip(self.kept.into_iter().rev()) {
            let Some(gradient) = above.take() else {
                return;
            };
            let layer = &decoder.layers()[i];
            let again = || layer.forward(decoder.config(), input.clone(), &self.pass, None);
            let output = output.unwrap_or_else(again);
            let start = pulled(i, &output, carried(output.clone(), gradient));
            // Nothing of the backward pass reads it.
            drop(output);
            let params: Vec<_> = layer.trainable().collect();
            above = collect(start, &input, &params, gradients);
            gradients.settle(&params);
        }
        if let Some(gradient) = above.filter(|_| decoder.embedding_is_trained()) {
            let x = decoder.embed(&self.tokens);
            let start = carried(x.clone(), gradient);
            collect(start, &x, &around, gradients);
        }
    }
}

fn leaf(x: Tensor<3>, is_wanted: bool) -> Tensor<3> {
    let x = x.autodiff();
    if is_wanted { x.require_grad() } else { x }
}

/// Runs the backward pass of a scalar, if anything below it is trained: adds the gradients of `params`, and gives that of `leaf`.
fn collect(
    scalar: Tensor<1>,
    leaf: &Tensor<3>,
    params: &[&Param],
    gradients: &mut dyn Gather,
) -> Option<Tensor<3>> {
    if !scalar.is_tracked() {
        return None;
    }
    let mut found = scalar.backward();
    for param in params {
        if let Some(gradient) = param.tensor().grad_remove(&mut found) {
            gradients.add(&param.name, gradient);
        }
    }
    leaf.grad_remove(&mut found)
}
