//! A GGUF file: its tensors, their types, their order.

use std::path::Path;

use slm_gguf::{FileType, GgufError, Metadata, TensorSpec, TensorType, Writer};
use slm_model::{Decoder, Param};

use crate::ExportError;
use crate::architecture::tensor_name;
use crate::blocks::to_blocks;
use crate::ggml_rows::Rows;
use crate::gguf_limits::ensure_expressible;
use crate::gguf_rope::rope_tensors;
use crate::quantization::Quantization;

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
    quantization: &'a Quantization,
    tensors: Vec<Planned<'a>>,
    /// Names of the tensors whose rows are not whole blocks of what the mixture asks for, with what they are instead.
    pub(crate) fallen_back: Vec<(String, TensorType)>,
    /// Names of the layers' tensors that are quantized although the importance matrix does not have them.
    pub(crate) unweighted: Vec<String>,
}

impl<'a> GgufFile<'a> {
    /// Plans the file of `decoder`, which has no adapter, with the types that llama.cpp's `llama-quantize` gives its tensors.
    ///
    /// # Errors
    /// [`ExportError::NotInGguf`] for what llama.cpp has no tensor for, [`GgufError::ImportanceSize`] for an importance matrix
    /// of another model.
    pub(crate) fn plan(
        decoder: &'a Decoder,
        metadata: &Metadata,
        file_type: FileType,
        quantization: &'a Quantization,
    ) -> Result<Self, ExportError> {
        let config = decoder.config();
        ensure_expressible(config)?;
        let mut tensors = Vec::new();
        // First, where llama.cpp's converter puts it.
        for (name, factors) in rope_tensors(config) {
            tensors.push(Planned {
                spec: TensorSpec::from_shape(name, &[factors.len()], TensorType::F32),
                content: Content::Factors(factors),
            });
        }
        for param in decoder.params() {
            let architecture = config.family.gguf;
            let name = tensor_name(architecture, &param.name);
            let name = name.ok_or_else(|| ExportError::NotInGguf {
                what: format!("`{}`", param.name),
            })?;
            let shape = Rows::of(architecture, &param.name).shape(&param.file_shape());
            tensors.push(Planned {
                spec: TensorSpec::from_shape(name, &shape, TensorType::F32),
                content: Content::Param(param),
            });
        }
        let specs: Vec<_> = tensors.iter().map(|planned| planned.spec.clone()).collect();
        let choices = quantization.mixture(metadata, file_type)?.choose(&specs);
        let mut fallen_back = Vec::new();
        for (Planned { spec, .. }, choice) in tensors.iter_mut().zip(choices) {
            spec.tensor_type = choice.tensor_type;
            if choice.fell_back() {
                fallen_back.push((spec.name.clone(), choice.tensor_type));
            }
        }
        let mut unweighted = Vec::new();
        for Planned { spec, .. } in &tensors {
            let is_weighted = quantization.importance_of(spec)?.is_some();
            if spec.tensor_type.is_quantized() && spec.name.starts_with("blk.") && !is_weighted {
                unweighted.push(spec.name.clone());
            }
        }
        Ok(Self {
            decoder,
            quantization,
            tensors,
            fallen_back,
            unweighted,
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
                Content::Param(param) => {
                    let row_len = spec.dims[0] as usize;
                    let importance = self.quantization.importance_of(spec)?;
                    let (rows, importance) = (self.rows(param), importance.as_deref());
                    let bytes = to_blocks(spec.tensor_type, &rows, row_len, importance);
                    let bytes = bytes.map_err(|source| GgufError::Encode {
                        name: spec.name.clone(),
                        source: Box::new(source),
                    })?;
                    writer.write_bytes(&spec.name, &bytes)?;
                }
                Content::Factors(factors) => writer.write_f32(&spec.name, factors)?,
            }
        }
        writer.finish()?;
        Ok(())
    }

    /// A weight's values in ggml's order of rows.
    fn rows(&self, param: &Param) -> Vec<f32> {
        let config = self.decoder.config();
        let rows = Rows::of(config.family.gguf, &param.name);
        rows.to_ggml(param.file_values(), &param.file_shape(), config.head_dim)
    }
}

#[cfg(test)]
mod tests {
    use slm_recipe::GgufType;

    use super::*;

    #[test]
    fn every_type_of_a_recipe_is_one_of_llama_cpp() {
        use GgufType::{BF16, F16, F32, Q8_0};
        for weights in [F32, F16, BF16, Q8_0] {
            let file_type: FileType = weights.name().parse().unwrap();
            assert_eq!(file_type.name(), weights.name());
        }
    }
}
