//! Products outside the graph. Few rows, as a step of generation has them, read each weight once, by all threads.

use burn::backend::tensor::FloatTensor;
use burn::backend::{
    Backend, Dispatch, Flex, TensorMetadata, backend_extension, ops::FloatTensorOps,
};
use burn::tensor::{DType, Tensor};
use rayon::prelude::*;

use crate::rows::{Rows, row, tensor};
use crate::vector::{dot, vectorised};

/// More rows than this are a matrix of their own.
pub(crate) const FEW: usize = 8;

/// Values of a weight for one task.
const TASK: usize = 1 << 16;

/// `x Wᵀ`: `[rows, in]` and `[out, in]` to `[rows, out]`.
pub(crate) fn product(x: Tensor<2>, weight: Tensor<2>) -> Tensor<2> {
    let is_outside = !x.is_autodiff() && !weight.is_autodiff();
    let is_f32 = [x.dtype(), weight.dtype()] == [DType::F32; 2];
    if is_outside && is_f32 && crate::fused::applies(&x) {
        let (x, weight) = (x.into_dispatch(), weight.into_dispatch());
        return Tensor::from_dispatch(Dispatch::frozen_product(x, weight));
    }
    x.matmul(weight.transpose())
}

/// A backend with a product of its own.
#[backend_extension(Flex, LibTorch: cfg(feature = "libtorch"))]
pub(crate) trait FrozenProduct: Backend {
    /// As [`product`], of f32.
    fn frozen_product(x: FloatTensor<Self>, weight: FloatTensor<Self>) -> FloatTensor<Self>;
}

impl FrozenProduct for Flex {
    fn frozen_product(x: FloatTensor<Self>, weight: FloatTensor<Self>) -> FloatTensor<Self> {
        if x.shape()[0] > FEW {
            return Self::float_matmul(x, Self::float_transpose(weight));
        }
        let (x, weight) = (Rows::of(&x), Rows::of(&weight));
        let (rows, out) = (x.count, weight.count);
        let columns = columns_of_few(x.values(), weight.values(), [rows, x.n], out);
        match rows {
            1 => tensor(columns, [1, out]),
            _ => tensor(columns, [out, rows]).transpose(0, 1),
        }
    }
}

#[cfg(feature = "libtorch")]
impl FrozenProduct for burn::backend::LibTorch {
    fn frozen_product(x: FloatTensor<Self>, weight: FloatTensor<Self>) -> FloatTensor<Self> {
        crate::torch::handle(crate::torch::linear(&x.tensor, &weight.tensor, None))
    }
}

/// The product of a few rows of length `n`, column by column: `[out, rows]`, so that a task's results lie together.
pub(crate) fn columns_of_few(
    x: (&[f32], usize),
    weight: (&[f32], usize),
    [rows, n]: [usize; 2],
    out: usize,
) -> Vec<f32> {
    let mut columns = vec![0.0; rows * out];
    let per_task = TASK.div_ceil(n.max(1));
    let tasks = columns.par_chunks_mut((per_task * rows).max(1)).enumerate();
    tasks.for_each(|(task, columns)| dots(x, weight, [rows, n], task * per_task, columns));
    columns
}

vectorised! {
    fn dots(x: (&[f32], usize), weight: (&[f32], usize), shape: [usize; 2], first: usize, columns: &mut [f32]) {
        let [rows, n] = shape;
        for (j, column) in columns.chunks_exact_mut(rows).enumerate() {
            let weight = row(weight, first + j, n);
            for (i, y) in column.iter_mut().enumerate() {
                *y = dot(row(x, i, n), weight);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use burn::tensor::{Device, Distribution, Tolerance};

    #[test]
    fn equals_the_product_of_matrices() {
        let device = Device::flex();
        for [rows, n, out] in [[1, 5, 3], [3, 40, 7], [8, 100, 2000], [9, 20, 30]] {
            let [x, weight] = [[rows, n], [out, n]]
                .map(|shape| Tensor::<2>::random(shape, Distribution::Uniform(-1.0, 1.0), &device));
            let want = x.clone().matmul(weight.clone().transpose()).into_data();
            let close = Tolerance::<f32>::absolute(1e-5);
            product(x, weight)
                .into_data()
                .assert_approx_eq(&want, close);
        }
    }
}
