//! A frozen matrix in the blocks of a GGUF file, on the processor.

use std::borrow::Cow;

use burn::backend::tensor::FloatTensor;
use burn::backend::{Backend, Dispatch, Flex, backend_extension};
#[cfg(feature = "libtorch")]
use burn::backend::{TensorMetadata, ops::FloatTensorOps};
use burn::tensor::{Device, Int, Tensor, TensorData};
use rayon::prelude::*;
use slm_gguf::BlockMatrix;
use slm_gguf::product::{Vectors, takes_codes};

use crate::matrix::{Before, Matrix, Threads, product};
use crate::rows::{Rows, row, tensor};

/// More rows than this are multiplied with a matrix of floats, a panel at a time, where its blocks have no codes.
const FEW: usize = 16;

/// Rows of `x` that a task turns into rows of the result.
const TURNED: usize = 16;

/// Bytes of blocks for one task.
const TASK: usize = 1 << 16;

/// Rows of the matrix that are turned into floats at a time.
const PANEL: usize = 512;

/// A matrix `[out, in]` that stays as the file has it; cloning shares it.
///
/// Products read the blocks themselves and round `x` to 8 bits, see [`slm_gguf::product`]; those of floats round nothing.
#[derive(Clone, Debug)]
pub struct Blocks {
    matrix: BlockMatrix,
    device: Device,
}

impl Blocks {
    /// For a device whose memory is the processor's own.
    pub fn new(matrix: BlockMatrix, device: &Device) -> Self {
        Self {
            matrix,
            device: device.clone(),
        }
    }

    pub fn dims(&self) -> [usize; 2] {
        self.matrix.shape()
    }

    pub fn device(&self) -> Device {
        self.device.clone()
    }

    /// What it takes up.
    pub fn size_bytes(&self) -> usize {
        self.matrix.size_bytes()
    }

    pub fn matrix(&self) -> &BlockMatrix {
        &self.matrix
    }

    /// The values that the blocks stand for, in f32.
    pub fn dense(&self) -> Tensor<2> {
        let [out, n] = self.dims();
        let mut values = vec![0.0; out * n];
        let rows = values.par_chunks_mut((PANEL * n).max(1));
        rows.enumerate().for_each(|(i, values)| {
            let first = i * PANEL;
            self.matrix
                .dequantize(first..first + values.len() / n, values);
        });
        Tensor::from_data(TensorData::new(values, [out, n]), &self.device)
    }

    /// Some of its rows: `[ids, in]`.
    pub fn select(&self, ids: Tensor<1, Int>) -> Tensor<2> {
        let n = self.dims()[1];
        let ids: Vec<usize> = ids
            .into_data()
            .iter::<i64>()
            .map(|id| id as usize)
            .collect();
        let mut values = vec![0.0; ids.len() * n];
        for (id, values) in ids.iter().zip(values.chunks_exact_mut(n.max(1))) {
            self.matrix.dequantize(*id..id + 1, values);
        }
        Tensor::from_data(TensorData::new(values, [ids.len(), n]), &self.device)
    }

    /// `x Wᵀ` of `x`, `[rows, in]` in f32. In the graph it is the product with the dequantized matrix.
    pub fn product(&self, x: Tensor<2>) -> Tensor<2> {
        if !x.is_autodiff() && crate::fused::is_flex(&x) && crate::fused::applies(&x) {
            let (x, blocks) = (x.into_dispatch(), self.clone());
            return Tensor::from_dispatch(Dispatch::block_product(x, blocks));
        }
        let dense = match x.is_autodiff() {
            true => self.dense().autodiff(),
            false => self.dense(),
        };
        x.matmul(dense.transpose())
    }
}

/// A backend that multiplies with blocks: the one on the processor.
#[backend_extension(Flex, LibTorch: cfg(feature = "libtorch"))]
pub(crate) trait BlockProduct: Backend {
    /// `x Wᵀ`: `[rows, in]` to `[rows, out]`, of f32.
    fn block_product(x: FloatTensor<Self>, blocks: Blocks) -> FloatTensor<Self>;
}

impl BlockProduct for Flex {
    fn block_product(x: FloatTensor<Self>, blocks: Blocks) -> FloatTensor<Self> {
        let (x, matrix) = (Rows::of(&x), &blocks.matrix);
        let (rows, out) = (x.count, matrix.shape()[0]);
        if rows > FEW && !takes_codes(matrix.tensor_type()) {
            let mut y = vec![0.0; rows * out];
            by_panels(&x, matrix, &mut y);
            return tensor(y, [rows, out]);
        }
        let values = match x.values() {
            (values, stride) if stride == x.n => Cow::Borrowed(&values[..rows * x.n]),
            values => Cow::Owned(
                (0..rows)
                    .flat_map(|i| row(values, i, x.n).to_vec())
                    .collect(),
            ),
        };
        let columns = by_blocks(&Vectors::new(&values, x.n), matrix);
        match rows {
            1 => tensor(columns, [1, out]),
            _ => tensor(turned(&columns, rows), [rows, out]),
        }
    }
}

#[cfg(feature = "libtorch")]
impl BlockProduct for burn::backend::LibTorch {
    /// Not taken: blocks are on the processor's own device.
    fn block_product(x: FloatTensor<Self>, blocks: Blocks) -> FloatTensor<Self> {
        let [out, n] = blocks.dims();
        let mut values = vec![0.0; out * n];
        blocks.matrix.dequantize(0..out, &mut values);
        let dense = Self::float_from_data(TensorData::new(values, [out, n]), &x.device());
        Self::float_matmul(x, Self::float_transpose(dense))
    }
}

/// `[out, vectors]`
fn by_blocks(vectors: &Vectors, matrix: &BlockMatrix) -> Vec<f32> {
    let [out, _] = matrix.shape();
    let mut columns = vec![0.0; out * vectors.count()];
    let per_task = (TASK * out)
        .div_ceil(matrix.size_bytes().max(1))
        .next_multiple_of(4);
    let tasks = columns.par_chunks_mut(per_task * vectors.count());
    tasks
        .enumerate()
        .for_each(|(task, columns)| matrix.multiply(task * per_task, vectors, columns));
    columns
}

/// `[out, rows]` to `[rows, out]`
fn turned(columns: &[f32], rows: usize) -> Vec<f32> {
    let out = columns.len() / rows;
    let mut y = vec![0.0; columns.len()];
    let tasks = y.par_chunks_mut((TURNED * out).max(1)).enumerate();
    tasks.for_each(|(task, y)| {
        for (j, column) in columns.chunks_exact(rows).enumerate() {
            let column = column[task * TURNED..].iter();
            for (y, value) in y[j..].iter_mut().step_by(out).zip(column) {
                *y = *value;
            }
        }
    });
    y
}

/// Turns a panel of rows into floats by all threads, and multiplies with it; with floats that lie there, at once.
fn by_panels(x: &Rows, matrix: &BlockMatrix, y: &mut [f32]) {
    let [out, n] = matrix.shape();
    let mut multiply = |first: usize, rows: &[f32]| {
        let weights = Matrix::new(rows, [rows.len() / n, n], n).transpose();
        let place = (&mut y[first..], out);
        let factors = (x.matrix(0..x.count), weights);
        product(place, Before::Nothing, 1.0, factors, Threads::All);
    };
    if let Some(floats) = matrix.floats() {
        return multiply(0, floats);
    }
    let mut panel = vec![0.0; PANEL.min(out) * n];
    for first in (0..out).step_by(PANEL) {
        let rows = PANEL.min(out - first);
        let panel = &mut panel[..rows * n];
        let pieces = panel.par_chunks_mut(32 * n).enumerate();
        pieces.for_each(|(i, piece)| {
            let first = first + 32 * i;
            matrix.dequantize(first..first + piece.len() / n, piece);
        });
        multiply(first, panel);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use burn::tensor::Tolerance;
    use slm_gguf::{TensorType, codec};

    fn blocks(tensor_type: TensorType, [out, n]: [usize; 2]) -> Blocks {
        let values: Vec<f32> = (0..(out * n) as u64)
            .map(|i| crate::noise::mix(i) as f32 / u64::MAX as f32 - 0.5)
            .collect();
        let mut bytes = vec![0; tensor_type.size_bytes((out * n) as u64).unwrap() as usize];
        codec::quantize(tensor_type, &values, &mut bytes).unwrap();
        let matrix = BlockMatrix::new(tensor_type, [out, n], bytes).unwrap();
        Blocks::new(matrix, &Device::flex())
    }

    /// What is multiplied with blocks is rounded to 8 bits, with floats it is not; and rows may lie in a wider matrix.
    #[test]
    fn equals_the_product_with_what_the_blocks_stand_for() {
        let device = Device::flex();
        for (tensor_type, shape, within) in [
            (TensorType::Q8_0, [700, 96], 0.05),
            (TensorType::Q4_K, [9, 512], 0.1),
            (TensorType::F16, [5, 40], 1e-4),
            (TensorType::F32, [600, 33], 1e-4),
        ] {
            let weight = blocks(tensor_type, shape);
            for rows in [1, 5, 40] {
                let values = (0..rows * (shape[1] + 3)).map(|i| (i % 37) as f32 / 18.0 - 1.0);
                let data = TensorData::new(values.collect(), [rows, shape[1] + 3]);
                let x = Tensor::<2>::from_data(data, &device).narrow(1, 2, shape[1]);
                let want = x.clone().matmul(weight.dense().transpose());
                let got = weight.product(x.clone());
                let close = Tolerance::<f32>::absolute(within);
                got.into_data()
                    .assert_approx_eq(&want.clone().into_data(), close);
                let in_graph = weight.product(x.autodiff()).inner();
                let close = Tolerance::<f32>::absolute(1e-4);
                in_graph
                    .into_data()
                    .assert_approx_eq(&want.into_data(), close);
            }
        }
    }

    #[test]
    fn selects_rows() {
        let weight = blocks(TensorType::Q5_0, [7, 64]);
        let ids = Tensor::<1, Int>::from_ints([6, 0, 6], &Device::flex());
        let want = weight.dense().select(0, ids.clone()).into_data();
        weight.select(ids).into_data().assert_eq(&want, true);
    }
}
