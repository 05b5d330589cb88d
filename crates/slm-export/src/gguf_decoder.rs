//! A GGUF file read back into a decoder.

use std::path::Path;

use burn::tensor::Device;
use slm_gguf::Reader;
use slm_model::Decoder;

use crate::ExportError;
use crate::architecture::tensor_name;
use crate::ggml_rows::Rows;
use crate::gguf_config::gguf_config;
use crate::gguf_rope::n_rope_tensors;

/// Reads the GGUF file at `path` as a decoder with f32 weights. Everything comes from the file, also where another program
/// wrote it.
///
/// # Errors
/// Those of [`gguf_config`]; [`ExportError::Gguf`] and [`ExportError::Model`] where the file is not whole,
/// [`ExportError::OddTensors`] where a tensor has another shape than the metadata gives it, or no place.
pub fn read_gguf(path: &Path, device: &Device) -> Result<Decoder, ExportError> {
    let reader = Reader::open(path)?;
    let config = gguf_config(&reader, path)?;
    let architecture = config.family.gguf;
    let head_dim = config.head_dim;
    let odd = |what: String| ExportError::OddTensors {
        path: path.into(),
        what,
    };
    let mut n_read = n_rope_tensors(&reader);
    let decoder = Decoder::from_tensors(
        config,
        |hf, shape| {
            n_read += 1;
            let name = tensor_name(architecture, hf)
                .ok_or_else(|| odd(format!("no name is known for `{hf}`")))?;
            let rows = Rows::of(architecture, hf);
            let needed: Vec<u64> = rows.shape(shape).iter().map(|&dim| dim as u64).collect();
            let found = reader.tensor(&name)?.shape();
            if found != needed {
                return Err(odd(format!(
                    "`{name}` has the shape {found:?}, needed {needed:?}"
                )));
            }
            Ok(rows.to_hf(reader.dequantize(&name)?, shape, head_dim))
        },
        device,
    )?;
    if n_read == reader.tensors().len() {
        return Ok(decoder);
    }
    let held = reader.tensors().len();
    Err(odd(format!(
        "it holds {held} tensors, its metadata gives {n_read} of them a place"
    )))
}
