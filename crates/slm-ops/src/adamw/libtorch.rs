//! The step on LibTorch: one pass over the memory of a processor or a GPU, ATen's passes in place elsewhere.

use burn::backend::LibTorch;
use burn::backend::tensor::FloatTensor;
use tch::{Device, Tensor};

use super::fused::Step;
use super::{AdamW, cuda, in_one_pass};
use crate::torch::{Handle, handle, values, values_mut};

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
            _ if cuda::step(&value, &gradient.tensor, [&first, &second], &step) => {}
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
    use tch::Kind;

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
