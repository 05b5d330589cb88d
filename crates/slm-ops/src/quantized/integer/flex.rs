//! The products on Flex.

use burn::backend::Flex;
use burn::backend::tensor::FloatTensor;

use super::super::int8::STEP;
use super::products::{self, Codes, filled};
use super::{Int8Matrix, IntegerProduct, portable_gradient, portable_product};
use crate::rows::{Rows, tensor};

impl IntegerProduct for Flex {
    fn integer_product(x: FloatTensor<Self>, weight: Int8Matrix<Self>) -> FloatTensor<Self> {
        if !products::are_fast() {
            return portable_product::<Self>(x, weight);
        }
        let ([out, _], x) = (weight.shape(), Rows::of(&x));
        let y = with_codes(&weight, |weight| {
            filled(x.count * out, |y| {
                products::forward(x.values(), x.count, weight, y)
            })
        });
        tensor(y, [x.count, out])
    }

    fn integer_gradient(dy: FloatTensor<Self>, weight: Int8Matrix<Self>) -> FloatTensor<Self> {
        if !products::are_fast() {
            return portable_gradient::<Self>(dy, weight);
        }
        let ([_, columns], dy) = (weight.shape(), Rows::of(&dy));
        let dx = with_codes(&weight, |weight| {
            filled(dy.count * columns, |dx| {
                products::backward(dy.values(), dy.count, weight, dx)
            })
        });
        tensor(dx, [dy.count, columns])
    }
}

fn with_codes<R>(weight: &Int8Matrix<Flex>, work: impl FnOnce(Codes<'_>) -> R) -> R {
    let (values, absmax) = (weight.codes.to_contiguous(), weight.absmax.to_contiguous());
    let steps: Vec<f32> = absmax
        .storage::<f32>()
        .iter()
        .map(|absmax| absmax * STEP)
        .collect();
    work(Codes {
        values: values.storage(),
        columns: weight.shape()[1],
        steps: &steps,
    })
}
