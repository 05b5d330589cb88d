//! The layer's products on Flex.

use burn::backend::ops::FloatTensorOps;
use burn::backend::tensor::FloatTensor;
use burn::backend::{Flex, TensorMetadata};

use super::fused::{Bias, Frozen, Kept, Layer, LowRank, Passes};
use crate::few_rows::{FEW, FewRows};
use crate::quantized::IntegerProduct;

impl Passes for Flex {
    fn forward(
        x: &FloatTensor<Self>,
        layer: &Layer<Self>,
        low_rank: &LowRank<Self>,
    ) -> (FloatTensor<Self>, FloatTensor<Self>) {
        let transposed = |x: &FloatTensor<Self>| Self::float_transpose(x.clone());
        let low = Self::float_matmul(x.clone(), transposed(&low_rank.a));
        let low = Self::float_mul_scalar(low, low_rank.scale.into());
        let base = match &layer.weight {
            Frozen::Int8(matrix) => Self::integer_product(x.clone(), matrix.clone()),
            Frozen::Float(weight) if x.shape()[0] <= FEW => {
                Self::product_of_few(x.clone(), weight.clone())
            }
            Frozen::Float(weight) => Self::float_matmul(x.clone(), transposed(weight)),
        };
        let part = Self::float_matmul(low.clone(), transposed(&low_rank.b));
        let y = Self::float_add(base, part);
        let y = match &layer.bias {
            Bias::Absent => y,
            Bias::Present(bias) => Self::float_add(y, bias.clone()),
        };
        (y, low)
    }

    fn backward(
        kept: Kept<Self>,
        dy: FloatTensor<Self>,
        wants_x: bool,
    ) -> (Option<FloatTensor<Self>>, [FloatTensor<Self>; 2]) {
        let LowRank { a, b, scale } = kept.low_rank;
        let d_low = Self::float_mul_scalar(Self::float_matmul(dy.clone(), b), scale.into());
        let da = Self::float_matmul(Self::float_transpose(d_low.clone()), kept.x);
        let db = Self::float_matmul(Self::float_transpose(dy.clone()), kept.low);
        let dx = wants_x.then(|| {
            let base = match kept.weight {
                Frozen::Int8(matrix) => Self::integer_gradient(dy, matrix),
                Frozen::Float(weight) => Self::float_matmul(dy, weight),
            };
            Self::float_add(base, Self::float_matmul(d_low, a))
        });
        (dx, [da, db])
    }
}
