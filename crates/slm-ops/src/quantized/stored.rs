//! Codes and scales on a device, and how they become a matrix again.

use burn::backend::tensor::{FloatTensor, IntTensor};
use burn::backend::{
    Autodiff, Backend, ExtensionType, Flex, FloatDType, TensorMetadata, backend_extension,
};
use burn::tensor::{DType, IntDType, Shape, Slice, TensorData};

use super::integer::Int8Matrix;
use super::nf4::{BLOCK, GROUP};
use super::{int8, nf4};

/// A quantized matrix on a device.
#[derive(Clone, Debug, ExtensionType)]
pub(crate) struct Stored<B: Backend> {
    /// `[out, in]`
    pub(super) shape: [usize; 2],
    /// What it becomes.
    pub(super) dtype: FloatDType,
    pub(super) arithmetic: Arithmetic,
    #[extension_type]
    pub(super) codes: Codes<B>,
}

/// What products are taken in.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Arithmetic {
    /// In floats, with the dequantized matrix.
    Float,
    /// In integers; fused, or made of burn's primitives.
    Integer { fused: bool },
}

/// Codes and scales. Floats are f32.
#[derive(Clone, Debug, ExtensionType)]
pub(crate) enum Codes<B: Backend> {
    Int8 {
        /// `[out, in]`, i8
        codes: IntTensor<B>,
        /// `[out, 1]`
        absmax: FloatTensor<B>,
    },
    Nf4 {
        /// `[blocks · 32]`, u8: the last block is filled up.
        packed: IntTensor<B>,
        /// `[256, 2]`: the two values of every byte.
        pairs: FloatTensor<B>,
        /// `[blocks, 1]`
        absmax: FloatTensor<B>,
    },
    Nf4Double {
        packed: IntTensor<B>,
        pairs: FloatTensor<B>,
        /// `[groups · 256]`, u8: the last group is filled up.
        absmax: IntTensor<B>,
        /// `[256]`: the values of its codes.
        map: FloatTensor<B>,
        /// `[groups, 1]`
        nested: FloatTensor<B>,
        offset: f32,
    },
}

impl<B: Backend> Stored<B> {
    /// What products in integers are taken with; `None` where they are in floats.
    pub(super) fn integers(&self) -> Option<(Int8Matrix<B>, bool)> {
        match (self.arithmetic, &self.codes) {
            (Arithmetic::Integer { fused }, Codes::Int8 { codes, absmax }) => {
                let (codes, absmax) = (codes.clone(), absmax.clone());
                Some((Int8Matrix { codes, absmax }, fused))
            }
            _ => None,
        }
    }
}

/// A backend that reads quantized matrices. The body given here is made of burn's primitives, and the oracle of others.
#[backend_extension(Flex, LibTorch: cfg(feature = "libtorch"))]
pub(crate) trait Dense: Backend {
    /// `[out, in]`
    fn dense(#[extension_type] stored: Stored<Self>) -> FloatTensor<Self> {
        portable(stored)
    }
}

impl Dense for Flex {
    /// In one pass over the codes, by all threads.
    fn dense(stored: Stored<Self>) -> FloatTensor<Self> {
        let [out, columns] = stored.shape;
        let n = out * columns;
        let values = match &stored.codes {
            Codes::Int8 { codes, absmax } => {
                let (codes, absmax) = (codes.to_contiguous(), absmax.to_contiguous());
                int8::dequantize(codes.storage(), absmax.storage(), columns)
            }
            Codes::Nf4 { packed, absmax, .. } => {
                let (packed, absmax) = (packed.to_contiguous(), absmax.to_contiguous());
                nf4::dequantize(packed.storage(), absmax.storage(), n)
            }
            Codes::Nf4Double {
                packed,
                absmax,
                nested,
                offset,
                ..
            } => {
                let (packed, absmax) = (packed.to_contiguous(), absmax.to_contiguous());
                let nested = nested.to_contiguous();
                let scales = nf4::scales(absmax.storage(), nested.storage(), *offset);
                nf4::dequantize(packed.storage(), &scales, n)
            }
        };
        let values = FloatTensor::<Self>::from_data(TensorData::new(values, stored.shape));
        cast::<Self>(values, stored.dtype)
    }
}

#[cfg(feature = "libtorch")]
impl Dense for burn::backend::LibTorch {
    fn dense(stored: Stored<Self>) -> FloatTensor<Self> {
        match super::cuda::dense(&stored) {
            Some(values) => FloatTensor::<Self>::new(values),
            None => portable(stored),
        }
    }
}

pub(super) fn portable<B: Backend>(stored: Stored<B>) -> FloatTensor<B> {
    let values = match stored.codes {
        Codes::Int8 { codes, absmax } => {
            let codes = B::int_into_float(codes, FloatDType::F32);
            B::float_mul_scalar(B::float_mul(codes, absmax), int8::STEP.into())
        }
        Codes::Nf4 {
            packed,
            pairs,
            absmax,
        } => blocks::<B>(packed, pairs, absmax, stored.shape),
        Codes::Nf4Double {
            packed,
            pairs,
            absmax,
            map,
            nested,
            offset,
        } => {
            let groups = nested.shape()[0];
            let values = B::float_select(map, 0, index::<B>(absmax));
            let values = B::float_reshape(values, Shape::new([groups, GROUP]));
            let scales = B::float_add_scalar(B::float_mul(values, nested), offset.into());
            let n = stored.shape.iter().product::<usize>().div_ceil(BLOCK);
            let scales = first::<B>(scales, groups * GROUP, n);
            let scales = B::float_reshape(scales, Shape::new([n, 1]));
            blocks::<B>(packed, pairs, scales, stored.shape)
        }
    };
    cast::<B>(values, stored.dtype)
}

/// NF4's values, of scales `[blocks, 1]`.
fn blocks<B: Backend>(
    packed: IntTensor<B>,
    pairs: FloatTensor<B>,
    scales: FloatTensor<B>,
    shape: [usize; 2],
) -> FloatTensor<B> {
    let n_blocks = scales.shape()[0];
    let values = B::float_select(pairs, 0, index::<B>(packed)); // [bytes, 2]
    let values = B::float_reshape(values, Shape::new([n_blocks, BLOCK]));
    let values = B::float_mul(values, scales);
    let values = first::<B>(values, n_blocks * BLOCK, shape.iter().product());
    B::float_reshape(values, Shape::new(shape))
}

/// The first `n` of `all` values.
fn first<B: Backend>(values: FloatTensor<B>, all: usize, n: usize) -> FloatTensor<B> {
    let flat = B::float_reshape(values, Shape::new([all]));
    match n == all {
        true => flat,
        false => B::float_slice(flat, &[Slice::from(0..n)]),
    }
}

/// The kind of integer that every backend takes as an index.
fn index<B: Backend>(codes: IntTensor<B>) -> IntTensor<B> {
    B::int_cast(codes, IntDType::I64)
}

pub(super) fn cast<B: Backend>(values: FloatTensor<B>, dtype: FloatDType) -> FloatTensor<B> {
    match values.dtype() == DType::from(dtype) {
        true => values,
        false => B::float_cast(values, dtype),
    }
}

impl<B: Backend, C: burn::backend::autodiff::checkpoint::strategy::CheckpointStrategy>
    Stored<Autodiff<B, C>>
{
    /// The same outside the graph.
    pub(crate) fn inner(self) -> Stored<B> {
        let codes = match self.codes {
            Codes::Int8 { codes, absmax } => Codes::Int8 {
                codes,
                absmax: absmax.into_primitive(),
            },
            Codes::Nf4 {
                packed,
                pairs,
                absmax,
            } => Codes::Nf4 {
                packed,
                pairs: pairs.into_primitive(),
                absmax: absmax.into_primitive(),
            },
            Codes::Nf4Double {
                packed,
                pairs,
                absmax,
                map,
                nested,
                offset,
            } => Codes::Nf4Double {
                packed,
                pairs: pairs.into_primitive(),
                absmax,
                map: map.into_primitive(),
                nested: nested.into_primitive(),
                offset,
            },
        };
        Stored {
            shape: self.shape,
            dtype: self.dtype,
            arithmetic: self.arithmetic,
            codes,
        }
    }
}

#[cfg(test)]
mod tests {
    use burn::tensor::Device;

    use super::*;
    use crate::{QuantScheme, Quantizer};

    #[test]
    fn one_pass_reads_what_the_primitives_read() {
        let values: Vec<f32> = (0u64..300 * 130)
            .map(|i| (crate::noise::mix(i) as f32 / u64::MAX as f32 - 0.5) * 0.2)
            .collect();
        for quantization in [QuantScheme::Int8, QuantScheme::Nf4, QuantScheme::Nf4Double] {
            // The second ends within a block, a byte and a group.
            for shape in [[300, 130], [71, 65]] {
                for dtype in [DType::F32, DType::BF16] {
                    let quantizer = Quantizer::new(quantization, &Device::flex(), dtype);
                    let quantized = quantizer.quantize(&values[..shape[0] * shape[1]], shape);
                    let stored = flex(Stored::clone(&quantized.stored));
                    let read = Flex::dense(stored.clone()).into_data();
                    read.assert_eq(&portable(stored).into_data(), true);
                }
            }
        }
    }

    fn flex(stored: Stored<burn::backend::Dispatch>) -> Stored<Flex> {
        ExtensionType::<Flex>::map_from_dispatch(stored, |tensor| match tensor.kind {
            burn::backend::DispatchTensorKind::Flex(tensor) => tensor,
            _ => unreachable!("the quantizer's device is Flex"),
        })
    }
}
