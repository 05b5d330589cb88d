//! Gradient descent with momentum, as `torch.optim.SGD` computes it: weight decay is part of the gradient.

use burn::tensor::Tensor;

use super::Step;

/// The momentum after the step, where there is one, and the weight's new value.
pub(super) fn update(
    step: &Step<'_>,
    momentum: Option<Tensor<2>>,
    value: Tensor<2>,
    gradient: Tensor<2>,
) -> (Option<Tensor<2>>, Tensor<2>) {
    let gradient = match step.weight_decay > 0.0 {
        true => gradient.add(value.clone().mul_scalar(step.weight_decay)),
        false => gradient,
    };
    let Some(momentum) = momentum else {
        return (None, value.sub(gradient.mul_scalar(step.lr)));
    };
    let momentum = momentum.mul_scalar(step.figures.momentum).add(gradient);
    let value = value.sub(momentum.clone().mul_scalar(step.lr));
    (Some(momentum), value)
}
