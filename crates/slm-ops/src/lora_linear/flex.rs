//! The layer's products on Flex.

use burn::backend::ops::FloatTensorOps;
use burn::backend::tensor::FloatTensor;
use burn::backend::{Flex, TensorMetadata};

use super::fused::{Bias, Kept, Layer, LowRank, Passes};
use crate::few_rows::{FEW, FewRows};

impl Passes for Flex {
    fn forward(
        x: &FloatTensor<Self>,
        layer: &Layer<Self>,
        low_rank: &LowRank<Self>,
    ) -> (FloatTensor<Self>, FloatTensor<Self>) {
        let transposed = |x: &FloatTensor<Self>| Self::float_transpose(x.clone());
        let low = Self::float_matmul(x.clone(), transposed(&low_rank.a));
        let low = Self::float_mul_scalar(low, low_rank.scale.into());
        let base = match x.shape()[0] <= FEW {
            true => Self::product_of_few(x.clone(), layer.weight.clone()),
            false => Self::float_matmul(x.clone(), transposed(&layer.weight)),
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
            let base = Self::float_matmul(dy, kept.weight);
            Self::float_add(base, Self::float_matmul(d_low, a))
        });
        (dx, [da, db])
    }
}
