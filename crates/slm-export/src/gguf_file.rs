//! A GGUF file: its tensors, their types, their order.

use std::path::Path;

use slm_gguf::{Metadata, TensorSpec, TensorType, Writer};
use slm_model::{Decoder, Param};
use slm_recipe::GgufType;

use crate::ExportError;
use crate::architecture::{ensure_expressible, is_paired, tensor_name, to_pairs};
use crate::comparison::values;
use crate::gguf_metadata::rope_factors;

/// The factors of a rotary encoding that is stretched unevenly (Llama 3), one for each pair of channels.
pub(crate) const ROPE_FREQS: &str = "rope_freqs.weight";

/// A tensor that will be written.
struct Planned<'a> {
    spec: TensorSpec,
    content: Content<'a>,
}

enum Content<'a> {
    Param(&'a Param),
    Factors(Vec<f32>),
}

/// The tensors of a model in one type of weights.
pub(crate) struct GgufFile<'a> {
    decoder: &'a Decoder,
    tensors: Vec<Planned<'a>>,
    /// Names of the tensors that are F16 because a row is not whole blocks.
    pub(crate) fallen_back: Vec<String>,
}

impl<'a> GgufFile<'a> {
    /// Plans the file of `decoder`, which has no adapter.
    ///
    /// # Errors
    /// [`ExportError::NotInGguf`] for what llama.cpp has no tensor for.
    pub(crate) fn plan(decoder: &'a Decoder, weights: GgufType) -> Result<Self, ExportError> {
        let config = decoder.config();
        ensure_expressible(config)?;
        let mut tensors = Vec::new();
        let mut fallen_back = Vec::new();
        // First, where llama.cpp's converter puts it.
        if let Some(factors) = rope_factors(config)? {
            tensors.push(Planned {
                spec: TensorSpec::from_shape(ROPE_FREQS, &[factors.len()], TensorType::F32),
                content: Content::Factors(factors),
            });
        }
        for param in decoder.params() {
            let name = tensor_name(&param.name).ok_or_else(|| ExportError::NotInGguf {
                what: format!("`{}`", param.name),
            })?;
            let shape = param.file_shape();
            let tensor_type = stored_as(weights, &shape);
            if tensor_type == TensorType::F16 && weights == GgufType::Q8_0 {
                fallen_back.push(name.clone());
            }
            tensors.push(Planned {
                spec: TensorSpec::from_shape(name, &shape, tensor_type),
                content: Content::Param(param),
            });
        }
        Ok(Self {
            decoder,
            tensors,
            fallen_back,
        })
    }

    /// Writes the file to `path`; one tensor at a time is held in memory.
    ///
    /// # Errors
    /// [`ExportError::Gguf`]: the disk, or weights that the type cannot hold.
    pub(crate) fn write(&self, metadata: &Metadata, path: &Path) -> Result<(), ExportError> {
        let specs = self.tensors.iter().map(|t| t.spec.clone()).collect();
        let mut writer = Writer::create(path, metadata, specs)?;
        for Planned { spec, content } in &self.tensors {
            match content {
                Content::Param(param) => writer.write_f32(&spec.name, &self.rows(param))?,
                Content::Factors(factors) => writer.write_f32(&spec.name, factors)?,
            }
        }
        writer.finish()?;
        Ok(())
    }

    /// A weight's values in ggml's order of rows.
    fn rows(&self, param: &Param) -> Vec<f32> {
        let config = self.decoder.config();
        let rows = values(param.tensor());
        if !is_paired(config.family.gguf, &param.name) {
            return rows;
        }
        // A bias is one column with a row for each channel.
        let columns = if param.is_vector() {
            1
        } else {
            param.value.dims()[1]
        };
        to_pairs(&rows, config.head_dim, columns)
    }
}

/// Norms and biases stay F32, as llama.cpp needs them; a row that is not whole blocks becomes F16.
fn stored_as(weights: GgufType, shape: &[usize]) -> TensorType {
    let row_len = shape.last().copied().unwrap_or(1);
    match weights {
        _ if shape.len() == 1 => TensorType::F32,
        GgufType::F32 => TensorType::F32,
        GgufType::F16 => TensorType::F16,
        GgufType::BF16 => TensorType::BF16,
        GgufType::Q8_0 if row_len.is_multiple_of(TensorType::Q8_0.block_len()) => TensorType::Q8_0,
        GgufType::Q8_0 => TensorType::F16,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_type_holds_whole_blocks_and_vectors_stay_f32() {
        assert_eq!(stored_as(GgufType::Q8_0, &[512, 64]), TensorType::Q8_0);
        assert_eq!(stored_as(GgufType::Q8_0, &[64, 172]), TensorType::F16);
        assert_eq!(stored_as(GgufType::Q8_0, &[64]), TensorType::F32);
        assert_eq!(stored_as(GgufType::BF16, &[64]), TensorType::F32);
        assert_eq!(stored_as(GgufType::BF16, &[64, 172]), TensorType::BF16);
        assert_eq!(stored_as(GgufType::F16, &[64, 172]), TensorType::F16);
    }
}
