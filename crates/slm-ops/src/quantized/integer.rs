//! Products in integers with a matrix of 8 bits: `x` is quantized, too, a scale per token, and what is summed is exact.
//!
//! `x ≈ diag(s) X`, `W = diag(w) Q`, with `X` and `Q` of codes in ±127:
//!
//! - `x Wᵀ ≈ diag(s) (X Qᵀ) diag(w)`
//! - `dy W = (dy diag(w)) Q ≈ diag(s) (Y Q)`, with `s` and `Y` the scales and codes of `dy diag(w)`
//!
//! `X Qᵀ` and `Y Q` are sums of products of codes in i32. They do not overflow below 133,000 terms, and have no order: every
//! instruction set, tile and number of threads gives the same bits.

#[cfg(target_arch = "x86_64")]
mod avx2;
#[cfg(target_arch = "x86_64")]
mod avx512;
mod flex;
mod kernel;
#[cfg(feature = "libtorch")]
mod libtorch;
mod panels;
mod products;
mod scalar;
mod tokens;

use burn::backend::autodiff::checkpoint::strategy::CheckpointStrategy;
use burn::backend::tensor::{FloatTensor, IntTensor};
use burn::backend::{Autodiff, Backend, ExtensionType, FloatDType, TensorMetadata};

use super::int8::STEP;

/// Rows without a larger magnitude are taken as zeros.
const SMALLEST: f32 = 1e-30;

/// A matrix in 8 bits.
#[derive(Clone, Debug, ExtensionType)]
pub(crate) struct Int8Matrix<B: Backend> {
    /// `[out, in]`, i8
    pub(super) codes: IntTensor<B>,
    /// `[out, 1]`, f32
    pub(super) absmax: FloatTensor<B>,
}

impl<B: Backend> Int8Matrix<B> {
    fn shape(&self) -> [usize; 2] {
        self.codes.shape().dims()
    }
}

impl<B: Backend, C: CheckpointStrategy> Int8Matrix<Autodiff<B, C>> {
    /// The same outside the graph.
    pub(crate) fn inner(self) -> Int8Matrix<B> {
        Int8Matrix {
            codes: self.codes,
            absmax: self.absmax.into_primitive(),
        }
    }
}

/// A backend with such products, of f32. The bodies given here are made of burn's primitives, and the oracle of others.
pub(crate) trait IntegerProduct: Backend {
    /// `x Wᵀ`: `[rows, in]` to `[rows, out]`.
    fn integer_product(x: FloatTensor<Self>, weight: Int8Matrix<Self>) -> FloatTensor<Self> {
        portable_product::<Self>(x, weight)
    }

    /// `dy W`: `[rows, out]` to `[rows, in]`.
    fn integer_gradient(dy: FloatTensor<Self>, weight: Int8Matrix<Self>) -> FloatTensor<Self> {
        portable_gradient::<Self>(dy, weight)
    }
}

pub(super) fn portable_product<B: Backend>(
    x: FloatTensor<B>,
    weight: Int8Matrix<B>,
) -> FloatTensor<B> {
    let steps = B::float_mul_scalar(B::float_transpose(weight.absmax), STEP.into()); // [1, out]
    let (x, scales) = tokens::<B>(x);
    let sums = B::float_matmul(x, B::float_transpose(floats::<B>(weight.codes)));
    B::float_mul(sums, B::float_mul(scales, steps))
}

pub(super) fn portable_gradient<B: Backend>(
    dy: FloatTensor<B>,
    weight: Int8Matrix<B>,
) -> FloatTensor<B> {
    let steps = B::float_mul_scalar(B::float_transpose(weight.absmax), STEP.into());
    let (dy, scales) = tokens::<B>(B::float_mul(dy, steps));
    B::float_mul(B::float_matmul(dy, floats::<B>(weight.codes)), scales)
}

/// Codes of rows, as floats, and what they stand for, `[rows, 1]`.
fn tokens<B: Backend>(x: FloatTensor<B>) -> (FloatTensor<B>, FloatTensor<B>) {
    let absmax = B::float_max_abs_dim(x.clone(), 1);
    let scales = B::float_recip(B::float_clamp_min(absmax.clone(), SMALLEST.into()));
    let codes = B::float_mul(x, B::float_mul_scalar(scales, 127.0.into()));
    let steps = B::float_div_scalar(absmax, 127.0.into());
    (B::float_round(codes), steps)
}

fn floats<B: Backend>(codes: IntTensor<B>) -> FloatTensor<B> {
    B::int_into_float(codes, FloatDType::F32)
}
