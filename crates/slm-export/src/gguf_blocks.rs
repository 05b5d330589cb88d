//! A GGUF file opened for inference: its matrices stay in their blocks.

use std::path::Path;

use burn::tensor::{Device, Tensor, TensorData};
use slm_gguf::Reader;
use slm_model::{Decoder, DecoderConfig, Weight};

use crate::ExportError;
use crate::architecture::{is_paired, paired_row};
use crate::gguf_decoder::{ensure_all_read, n_read_before, read_config, tensor_of};

/// Opens the GGUF file at `path` as a frozen decoder that keeps the file's blocks.
///
/// On the `cpu` device matrices are read where the file is mapped, but for those whose rows have another order there, which are
/// copied, block by block; vectors, and everything on another device, become f32. The rest is as in
/// [`read_gguf`](crate::read_gguf).
///
/// # Errors
/// Those of [`read_gguf`](crate::read_gguf).
pub fn open_gguf(
    path: &Path,
    trained: &DecoderConfig,
    device: &Device,
) -> Result<Decoder, ExportError> {
    let reader = Reader::open(path)?;
    let config = read_config(&reader, path, trained)?;
    let (architecture, head_dim) = (config.family.gguf, config.head_dim);
    let mut n_read = n_read_before(&reader);
    let decoder = Decoder::from_weights(
        config,
        |hf, shape| {
            n_read += 1;
            let name = tensor_of(&reader, path, hf, shape)?;
            let order = is_paired(architecture, hf).then_some(head_dim);
            weight(&reader, &name, shape, order, device)
        },
        device,
    )?;
    ensure_all_read(&reader, path, n_read)?;
    Ok(decoder)
}

/// The tensor called `name`. Rows of heads in ggml's order are put into HF's, where their `head_dim` is given.
fn weight(
    reader: &Reader,
    name: &str,
    shape: &[usize],
    head_dim: Option<usize>,
    device: &Device,
) -> Result<Weight, ExportError> {
    let matrix = reader.matrix(name)?;
    if let [n] = *shape {
        let mut values = vec![0.0; n];
        matrix.dequantize(0..1, &mut values);
        if let Some(head_dim) = head_dim {
            values = (0..n).map(|i| values[paired_row(i, head_dim)]).collect();
        }
        let data = TensorData::new(values, [1, n]);
        return Ok(Weight::Float(Tensor::from_data(data, device)));
    }
    let matrix = match head_dim {
        Some(head_dim) => matrix.reordered(|i| paired_row(i, head_dim)),
        None => matrix,
    };
    Ok(Weight::of_blocks(matrix, device))
}
