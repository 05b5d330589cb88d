//! The weight of a linear layer: floats, or codes.

use burn::tensor::{DType, Device, Tensor};

use crate::{Quantized, dense_product};

/// A matrix `[out, in]`; cloning shares it.
#[derive(Clone, Debug)]
pub enum Weight {
    Float(Tensor<2>),
    /// Frozen.
    Quantized(Quantized),
}

impl Weight {
    pub fn dims(&self) -> [usize; 2] {
        match self {
            Self::Float(weight) => weight.dims(),
            Self::Quantized(weight) => weight.dims(),
        }
    }

    /// The dtype that products with it are taken in.
    pub fn dtype(&self) -> DType {
        match self {
            Self::Float(weight) => weight.dtype(),
            Self::Quantized(weight) => weight.dtype(),
        }
    }

    pub fn device(&self) -> Device {
        match self {
            Self::Float(weight) => weight.device(),
            Self::Quantized(weight) => weight.device(),
        }
    }

    /// The matrix in its dtype.
    pub fn tensor(&self) -> Tensor<2> {
        match self {
            Self::Float(weight) => weight.clone(),
            Self::Quantized(weight) => weight.dense(weight.dtype()),
        }
    }

    /// The matrix outside the graph, in f32: of codes, exactly what they stand for.
    pub fn f32(&self) -> Tensor<2> {
        match self {
            Self::Float(weight) => weight.clone().inner().cast(DType::F32),
            Self::Quantized(weight) => weight.dense(DType::F32),
        }
    }

    /// `x Wᵀ`: `[rows, in]` to `[rows, out]`.
    pub fn product(&self, x: Tensor<2>) -> Tensor<2> {
        match self {
            Self::Float(weight) => dense_product::product(x, weight.clone()),
            Self::Quantized(weight) => weight.product(x),
        }
    }

    /// The same outside the graph, sharing its memory.
    pub fn inner(&self) -> Self {
        match self {
            Self::Float(weight) => Self::Float(weight.clone().inner()),
            Self::Quantized(weight) => Self::Quantized(weight.clone()),
        }
    }

    /// The same with products in floats.
    pub fn in_floats(&self) -> Self {
        match self {
            Self::Float(weight) => Self::Float(weight.clone()),
            Self::Quantized(weight) => Self::Quantized(weight.in_floats()),
        }
    }

    /// What it takes up.
    pub fn size_bytes(&self) -> usize {
        match self {
            Self::Float(weight) => weight.dims().iter().product::<usize>() * weight.dtype().size(),
            Self::Quantized(weight) => weight.scheme().size_bytes(weight.dims()),
        }
    }
}

impl From<Tensor<2>> for Weight {
    fn from(weight: Tensor<2>) -> Self {
        Self::Float(weight)
    }
}
