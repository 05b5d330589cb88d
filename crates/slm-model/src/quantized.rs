//! The base in codes.

use slm_ops::{QuantScheme, Quantizer, Weight};
use slm_recipe::{ModelSection, Quantization};

use crate::param::Layout;
use crate::{Param, TensorSpec};

/// How a recipe's base is kept; `None` as floats.
pub fn quant_scheme(section: &ModelSection) -> Option<QuantScheme> {
    match section.quantization {
        Quantization::None => None,
        Quantization::Int8 if section.int8_activations => Some(QuantScheme::Int8Products),
        Quantization::Int8 => Some(QuantScheme::Int8),
        Quantization::Nf4 if section.double_quant => Some(QuantScheme::Nf4Double),
        Quantization::Nf4 => Some(QuantScheme::Nf4),
    }
}

/// A linear layer's matrix in codes, from values in the order of its file.
pub(crate) fn quantized_param(spec: TensorSpec, values: Vec<f32>, quantizer: &Quantizer) -> Param {
    let (rows, columns) = (spec.shape[0], spec.shape[1]);
    let quantized = match spec.layout {
        // Codes go along [out, in], whatever the file does.
        Layout::Transposed => {
            let column = |i| values.iter().skip(i).step_by(columns).copied();
            let turned: Vec<f32> = (0..columns).flat_map(column).collect();
            quantizer.quantize(&turned, [columns, rows])
        }
        Layout::Matrix | Layout::Vector => quantizer.quantize(&values, [rows, columns]),
    };
    Param {
        name: spec.name,
        value: Weight::Quantized(quantized),
        layout: spec.layout,
        trainable: false,
        original: None,
    }
}
