//! A decoder's matrices as a step multiplies with them.

use burn::backend::tensor::FloatTensor;
use burn::backend::{BackendTensor, DispatchTensorKind, Flex};
use burn::tensor::{DType, Tensor};
use slm_gguf::BlockMatrix;
use slm_gguf::product::{self, Vectors};

use crate::Weight;
use crate::dense_product::dots;
#[cfg(feature = "libtorch")]
use crate::processor;
use crate::rows::{Rows, row};

/// A matrix `[out, in]` in the processor's memory.
pub struct HostMatrix(Held);

enum Held {
    Floats(Rows),
    Blocks(BlockMatrix),
}

impl HostMatrix {
    /// Shares the memory; `None` where the weight is not in the processor's memory, in codes, or not in f32.
    pub fn of(weight: &Weight) -> Option<Self> {
        match weight {
            Weight::Blocks(blocks) => Some(Self(Held::Blocks(blocks.matrix().clone()))),
            Weight::Float(weight) => Some(Self(Held::Floats(Rows::of(&flex(weight)?)))),
            Weight::Quantized(_) => None,
        }
    }

    /// Rows and columns.
    pub fn shape(&self) -> [usize; 2] {
        match &self.0 {
            Held::Floats(rows) => [rows.count, rows.n],
            Held::Blocks(blocks) => blocks.shape(),
        }
    }

    /// What a row takes up.
    pub fn row_bytes(&self) -> usize {
        match &self.0 {
            Held::Floats(rows) => 4 * rows.n,
            Held::Blocks(blocks) => blocks.size_bytes() / blocks.shape()[0].max(1),
        }
    }

    /// Whether it is multiplied with the codes of a vector.
    pub fn takes_codes(&self) -> bool {
        match &self.0 {
            Held::Floats(_) => false,
            Held::Blocks(blocks) => product::takes_codes(blocks.tensor_type()),
        }
    }

    /// Row `i`.
    pub fn read_row(&self, i: usize, values: &mut [f32]) {
        match &self.0 {
            Held::Floats(rows) => values.copy_from_slice(row(rows.values(), i, rows.n)),
            Held::Blocks(blocks) => blocks.dequantize(i..i + 1, values),
        }
    }

    /// The product of the rows from `first` on with a vector.
    pub fn multiply(&self, first: usize, vector: &Vectors, y: &mut [f32]) {
        match &self.0 {
            Held::Floats(rows) => {
                let x = (vector.values(0), rows.n);
                dots(x, rows.values(), [1, rows.n], first, y);
            }
            Held::Blocks(blocks) => blocks.multiply(first, vector, y),
        }
    }
}

/// The values of a vector, `[1, n]`; `None` as with a matrix.
pub fn host_vector(vector: &Tensor<2>) -> Option<Vec<f32>> {
    let rows = Rows::of(&flex(vector)?);
    Some(row(rows.values(), 0, rows.n).to_vec())
}

fn flex(tensor: &Tensor<2>) -> Option<FloatTensor<Flex>> {
    if tensor.is_autodiff() || tensor.dtype() != DType::F32 {
        return None;
    }
    match tensor.clone().into_dispatch().kind {
        DispatchTensorKind::Flex(BackendTensor::Float(tensor)) => Some(tensor),
        #[cfg(feature = "libtorch")]
        DispatchTensorKind::LibTorch(BackendTensor::Float(tensor)) => {
            processor::reads(&tensor).then(|| processor::flex(&tensor))
        }
        _ => None,
    }
}
