//! The step on a GPU in one pass.

use tch::{Kind, Tensor};

use super::AdamW;
use crate::cuda::{Launch, gpu_of};

/// Takes the step in the memory of `value` and the moments, contiguous and nobody else's; false where there are no kernels.
pub(super) fn step(
    value: &Tensor,
    gradient: &Tensor,
    [first, second]: [&Tensor; 2],
    step: &AdamW,
) -> bool {
    let Some(gpu) = gpu_of(value).filter(|_| value.kind() == Kind::Float) else {
        return false;
    };
    let gradient = gradient.to_kind(Kind::Float).contiguous();
    let n = value.numel() as i64;
    let arguments = [
        value.into(),
        (&gradient).into(),
        first.into(),
        second.into(),
        n.into(),
        step.beta1.into(),
        (1.0 - step.beta1).into(),
        step.beta2.into(),
        (1.0 - step.beta2).into(),
        step.epsilon.into(),
        step.rate.into(),
        step.root.into(),
        step.kept.into(),
        step.clip.into(),
    ];
    Launch::threads(n).run(gpu, "adamw<float>", arguments);
    true
}
