//! The product with a quantized matrix, which forgets the dequantized one.

use burn::backend::autodiff::checkpoint::{base::Checkpointer, strategy::CheckpointStrategy};
use burn::backend::autodiff::grads::Gradients;
use burn::backend::autodiff::ops::{Backward, Ops, OpsKind, unary};
use burn::backend::tensor::FloatTensor;
use burn::backend::{Autodiff, Backend, Flex, FloatDType, TensorMetadata, backend_extension};

use super::integer::{IntegerProduct, portable_gradient, portable_product};
use super::stored::{Dense, Stored, cast};

/// A backend that multiplies with quantized matrices.
#[backend_extension(Autodiff, Flex, LibTorch: cfg(feature = "libtorch"))]
pub(crate) trait QuantizedProduct: Backend {
    /// `x Wᵀ`: `[rows, in]` to `[rows, out]`.
    fn quantized_product(
        x: FloatTensor<Self>,
        #[extension_type] weight: Stored<Self>,
    ) -> FloatTensor<Self>;
}

impl QuantizedProduct for Flex {
    fn quantized_product(x: FloatTensor<Self>, weight: Stored<Self>) -> FloatTensor<Self> {
        product::<Self>(x, weight)
    }
}

#[cfg(feature = "libtorch")]
impl QuantizedProduct for burn::backend::LibTorch {
    fn quantized_product(x: FloatTensor<Self>, weight: Stored<Self>) -> FloatTensor<Self> {
        product::<Self>(x, weight)
    }
}

/// What the backward pass finds are the codes: it dequantizes them again, so that the matrix itself lives during a product
/// only.
impl<B: Dense + IntegerProduct, C: CheckpointStrategy> QuantizedProduct for Autodiff<B, C> {
    fn quantized_product(x: FloatTensor<Self>, weight: Stored<Self>) -> FloatTensor<Self> {
        let weight = weight.inner();
        let (x, node) = x.into_parts();
        let y = product::<B>(x, weight.clone());
        match Product.prepare::<C>([node]).compute_bound().stateful() {
            OpsKind::Tracked(prep) => prep.finish(weight, y),
            OpsKind::UnTracked(prep) => prep.finish(y),
        }
    }
}

fn product<B: Dense + IntegerProduct>(x: FloatTensor<B>, weight: Stored<B>) -> FloatTensor<B> {
    match weight.integers() {
        None => B::float_matmul(x, B::float_transpose(B::dense(weight))),
        Some((matrix, true)) => in_f32::<B>(x, |x| B::integer_product(x, matrix)),
        Some((matrix, false)) => in_f32::<B>(x, |x| portable_product::<B>(x, matrix)),
    }
}

fn gradient<B: Dense + IntegerProduct>(dy: FloatTensor<B>, weight: Stored<B>) -> FloatTensor<B> {
    match weight.integers() {
        None => B::float_matmul(dy, B::dense(weight)),
        Some((matrix, true)) => in_f32::<B>(dy, |dy| B::integer_gradient(dy, matrix)),
        Some((matrix, false)) => in_f32::<B>(dy, |dy| portable_gradient::<B>(dy, matrix)),
    }
}

fn in_f32<B: Backend>(
    x: FloatTensor<B>,
    work: impl FnOnce(FloatTensor<B>) -> FloatTensor<B>,
) -> FloatTensor<B> {
    let dtype = FloatDType::from(x.dtype());
    cast::<B>(work(cast::<B>(x, FloatDType::F32)), dtype)
}

#[derive(Debug)]
struct Product;

impl<B: Dense + IntegerProduct> Backward<B, 1> for Product {
    type State = Stored<B>;

    /// `dx = dy W`
    fn backward(
        self,
        ops: Ops<Self::State, 1>,
        grads: &mut Gradients,
        _checkpointer: &mut Checkpointer,
    ) {
        let weight = ops.state;
        unary::<B, _>(ops.parents, ops.node, grads, |dy| gradient::<B>(dy, weight));
    }
}
