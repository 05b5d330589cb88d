//! Frozen matrices in 8 or 4 bits per value, in the codes of bitsandbytes.

#[cfg(feature = "libtorch")]
mod cuda;
mod dynamic;
mod int8;
mod integer;
mod nf4;
mod product;
mod stored;

pub(crate) use integer::{Int8Matrix, IntegerProduct};

pub use dynamic::dynamic_map;
pub use int8::Int8;
pub use nf4::{Absmax, Nf4};

use std::sync::Arc;

use burn::backend::{Dispatch, FloatDType};
use burn::tensor::{DType, Device, Int, Tensor, TensorData};

use product::QuantizedProduct;
use stored::{Arithmetic, Codes};
pub(crate) use stored::{Dense, Stored};

/// How a matrix is quantized.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum QuantScheme {
    /// 8 bits per value, a scale per row: 8 bits and 32 per row.
    Int8,
    /// The same, and what it is multiplied with is quantized, too, a scale per token: products are taken in integers.
    Int8Products,
    /// 4 bits per value in blocks of 64, a scale each: 4.5 bits per value.
    Nf4,
    /// The same with scales of 8 bits: 4.127 bits per value.
    Nf4Double,
}

impl QuantScheme {
    /// What a matrix of this shape takes up.
    pub fn size_bytes(self, [out, columns]: [usize; 2]) -> usize {
        let n = out * columns;
        let blocks = n.div_ceil(nf4::BLOCK);
        let packed = blocks * nf4::BLOCK / 2;
        let groups = blocks.div_ceil(nf4::GROUP);
        match self {
            Self::Int8 | Self::Int8Products => n + 4 * out,
            Self::Nf4 => packed + 4 * blocks,
            Self::Nf4Double => packed + groups * (nf4::GROUP + 4) + 4,
        }
    }
}

/// Quantizes matrices for a device; they share its tables.
#[derive(Clone, Debug)]
pub struct Quantizer {
    scheme: QuantScheme,
    /// What a matrix becomes for a product.
    dtype: FloatDType,
    device: Device,
    pairs: Tensor<2>, // [256, 2]
    map: Tensor<1>,   // [256]
}

impl Quantizer {
    /// Of matrices that are multiplied in `dtype`.
    pub fn new(scheme: QuantScheme, device: &Device, dtype: DType) -> Self {
        let pairs = nf4::pairs().as_flattened().to_vec();
        Self {
            scheme,
            dtype: dtype.into(),
            device: device.clone(),
            pairs: floats(pairs, [256, 2], device),
            map: floats(dynamic_map(true), [256], device),
        }
    }

    /// The codes of `values`, row-major `[out, in]`; quantized on the host.
    pub fn quantize(&self, values: &[f32], shape: [usize; 2]) -> Quantized {
        let codes = match self.scheme {
            QuantScheme::Int8 | QuantScheme::Int8Products => {
                self.int8(Int8::of(values, shape[1]), shape)
            }
            QuantScheme::Nf4 => self.nf4(Nf4::of(values, false)),
            QuantScheme::Nf4Double => self.nf4(Nf4::of(values, true)),
        };
        Quantized {
            scheme: self.scheme,
            stored: Arc::new(Stored {
                shape,
                dtype: self.dtype,
                arithmetic: Arithmetic::Float,
                codes,
            }),
            device: self.device.clone(),
        }
    }

    fn int8(&self, host: Int8, [out, columns]: [usize; 2]) -> Codes<Dispatch> {
        let data = TensorData::new(host.codes, [out, columns]);
        let codes = Tensor::<2, Int>::from_data(data, (&self.device, DType::I8));
        Codes::Int8 {
            codes: codes.into_dispatch(),
            absmax: floats::<2>(host.absmax, [out, 1], &self.device).into_dispatch(),
        }
    }

    fn nf4(&self, host: Nf4) -> Codes<Dispatch> {
        let filler = nf4::ZERO << 4 | nf4::ZERO;
        let packed = self.bytes(host.packed, nf4::BLOCK / 2, filler);
        let pairs = self.pairs.clone().into_dispatch();
        let column = |values: Vec<f32>| {
            let n = values.len();
            floats::<2>(values, [n, 1], &self.device).into_dispatch()
        };
        match host.absmax {
            Absmax::Plain(absmax) => Codes::Nf4 {
                packed,
                pairs,
                absmax: column(absmax),
            },
            Absmax::Double {
                codes,
                absmax,
                offset,
            } => Codes::Nf4Double {
                packed,
                pairs,
                absmax: self.bytes(codes, nf4::GROUP, 0),
                map: self.map.clone().into_dispatch(),
                nested: column(absmax),
                offset,
            },
        }
    }

    /// Bytes on the device, filled up to whole blocks.
    fn bytes(&self, mut bytes: Vec<u8>, block: usize, filler: u8) -> burn::backend::DispatchTensor {
        let n = bytes.len().next_multiple_of(block);
        bytes.resize(n, filler);
        let data = TensorData::new(bytes, [n]);
        Tensor::<1, Int>::from_data(data, (&self.device, DType::U8)).into_dispatch()
    }
}

fn floats<const D: usize>(values: Vec<f32>, shape: [usize; D], device: &Device) -> Tensor<D> {
    Tensor::from_data(TensorData::new(values, shape), (device, DType::F32))
}

/// A frozen matrix, `[out, in]`, in codes. Cloning shares them.
#[derive(Clone, Debug)]
pub struct Quantized {
    scheme: QuantScheme,
    stored: Arc<Stored<Dispatch>>,
    device: Device,
}

impl Quantized {
    pub fn dims(&self) -> [usize; 2] {
        self.stored.shape
    }

    /// What it becomes for a product.
    pub fn dtype(&self) -> DType {
        self.stored.dtype.into()
    }

    pub fn device(&self) -> Device {
        self.device.clone()
    }

    pub fn scheme(&self) -> QuantScheme {
        self.scheme
    }

    /// The same codes, with products in floats.
    pub fn in_floats(&self) -> Self {
        let scheme = match self.scheme {
            QuantScheme::Int8Products => QuantScheme::Int8,
            other => other,
        };
        Self {
            scheme,
            ..self.clone()
        }
    }

    /// The values that the codes stand for.
    pub fn dense(&self, dtype: DType) -> Tensor<2> {
        let stored = Stored {
            dtype: dtype.into(),
            ..Stored::clone(&self.stored)
        };
        Tensor::from_dispatch(Dispatch::dense(stored))
    }

    /// Whether products are taken in integers: on a processor, where those in floats are several times slower.
    fn in_integers(&self) -> bool {
        self.scheme == QuantScheme::Int8Products && !crate::fused::is_gpu(&self.device)
    }

    /// The codes, where products are taken in floats.
    pub(crate) fn of_floats(&self) -> Option<Stored<Dispatch>> {
        (!self.in_integers()).then(|| Stored::clone(&self.stored))
    }

    /// What products in integers are taken with; `None` where they are in floats, or cast to f32 for it.
    pub(crate) fn int8_matrix(&self) -> Option<Int8Matrix<Dispatch>> {
        match (self.in_integers(), self.dtype(), &self.stored.codes) {
            (true, DType::F32, Codes::Int8 { codes, absmax }) => Some(Int8Matrix {
                codes: codes.clone(),
                absmax: absmax.clone(),
            }),
            _ => None,
        }
    }

    /// `x Wᵀ` of `x`, `[rows, in]` in the matrix' dtype. A dequantized matrix lives while a product is taken, in the forward
    /// pass and again in the backward pass, not between them.
    pub fn product(&self, x: Tensor<2>) -> Tensor<2> {
        let arithmetic = match self.in_integers() {
            true => Arithmetic::Integer {
                fused: crate::fused::applies(&x),
            },
            false => Arithmetic::Float,
        };
        let stored = Stored {
            arithmetic,
            ..Stored::clone(&self.stored)
        };
        Tensor::from_dispatch(Dispatch::quantized_product(x.into_dispatch(), stored))
    }
}
