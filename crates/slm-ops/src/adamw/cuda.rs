//! The step on a GPU: one kernel for all weights, where one for each would be asked for longer than it runs.

use tch::{Device, Kind, Tensor};

use super::AdamW;
use crate::aten::upload;
use crate::cuda::{Launch, gpu_of};

/// A weight, its gradient and its moments: contiguous, f32; all but the gradient nobody else's.
pub(super) struct Tensors {
    pub(super) value: Tensor,
    pub(super) gradient: Tensor,
    pub(super) moments: [Tensor; 2],
}

/// Takes the steps in the memory of the values and moments, with `clip`, which lies on the device, in place of their own if it is
/// given. False where there are no kernels, or the steps differ in more than rate and decay.
pub(super) fn step(weights: &[Tensors], steps: &[AdamW], clip: Option<&Tensor>) -> bool {
    let (Some(first), Some(step)) = (weights.first(), steps.first()) else {
        return true;
    };
    let Some(gpu) = gpu_of(&first.value) else {
        return false;
    };
    let alike = |other: &AdamW| {
        AdamW {
            rate: step.rate,
            kept: step.kept,
            ..*other
        } == *step
    };
    if !steps.iter().all(alike) {
        return false;
    }
    let table: Vec<i64> = weights
        .iter()
        .zip(steps)
        .flat_map(|(it, step)| row(it, step))
        .collect();
    let Device::Cuda(index) = first.value.device() else {
        return false;
    };
    let table = upload(&Tensor::from_slice(&table), index);
    let clip = match clip {
        Some(clip) => clip.to_kind(Kind::Float),
        None => upload(&Tensor::from_slice(&[step.clip as f32]), index),
    };
    let most = weights.iter().map(|it| it.value.numel()).max().unwrap_or(0);
    let arguments = [
        (&table).into(),
        step.beta1.into(),
        (1.0 - step.beta1).into(),
        step.beta2.into(),
        (1.0 - step.beta2).into(),
        step.epsilon.into(),
        step.root.into(),
        (&clip).into(),
    ];
    Launch::for_each(weights.len(), most as i64).run(gpu, "adamw<float>", arguments);
    true
}

/// `Weight` of `kernels.cu`.
fn row(it: &Tensors, step: &AdamW) -> [i64; 6] {
    let place = |x: &Tensor| {
        assert!(
            x.kind() == Kind::Float && x.is_contiguous(),
            "weights are contiguous f32"
        );
        x.data_ptr() as i64
    };
    let [rate, kept] = [step.rate, step.kept].map(|x| i64::from((x as f32).to_bits()));
    [
        place(&it.value),
        place(&it.gradient),
        place(&it.moments[0]),
        place(&it.moments[1]),
        it.value.numel() as i64,
        rate | kept << 32,
    ]
}
