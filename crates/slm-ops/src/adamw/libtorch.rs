//! The step on LibTorch: one pass over a processor's memory, one kernel for all weights of a GPU, ATen's passes in
//! place elsewhere.

use burn::backend::LibTorch;
use burn::backend::tensor::FloatTensor;
use burn::tensor::DType;
use tch::{Device, Kind, Tensor};

use super::fused::Step;
use super::{AdamW, Stepped, Weighted, cuda, in_one_pass};
use crate::torch::{Handle, burn_tensor, handle, into_handle, torch_tensor, values, values_mut};

impl Step for LibTorch {
    fn adamw(
        value: FloatTensor<Self>,
        gradient: FloatTensor<Self>,
        first: FloatTensor<Self>,
        second: FloatTensor<Self>,
        step: AdamW,
    ) -> (FloatTensor<Self>, FloatTensor<Self>, FloatTensor<Self>) {
        let [mut value, mut first, mut second] = [value, first, second].map(own);
        match value.device() {
            Device::Cpu => in_one_pass(
                values_mut(&mut value),
                values(&gradient.tensor.contiguous()),
                [values_mut(&mut first), values_mut(&mut second)],
                &step,
            ),
            _ => in_passes(
                &mut value,
                &gradient.tensor,
                [&mut first, &mut second],
                &step,
            ),
        }
        (handle(value), handle(first), handle(second))
    }
}

/// The steps of all weights together on a GPU, with a bound that lies there if one is given; gives them back where there is none.
pub(super) fn all(
    weights: Vec<Weighted>,
    clip: Option<&burn::tensor::Tensor<1>>,
) -> Result<Vec<Stepped>, Vec<Weighted>> {
    let is_here = |it: &Weighted| {
        let kernels = torch_tensor(&it.value).filter(|x| crate::cuda::gpu_of(x).is_some());
        kernels.is_some_and(|value| value.kind() == Kind::Float)
    };
    if weights.len() < 2 || !weights.iter().all(is_here) {
        return Err(weights);
    }
    let owned = |x: burn::tensor::Tensor<2>| own(into_handle(x).expect("it lies on libtorch"));
    let steps: Vec<AdamW> = weights.iter().map(|it| it.step).collect();
    let tensors = weights.into_iter().map(|it| cuda::Tensors {
        value: owned(it.value),
        gradient: owned(it.gradient.cast(DType::F32)),
        moments: it.moments.map(owned),
    });
    let mut tensors: Vec<cuda::Tensors> = tensors.collect();
    let clip = clip.and_then(torch_tensor);
    if !cuda::step(&tensors, &steps, clip.as_ref()) {
        let clip = clip.map(|clip| clip.double_value(&[0]));
        let steps = steps.iter().map(|step| AdamW {
            clip: clip.unwrap_or(step.clip),
            ..*step
        });
        let steps = steps.filter(|step| step.clip.is_finite());
        for (it, step) in tensors.iter_mut().zip(steps) {
            let [first, second] = &mut it.moments;
            in_passes(&mut it.value, &it.gradient, [first, second], &step);
        }
    }
    let stepped = |it: cuda::Tensors| (burn_tensor(it.value), it.moments.map(burn_tensor));
    Ok(tensors.into_iter().map(stepped).collect())
}

/// A contiguous tensor that nobody else reads.
fn own(x: Handle) -> Tensor {
    match x.can_mut() && x.tensor.is_contiguous() {
        true => x.tensor,
        false => x.tensor.contiguous().copy(),
    }
}

fn in_passes(
    value: &mut Tensor,
    gradient: &Tensor,
    [first, second]: [&mut Tensor; 2],
    step: &AdamW,
) {
    let gradient = &(gradient * step.clip);
    let _ = first
        .g_mul_scalar_(step.beta1)
        .g_add_(&(gradient * (1.0 - step.beta1)));
    let square = gradient.square().g_mul_scalar_(1.0 - step.beta2);
    let _ = second.g_mul_scalar_(step.beta2).g_add_(&square);
    let mut root = second
        .sqrt()
        .g_div_scalar_(step.root)
        .g_add_scalar_(step.epsilon);
    let change = root.reciprocal_().g_mul_(first).g_mul_scalar_(step.rate);
    let _ = value.g_mul_scalar_(step.kept).g_sub_(&change);
}

#[cfg(test)]
mod tests {

    use super::*;

    #[test]
    fn passes_equal_the_one() {
        let [value, gradient, first] =
            [(); 3].map(|()| Tensor::randn([5, 40], (Kind::Float, Device::Cpu)));
        let second = first.square();
        let step = AdamW {
            beta1: 0.9,
            beta2: 0.98,
            epsilon: 1e-8,
            rate: 0.01,
            root: 0.7,
            kept: 0.999,
            clip: 0.5,
        };
        let of = || [&value, &first, &second].map(Tensor::copy);
        let [mut a, mut a1, mut a2] = of();
        in_passes(&mut a, &gradient, [&mut a1, &mut a2], &step);
        let [mut b, mut b1, mut b2] = of();
        let moments = [values_mut(&mut b1), values_mut(&mut b2)];
        in_one_pass(values_mut(&mut b), values(&gradient), moments, &step);
        for (a, b) in [(a, b), (a1, b1), (a2, b2)] {
            assert!(a.allclose(&b, 1e-5, 1e-7, false));
        }
    }
}
