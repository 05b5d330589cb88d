//! Products with a matrix of floats. Few rows, as a step of generation has them, read each weight once, by all threads.

use burn::backend::autodiff::checkpoint::{base::Checkpointer, strategy::CheckpointStrategy};
use burn::backend::autodiff::grads::Gradients;
use burn::backend::autodiff::ops::{Backward, Ops, OpsKind};
use burn::backend::tensor::FloatTensor;
use burn::backend::{Autodiff, Backend, Dispatch, Flex, TensorMetadata, backend_extension};
use burn::tensor::{DType, Tensor};
use rayon::prelude::*;

use crate::fused::register;
use crate::matrix::{Dense, new_product};
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
    // In the graph, Flex takes the same products by itself.
    let is_better = is_outside || !crate::fused::is_flex(&x);
    if is_f32 && is_better && crate::fused::applies(&x) {
        let is_trained = weight.is_autodiff() && weight.is_tracked();
        let (x, weight) = (x.into_dispatch(), weight.into_dispatch());
        return Tensor::from_dispatch(Dispatch::dense_product(x, weight, is_trained));
    }
    x.matmul(weight.transpose())
}

/// A backend with a product of its own.
#[backend_extension(Autodiff, Flex, LibTorch: cfg(feature = "libtorch"))]
pub(crate) trait DenseProduct: Backend {
    /// As [`product`], of f32; a weight that `is_trained` gets a gradient.
    fn dense_product(
        x: FloatTensor<Self>,
        weight: FloatTensor<Self>,
        is_trained: bool,
    ) -> FloatTensor<Self>;
}

impl<B: DenseProduct, C: CheckpointStrategy> DenseProduct for Autodiff<B, C> {
    fn dense_product(
        x: FloatTensor<Self>,
        weight: FloatTensor<Self>,
        is_trained: bool,
    ) -> FloatTensor<Self> {
        let (x, x_node) = x.into_parts();
        let (weight, weight_node) = weight.into_parts();
        let y = B::dense_product(x.clone(), weight.clone(), false);
        match Product
            .prepare::<C>([x_node, weight_node])
            .compute_bound()
            .stateful()
        {
            OpsKind::Tracked(prep) => prep.finish((is_trained.then_some(x), weight), y),
            OpsKind::UnTracked(prep) => prep.finish(y),
        }
    }
}

#[derive(Debug)]
struct Product;

impl<B: DenseProduct> Backward<B, 2> for Product {
    /// `x` where the weight is trained.
    type State = (Option<FloatTensor<B>>, FloatTensor<B>);

    /// `dx = dy W` and `dW = dyᵀ x`
    fn backward(
        self,
        ops: Ops<Self::State, 2>,
        grads: &mut Gradients,
        _checkpointer: &mut Checkpointer,
    ) {
        let dy = grads.consume::<B>(&ops.node);
        let (x, weight) = ops.state;
        let [to_x, to_weight] = ops.parents.map(|input| input.map(|input| input.id));
        let product = |a, b| B::dense_product(a, B::float_transpose(b), false);
        let dx = to_x.map(|_| product(dy.clone(), weight));
        let dw = x.map(|x| product(B::float_transpose(dy), x));
        register::<B>(grads, [(to_x, dx), (to_weight, dw)]);
    }
}

impl DenseProduct for Flex {
    fn dense_product(
        x: FloatTensor<Self>,
        weight: FloatTensor<Self>,
        _: bool,
    ) -> FloatTensor<Self> {
        if x.shape()[0] > FEW {
            let [x, weight] = [x, weight].map(|it| Dense::of(&it));
            return new_product(1.0, (x.matrix(), weight.matrix().transpose()));
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
impl DenseProduct for burn::backend::LibTorch {
    fn dense_product(
        x: FloatTensor<Self>,
        weight: FloatTensor<Self>,
        _: bool,
    ) -> FloatTensor<Self> {
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
    pub(crate) fn dots(x: (&[f32], usize), weight: (&[f32], usize), shape: [usize; 2], first: usize, columns: &mut [f32]) {
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
