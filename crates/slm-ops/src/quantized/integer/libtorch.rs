//! The products on LibTorch: our own loops over a processor's memory. ATen's `_int_mm` takes as long, and needs passes before
//! and after it, each with memory of its own.

use burn::backend::tensor::FloatTensor;
use burn::backend::{Flex, LibTorch};

use super::products::are_fast;
use super::{Int8Matrix, IntegerProduct, portable_gradient, portable_product};
use crate::processor::{flex, reads, torch};

impl IntegerProduct for LibTorch {
    fn integer_product(x: FloatTensor<Self>, weight: Int8Matrix<Self>) -> FloatTensor<Self> {
        match reads(&x) && are_fast() {
            true => torch(Flex::integer_product(flex(&x), weight.of_flex())),
            false => portable_product::<Self>(x, weight),
        }
    }

    fn integer_gradient(dy: FloatTensor<Self>, weight: Int8Matrix<Self>) -> FloatTensor<Self> {
        match reads(&dy) && are_fast() {
            true => torch(Flex::integer_gradient(flex(&dy), weight.of_flex())),
            false => portable_gradient::<Self>(dy, weight),
        }
    }
}

impl Int8Matrix<LibTorch> {
    /// The same codes, where they lie on a processor.
    pub(crate) fn of_flex(&self) -> Int8Matrix<Flex> {
        Int8Matrix {
            codes: flex(&self.codes),
            absmax: flex(&self.absmax),
        }
    }
}
