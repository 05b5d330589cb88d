//! The weight of a linear layer: floats, codes, or the blocks of a file.

use burn::tensor::{DType, Device, Int, Tensor};

use slm_gguf::BlockMatrix;

use crate::{Blocks, Quantized, dense_product};

/// A matrix `[out, in]`; cloning shares it.
#[derive(Clone, Debug)]
pub enum Weight {
    Float(Tensor<2>),
    /// Frozen.
    Quantized(Quantized),
    /// Frozen.
    Blocks(Blocks),
}

impl Weight {
    /// A matrix of a file: on the processor's own device it stays in its blocks, on others it becomes floats.
    pub fn of_blocks(matrix: BlockMatrix, device: &Device) -> Self {
        let blocks = Blocks::new(matrix, device);
        match crate::fused::is_flex_device(device) {
            true => Self::Blocks(blocks),
            false => Self::Float(blocks.dense()),
        }
    }

    pub fn dims(&self) -> [usize; 2] {
        match self {
            Self::Float(weight) => weight.dims(),
            Self::Quantized(weight) => weight.dims(),
            Self::Blocks(weight) => weight.dims(),
        }
    }

    /// The dtype that products with it are taken in.
    pub fn dtype(&self) -> DType {
        match self {
            Self::Float(weight) => weight.dtype(),
            Self::Quantized(weight) => weight.dtype(),
            Self::Blocks(_) => DType::F32,
        }
    }

    pub fn device(&self) -> Device {
        match self {
            Self::Float(weight) => weight.device(),
            Self::Quantized(weight) => weight.device(),
            Self::Blocks(weight) => weight.device(),
        }
    }

    /// The matrix in its dtype.
    pub fn tensor(&self) -> Tensor<2> {
        match self {
            Self::Float(weight) => weight.clone(),
            Self::Quantized(weight) => weight.dense(weight.dtype()),
            Self::Blocks(weight) => weight.dense(),
        }
    }

    /// The matrix outside the graph, in f32: of codes, exactly what they stand for.
    pub fn f32(&self) -> Tensor<2> {
        match self {
            Self::Float(weight) => weight.clone().inner().cast(DType::F32),
            Self::Quantized(weight) => weight.dense(DType::F32),
            Self::Blocks(weight) => weight.dense(),
        }
    }

    /// `x Wᵀ`: `[rows, in]` to `[rows, out]`.
    pub fn product(&self, x: Tensor<2>) -> Tensor<2> {
        match self {
            Self::Float(weight) => dense_product::product(x, weight.clone()),
            Self::Quantized(weight) => weight.product(x),
            Self::Blocks(weight) => weight.product(x),
        }
    }

    /// Some of its rows: `[ids, in]`.
    pub fn select(&self, ids: Tensor<1, Int>) -> Tensor<2> {
        match self {
            Self::Blocks(weight) => weight.select(ids),
            _ => self.tensor().select(0, ids),
        }
    }

    /// The same outside the graph, sharing its memory.
    pub fn inner(&self) -> Self {
        match self {
            Self::Float(weight) => Self::Float(weight.clone().inner()),
            Self::Quantized(weight) => Self::Quantized(weight.clone()),
            Self::Blocks(weight) => Self::Blocks(weight.clone()),
        }
    }

    /// The same with products in floats.
    pub fn in_floats(&self) -> Self {
        match self {
            Self::Float(weight) => Self::Float(weight.clone()),
            Self::Quantized(weight) => Self::Quantized(weight.in_floats()),
            Self::Blocks(weight) => Self::Float(weight.dense()),
        }
    }

    /// What it takes up.
    pub fn size_bytes(&self) -> usize {
        match self {
            Self::Float(weight) => weight.dims().iter().product::<usize>() * weight.dtype().size(),
            Self::Quantized(weight) => weight.scheme().size_bytes(weight.dims()),
            Self::Blocks(weight) => weight.size_bytes(),
        }
    }
}

impl From<Tensor<2>> for Weight {
    fn from(weight: Tensor<2>) -> Self {
        Self::Float(weight)
    }
}
