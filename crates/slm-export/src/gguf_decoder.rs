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
    let (architecture, head_dim) = (config.family.gguf, config.head_dim);
    let mut n_read = n_rope_tensors(&reader);
    let decoder = Decoder::from_tensors(
        config,
        |hf, shape| {
            n_read += 1;
            let rows = Rows::of(architecture, hf);
            let name = tensor_of(&reader, path, (architecture, hf), &rows.shape(shape))?;
            Ok::<_, ExportError>(rows.to_hf(reader.dequantize(&name)?, shape, head_dim))
        },
        device,
    )?;
    ensure_all_read(&reader, path, n_read)?;
    Ok(decoder)
}

/// The file's name of the tensor that HF calls `hf` in an architecture, after a look at its shape there.
pub(crate) fn tensor_of(
    reader: &Reader,
    path: &Path,
    (architecture, hf): (&str, &str),
    shape: &[usize],
) -> Result<String, ExportError> {
    let odd = |what: String| ExportError::OddTensors {
        path: path.into(),
        what,
    };
    let name = tensor_name(architecture, hf);
    let name = name.ok_or_else(|| odd(format!("no name is known for `{hf}`")))?;
    let needed: Vec<u64> = shape.iter().map(|&dim| dim as u64).collect();
    let found = reader.tensor(&name)?.shape();
    match found == needed {
        true => Ok(name),
        false => Err(odd(format!(
            "`{name}` has the shape {found:?}, needed {needed:?}"
        ))),
    }
}

/// Refuses a file with tensors that nothing read.
pub(crate) fn ensure_all_read(
    reader: &Reader,
    path: &Path,
    n_read: usize,
) -> Result<(), ExportError> {
    let held = reader.tensors().len();
    match n_read == held {
        true => Ok(()),
        false => Err(ExportError::OddTensors {
            path: path.into(),
            what: format!("it holds {held} tensors, its metadata gives {n_read} of them a place"),
        }),
    }
}
