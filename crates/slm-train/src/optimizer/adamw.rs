//! AdamW (Loshchilov and Hutter 2019), as `torch.optim.AdamW` computes it, and with states of 8 bits (Dettmers et al. 2022),
//! as `bitsandbytes.optim.AdamW8bit` does.

use burn::tensor::Tensor;

use super::Step;
use super::blocks::{Blocks, Codebooks};

/// The moments after the step and the weight's new value.
pub(super) fn update(
    step: &Step<'_>,
    [first, second]: [Tensor<2>; 2],
    value: Tensor<2>,
    gradient: Tensor<2>,
) -> ([Tensor<2>; 2], Tensor<2>) {
    let (beta1, beta2) = (step.figures.beta1, step.figures.beta2);
    let first = first
        .mul_scalar(beta1)
        .add(gradient.clone().mul_scalar(1.0 - beta1));
    let second = second
        .mul_scalar(beta2)
        .add(gradient.square().mul_scalar(1.0 - beta2));

    let correction1 = 1.0 - beta1.powi(step.number as i32);
    let correction2 = 1.0 - beta2.powi(step.number as i32);
    let denominator = second
        .clone()
        .sqrt()
        .div_scalar(correction2.sqrt())
        .add_scalar(step.figures.epsilon);
    let change = first
        .clone()
        .div(denominator)
        .mul_scalar(step.lr / correction1);
    let value = value
        .mul_scalar(1.0 - step.lr * step.weight_decay)
        .sub(change);
    ([first, second], value)
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
