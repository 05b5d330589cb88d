//! A GGUF file opened for inference: its matrices stay in their blocks.

use std::path::Path;

use burn::tensor::{Device, Tensor, TensorData};
use slm_gguf::Reader;
use slm_model::{Decoder, Weight};

use crate::ExportError;
use crate::ggml_rows::Rows;
use crate::gguf_config::gguf_config;
use crate::gguf_decoder::{ensure_all_read, tensor_of};
use crate::gguf_rope::n_rope_tensors;

/// Opens the GGUF file at `path` as a frozen decoder that keeps the file's blocks.
///
/// On the `cpu` device matrices are read where the file is mapped, but for those whose rows have another order there, which are
/// copied, block by block; vectors, and everything on another device, become f32. The rest is as in
/// [`read_gguf`](crate::read_gguf).
///
/// # Errors
/// Those of [`read_gguf`](crate::read_gguf).
pub fn open_gguf(path: &Path, device: &Device) -> Result<Decoder, ExportError> {
    let reader = Reader::open(path)?;
    let config = gguf_config(&reader, path)?;
    let (architecture, head_dim) = (config.family.gguf, config.head_dim);
    let mut n_read = n_rope_tensors(&reader);
    let decoder = Decoder::from_weights(
        config,
        |hf, shape| {
            n_read += 1;
            let rows = Rows::of(architecture, hf);
            let name = tensor_of(&reader, path, (architecture, hf), &rows.shape(shape))?;
            match (rows, shape) {
                // What HF keeps transposed lies in the file as it is multiplied.
                (Rows::Same | Rows::Transposed, [_, _]) => {
                    Ok(Weight::of_blocks(reader.matrix(&name)?, device))
                }
                (Rows::Pairs | Rows::Parts, &[n_rows, _]) => {
                    let matrix = reader.matrix(&name)?;
                    let matrix = matrix.reordered(|row| rows.place(row, n_rows, head_dim));
                    Ok(Weight::of_blocks(matrix, device))
                }
                _ => {
                    let values = rows.to_hf(reader.dequantize(&name)?, shape, head_dim);
                    let columns = shape.last().copied().unwrap_or(1);
                    let data = TensorData::new(
                        values,
                        [shape.iter().product::<usize>() / columns, columns],
                    );
                    Ok::<_, ExportError>(Weight::Float(Tensor::from_data(data, device)))
                }
            }
        },
        device,
    )?;
    ensure_all_read(&reader, path, n_read)?;
    Ok(decoder)
}
