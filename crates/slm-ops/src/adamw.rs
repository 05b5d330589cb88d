//! A step of AdamW (Loshchilov and Hutter 2019) on one weight, as `torch.optim.AdamW` takes it.
//!
//! With `m` and `v` the moments, `g` the gradient and `w` the weight: `m ← β₁m + (1 − β₁)g`, `v ← β₂v + (1 − β₂)g²`,
//! `w ← kept · w − rate · m / (√v / root + ε)`.

#[cfg(feature = "libtorch")]
mod cuda;
mod flex;
mod fused;
#[cfg(feature = "libtorch")]
mod libtorch;

use burn::backend::Dispatch;
use burn::tensor::{DType, Tensor};

use crate::vector::vectorised;
use fused::Step;

/// What a step does to every value of a weight.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct AdamW {
    pub beta1: f64,
    pub beta2: f64,
    pub epsilon: f64,
    /// Learning rate over the first moment's correction, 1 − β₁ᵗ.
    pub rate: f64,
    /// The root of the second moment's correction, 1 − β₂ᵗ.
    pub root: f64,
    /// 1 − learning rate · weight decay.
    pub kept: f64,
    /// What the gradient is multiplied by first, where all together are too long; else 1.
    pub clip: f64,
}

/// The weight and its moments after a step, in the memory of the moments where nobody else reads it. All of one shape; f32,
/// outside the graph.
pub fn adamw(
    value: Tensor<2>,
    gradient: Tensor<2>,
    moments: [Tensor<2>; 2],
    step: &AdamW,
) -> (Tensor<2>, [Tensor<2>; 2]) {
    if value.dtype() != DType::F32 || !crate::fused::applies(&value) {
        return portable(value, gradient, moments, step);
    }
    let [first, second] = moments.map(Tensor::into_dispatch);
    let (value, gradient) = (value.into_dispatch(), gradient.into_dispatch());
    let (value, first, second) = Dispatch::adamw(value, gradient, first, second, *step);
    let moments = [first, second].map(Tensor::from_dispatch);
    (Tensor::from_dispatch(value), moments)
}

/// A weight, its gradient and its moments in a step of its own; see [`adamw`].
#[derive(Clone, Debug)]
pub struct Weighted {
    pub value: Tensor<2>,
    pub gradient: Tensor<2>,
    pub moments: [Tensor<2>; 2],
    pub step: AdamW,
}

/// A weight and its moments after a step.
pub type Stepped = (Tensor<2>, [Tensor<2>; 2]);

/// [`adamw`] of many weights: of a GPU all at once.
///
/// With `clip`, a scalar on their device, that takes the place of [`AdamW::clip`]; where it is no finite number nothing changes.
pub fn adamw_each(weights: Vec<Weighted>, clip: Option<&Tensor<1>>) -> Vec<Stepped> {
    #[cfg(feature = "libtorch")]
    let weights = match libtorch::all(weights, clip) {
        Ok(stepped) => return stepped,
        Err(weights) => weights,
    };
    let clip = clip.map(|clip| clip.clone().into_scalar::<f32>());
    let one = |mut it: Weighted| {
        match clip {
            Some(clip) if !clip.is_finite() => return (it.value, it.moments),
            Some(clip) => it.step.clip = clip.into(),
            None => {}
        }
        adamw(it.value, it.gradient, it.moments, &it.step)
    };
    weights.into_iter().map(one).collect()
}

fn portable(
    value: Tensor<2>,
    gradient: Tensor<2>,
    [first, second]: [Tensor<2>; 2],
    step: &AdamW,
) -> (Tensor<2>, [Tensor<2>; 2]) {
    let gradient = match step.clip {
        1.0 => gradient,
        clip => gradient.mul_scalar(clip),
    };
    let first = first
        .mul_scalar(step.beta1)
        .add(gradient.clone().mul_scalar(1.0 - step.beta1));
    let second = second
        .mul_scalar(step.beta2)
        .add(gradient.square().mul_scalar(1.0 - step.beta2));
    let root = second.clone().sqrt().div_scalar(step.root);
    let change = first.clone().div(root.add_scalar(step.epsilon));
    let value = value.mul_scalar(step.kept);
    (value.sub(change.mul_scalar(step.rate)), [first, second])
}

impl AdamW {
    /// One value.
    #[inline(always)]
    pub fn update(&self, value: &mut f32, gradient: f32, [first, second]: [&mut f32; 2]) {
        let [beta1, beta2] =
            [self.beta1, self.beta2].map(|beta| (beta as f32, (1.0 - beta) as f32));
        let gradient = gradient * self.clip as f32;
        *first = *first * beta1.0 + gradient * beta1.1;
        *second = *second * beta2.0 + gradient * gradient * beta2.1;
        let root = second.sqrt() / self.root as f32 + self.epsilon as f32;
        *value = *value * self.kept as f32 - *first / root * self.rate as f32;
    }
}

/// Values for one task.
const TASK: usize = 1 << 16;

/// A step on values of a processor's memory, by all threads.
fn in_one_pass(
    value: &mut [f32],
    gradient: &[f32],
    [first, second]: [&mut [f32]; 2],
    step: &AdamW,
) {
    use rayon::prelude::*;
    if value.len() <= TASK {
        return each(value, gradient, first, second, step);
    }
    value
        .par_chunks_mut(TASK)
        .zip(gradient.par_chunks(TASK))
        .zip(first.par_chunks_mut(TASK).zip(second.par_chunks_mut(TASK)))
        .for_each(|((value, gradient), (first, second))| {
            each(value, gradient, first, second, step);
        });
}

vectorised! {
    fn each(value: &mut [f32], gradient: &[f32], first: &mut [f32], second: &mut [f32], step: &AdamW) {
        let moments = first.iter_mut().zip(second);
        for ((value, &gradient), (first, second)) in value.iter_mut().zip(gradient).zip(moments) {
            step.update(value, gradient, [first, second]);
        }
    }
}

#[cfg(test)]
mod tests {
    use burn::tensor::{Device, TensorData};

    use super::*;
    use crate::noise::uniform_values;

    fn agrees_on(device: &Device) {
        for shape in [[1, 1], [3, 7], [300, 500]] {
            let drawn = |number| {
                let values = uniform_values(1.0, number, shape[0] * shape[1]);
                Tensor::<2>::from_data(TensorData::new(values, shape), device)
            };
            let (value, gradient) = (drawn(1), drawn(2));
            // A step that is many times what it leaves of a weight would round past the bound.
            let moments = [drawn(3), drawn(4).abs() + 0.01];
            let step = AdamW {
                beta1: 0.9,
                beta2: 0.98,
                epsilon: 1e-8,
                rate: 0.01,
                root: 0.7,
                kept: 0.999,
                clip: 0.5,
            };
            let values = |(value, [first, second]): (Tensor<2>, [Tensor<2>; 2])| {
                [value, first, second].map(|x| x.into_data().try_into_vec::<f32>().unwrap())
            };
            let before = value.clone().into_data();
            let it = Weighted {
                value: value.clone(),
                gradient: gradient.clone(),
                moments: moments.clone(),
                step,
            };
            let taken = crate::fused::taken();
            let one = adamw(value.clone(), gradient.clone(), moments.clone(), &step);
            assert_eq!(crate::fused::taken(), taken + 1);
            // Steps of another rate and decay, as LoRA+ has them.
            let other = AdamW {
                rate: 0.02,
                kept: 1.0,
                ..step
            };
            let both = vec![it.clone(), Weighted { step: other, ..it }];
            // The bound is the device's, and what the host says of it is not read.
            let unclipped = both.iter().map(|it| Weighted {
                step: AdamW {
                    clip: f64::NAN,
                    ..it.step
                },
                ..it.clone()
            });
            let clip = |clip: f32| Tensor::from_floats([clip], device);
            let bound = adamw_each(unclipped.collect(), Some(&clip(0.5)));
            for no_number in [f32::NAN, f32::INFINITY] {
                for (value, [first, second]) in adamw_each(both.clone(), Some(&clip(no_number))) {
                    assert_eq!(value.into_data(), before);
                    assert_eq!(first.into_data(), moments[0].clone().into_data());
                    assert_eq!(second.into_data(), moments[1].clone().into_data());
                }
            }
            let both = adamw_each(both, None);
            let many = |step| portable(value.clone(), gradient.clone(), moments.clone(), step);
            let wanted = [&step, &step, &other, &step, &other].map(many);
            let got = [one].into_iter().chain(both).chain(bound);
            for (got, want) in got.zip(wanted) {
                for (got, want) in values(got)
                    .iter()
                    .flatten()
                    .zip(values(want).iter().flatten())
                {
                    assert!(
                        (got - want).abs() <= 1e-6 * want.abs().max(0.1),
                        "{got} {want}"
                    );
                }
            }
            assert_eq!(
                before,
                value.into_data(),
                "a weight that others read has changed"
            );
        }
    }

    #[test]
    fn one_pass_equals_many() {
        agrees_on(&Device::flex());
    }

    #[cfg(feature = "libtorch")]
    #[test]
    fn one_pass_equals_many_on_libtorch() {
        agrees_on(&Device::libtorch());
    }

    #[cfg(feature = "libtorch")]
    #[test]
    #[ignore = "needs CUDA"]
    fn one_pass_equals_many_on_a_gpu() {
        agrees_on(&Device::libtorch_cuda(0usize));
    }
}
