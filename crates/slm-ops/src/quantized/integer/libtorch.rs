//! The products on LibTorch: our own loops over a processor's memory. ATen's `_int_mm` takes as long, and needs passes before
//! and after it, each with memory of its own.

use burn::backend::LibTorch;
use burn::backend::tensor::FloatTensor;
use tch::{Device, Kind, Tensor};

use super::super::int8::STEP;
use super::products::{self, Codes};
use super::{Int8Matrix, IntegerProduct, portable_gradient, portable_product};
use crate::torch::{handle, unwritten, values};

impl IntegerProduct for LibTorch {
    fn integer_product(x: FloatTensor<Self>, weight: Int8Matrix<Self>) -> FloatTensor<Self> {
        if !has_loops(&x.tensor) {
            return portable_product::<Self>(x, weight);
        }
        let ([out, columns], x) = (weight.shape(), x.tensor.contiguous());
        let rows = x.size()[0] as usize;
        let mut y = x.new_empty([rows as i64, out as i64], (Kind::Float, Device::Cpu));
        with_codes(&weight, |weight| {
            products::forward((values(&x), columns), rows, weight, unwritten(&mut y));
        });
        handle(y)
    }

    fn integer_gradient(dy: FloatTensor<Self>, weight: Int8Matrix<Self>) -> FloatTensor<Self> {
        if !has_loops(&dy.tensor) {
            return portable_gradient::<Self>(dy, weight);
        }
        let ([out, columns], dy) = (weight.shape(), dy.tensor.contiguous());
        let rows = dy.size()[0] as usize;
        let mut dx = dy.new_empty([rows as i64, columns as i64], (Kind::Float, Device::Cpu));
        with_codes(&weight, |weight| {
            products::backward((values(&dy), out), rows, weight, unwritten(&mut dx));
        });
        handle(dx)
    }
}

fn has_loops(x: &Tensor) -> bool {
    x.device() == Device::Cpu && products::are_fast()
}

fn with_codes(weight: &Int8Matrix<LibTorch>, work: impl FnOnce(Codes<'_>)) {
    let codes = weight.codes.tensor.contiguous();
    let steps = &weight.absmax.tensor * f64::from(STEP);
    work(Codes {
        values: values(&codes),
        columns: weight.shape()[1],
        steps: values(&steps.contiguous()),
    });
}
