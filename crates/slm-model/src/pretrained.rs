//! A model folder in HF format.

use std::collections::BTreeMap;
use std::path::Path;

use safetensors::tensor::Dtype;
use serde_json::Value;

use crate::compressed::FileTensor;
use crate::weights::{write_safetensors, write_tensors};
use crate::{CompressedMatrix, Decoder, ModelError, Param};

/// Writes `config.json` (as it was read) and `model.safetensors` (f32; a tied head stays tied) of a model without adapter.
///
/// # Errors
/// The files cannot be written.
pub fn save_pretrained(decoder: &Decoder, dir: &Path) -> Result<(), ModelError> {
    write_config(&decoder.config().raw, dir)?;
    write_safetensors(&dir.join("model.safetensors"), decoder.params())
}

/// [`save_pretrained`] with the matrices of some linear layers, by their paths, in codes, and with the `quantization_config` that
/// says how.
///
/// # Errors
/// The files cannot be written.
pub fn save_compressed(
    decoder: &Decoder,
    matrices: &BTreeMap<String, CompressedMatrix>,
    quantization_config: Value,
    dir: &Path,
) -> Result<(), ModelError> {
    let mut config = decoder.config().raw.clone();
    config["quantization_config"] = quantization_config;
    write_config(&config, dir)?;
    let params = decoder.params();
    let tensors = params.into_iter().flat_map(|param| {
        let matrix = matrices.get(param.module());
        match matrix.filter(|_| param.name.ends_with(".weight")) {
            Some(matrix) => matrix.tensors(param.module()),
            None => vec![in_f32(param)],
        }
    });
    let tensors: Vec<FileTensor> = tensors.collect();
    write_tensors(&dir.join("model.safetensors"), &tensors)
}

fn in_f32(param: &Param) -> FileTensor {
    let values = param.file_values();
    FileTensor {
        name: param.name.clone(),
        dtype: Dtype::F32,
        shape: param.file_shape(),
        bytes: values.iter().flat_map(|v| v.to_le_bytes()).collect(),
    }
}

fn write_config(config: &Value, dir: &Path) -> Result<(), ModelError> {
    fs_err::create_dir_all(dir)?;
    let mut config = config.clone();
    for key in ["torch_dtype", "dtype"] {
        if let Some(value) = config.get_mut(key) {
            *value = "float32".into();
        }
    }
    fs_err::write(dir.join("config.json"), format!("{config:#}\n"))?;
    Ok(())
}
