//! The half on a GPU in 16 bits: the gate's gradients and its product come out of one pass, in the memory of what they are made of.

use burn::backend::LibTorch;
use burn::backend::tensor::FloatTensor;

use super::fused::{Down, Parts, down_backward};
use crate::aten::mm_f32;
use crate::gated::cuda::backward_with_product;
use crate::lora_linear::cuda::{Pull, applies};
use crate::lora_linear::libtorch::adapted;
use crate::torch::handle;

impl Parts for LibTorch {
    fn down_backward(
        down: Down<Self>,
        gate: FloatTensor<Self>,
        up: FloatTensor<Self>,
        dy: FloatTensor<Self>,
    ) -> [[FloatTensor<Self>; 2]; 2] {
        let drops = down.low_rank.form.dropout.is_some();
        if drops || !applies(&dy.tensor) || crate::cuda::gpu_of(&dy.tensor).is_none() {
            return down_backward(down, gate, up, dy);
        }
        let layers = [adapted(&down.weight, None, &down.low_rank)];
        let dys = [&dy.tensor];
        let pull = Pull::of(&layers, &dys);
        let db = mm_f32(&dy.tensor.tr(), &down.low.tensor);
        let d_product = pull.gradient_of_x(&layers, &dys);
        let found = backward_with_product([&gate, &up], d_product, down.activation);
        let (gradients, product) = found.expect("16 bits have a kernel");
        let [da] =
            <[_; 1]>::try_from(pull.gradients_of_a(&layers, &product)).expect("there is one layer");
        [gradients, [da, db]].map(|pair| pair.map(handle))
    }
}
