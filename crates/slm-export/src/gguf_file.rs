//! A GGUF file: its tensors, their types, their order.

use std::path::Path;

use slm_gguf::{FileType, GgufError, Metadata, Mixture, TensorSpec, TensorType, Writer};
use slm_model::{Decoder, Param};

use crate::ExportError;
use crate::architecture::tensor_name;
use crate::blocks::to_blocks;
use crate::ggml_rows::Rows;
use crate::gguf_limits::ensure_expressible;
use crate::gguf_rope::rope_tensors;

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
    /// Names of the tensors whose rows are not whole blocks of what the mixture asks for, with what they are instead.
    pub(crate) fallen_back: Vec<(String, TensorType)>,
}

impl<'a> GgufFile<'a> {
    /// Plans the file of `decoder`, which has no adapter, with the types that llama.cpp's `llama-quantize` gives its tensors.
    ///
    /// # Errors
    /// [`ExportError::NotInGguf`] for what llama.cpp has no tensor for.
    pub(crate) fn plan(
        decoder: &'a Decoder,
        metadata: &Metadata,
        file_type: FileType,
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
        let choices = Mixture::of(metadata, file_type)?.choose(&specs);
        let mut fallen_back = Vec::new();
        for (Planned { spec, .. }, choice) in tensors.iter_mut().zip(choices) {
            spec.tensor_type = choice.tensor_type;
            if choice.fell_back() {
                fallen_back.push((spec.name.clone(), choice.tensor_type));
            }
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
                Content::Param(param) => {
                    let row_len = spec.dims[0] as usize;
                    let bytes = to_blocks(spec.tensor_type, &self.rows(param), row_len, None);
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
