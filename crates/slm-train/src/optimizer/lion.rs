//! Lion (Chen et al. 2023), as `bitsandbytes.optim.Lion` computes it.

use burn::tensor::Tensor;

use super::Step;

/// The momentum after the step and the weight's new value.
pub(super) fn update(
    step: &Step<'_>,
    momentum: Tensor<2>,
    value: Tensor<2>,
    gradient: Tensor<2>,
) -> (Tensor<2>, Tensor<2>) {
    let (beta1, beta2) = (step.figures.beta1, step.figures.beta2);
    let direction = momentum
        .clone()
        .mul_scalar(beta1)
        .add(gradient.clone().mul_scalar(1.0 - beta1))
        .sign();
    let momentum = momentum
        .mul_scalar(beta2)
        .add(gradient.mul_scalar(1.0 - beta2));
    let value = value
        .mul_scalar(1.0 - step.lr * step.weight_decay)
        .sub(direction.mul_scalar(step.lr));
    (momentum, value)
}
