//! AdamW (Loshchilov and Hutter 2019), as `torch.optim.AdamW` computes it, and with states of 8 bits (Dettmers et al. 2022),
//! as `bitsandbytes.optim.AdamW8bit` does.

use burn::tensor::Tensor;
use slm_ops::AdamW;

use super::Step;
use super::blocks::{Blocks, Codebooks};

/// The moments after the step and the weight's new value.
pub(super) fn update(
    step: &Step<'_>,
    moments: [Tensor<2>; 2],
    value: Tensor<2>,
    gradient: Tensor<2>,
) -> ([Tensor<2>; 2], Tensor<2>) {
    let (value, moments) = slm_ops::adamw(value, gradient, moments, &figures(step));
    (moments, value)
}

/// What the step does to every value of a weight.
pub(super) fn figures(step: &Step<'_>) -> AdamW {
    let (beta1, beta2) = (step.figures.beta1, step.figures.beta2);
    let correction = |beta: f64| 1.0 - beta.powi(step.number as i32);
    AdamW {
        beta1,
        beta2,
        epsilon: step.figures.epsilon,
        rate: step.lr / correction(beta1),
        root: correction(beta2).sqrt(),
        kept: 1.0 - step.lr * step.weight_decay,
        clip: step.clip,
    }
}

/// [`update`] between states that are read from 8 bits and written to them.
pub(super) fn update_8bit(
    step: &Step<'_>,
    [first, second]: [Blocks; 2],
    value: Tensor<2>,
    gradient: Tensor<2>,
) -> ([Blocks; 2], Tensor<2>) {
    let Codebooks { signed, unsigned } = step
        .codebooks
        .get_or_init(|| Codebooks::new(&value.device()));
    let shape = value.dims();
    let moments = [first.read(signed, shape), second.read(unsigned, shape)];
    let ([first, second], value) = update(step, moments, value, gradient);
    (
        [Blocks::of(first, signed), Blocks::of(second, unsigned)],
        value,
    )
}
