//! The product by ATen's integer product, which is oneDNN's on processors.

use burn::backend::LibTorch;
use burn::backend::tensor::FloatTensor;
use tch::{Kind, Tensor};

use super::super::int8::STEP;
use super::{Int8Matrix, IntegerProduct, SMALLEST, portable_gradient, portable_product};
use crate::torch::handle;

impl IntegerProduct for LibTorch {
    fn integer_product(x: FloatTensor<Self>, weight: Int8Matrix<Self>) -> FloatTensor<Self> {
        if !is_processor(&x.tensor) {
            return portable_product::<Self>(x, weight);
        }
        let (x, scales) = tokens(&x.tensor);
        let sums = x.internal_int_mm(&weight.codes.tensor.tr());
        handle((sums * scales).g_mul_(&steps(&weight)))
    }

    fn integer_gradient(dy: FloatTensor<Self>, weight: Int8Matrix<Self>) -> FloatTensor<Self> {
        if !is_processor(&dy.tensor) {
            return portable_gradient::<Self>(dy, weight);
        }
        let (dy, scales) = tokens(&(dy.tensor * steps(&weight)));
        handle(dy.internal_int_mm(&weight.codes.tensor) * scales)
    }
}

/// On others, what `_int_mm` takes depends on shapes.
fn is_processor(x: &Tensor) -> bool {
    x.device() == tch::Device::Cpu
}

/// What a code of each row stands for, `[1, out]`.
fn steps(weight: &Int8Matrix<LibTorch>) -> Tensor {
    weight.absmax.tensor.tr() * f64::from(STEP)
}

/// Codes of rows, and what they stand for, `[rows, 1]`.
fn tokens(x: &Tensor) -> (Tensor, Tensor) {
    let absmax = x.abs().amax([1i64].as_slice(), true);
    let scales = absmax.clamp_min(f64::from(SMALLEST)).reciprocal() * 127.0;
    let codes = (x * scales).round_().to_kind(Kind::Int8);
    (codes, absmax / 127.0)
}
