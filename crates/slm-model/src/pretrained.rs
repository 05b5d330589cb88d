//! A model folder in HF format.

use std::collections::BTreeMap;
use std::path::Path;

use safetensors::tensor::Dtype;
use serde_json::{Value, json};

use crate::compressed::FileTensor;
use crate::weights::{write_safetensors, write_tensors};
use crate::{CompressedMatrix, Decoder, ModelError, Param};

const F32_BYTES: usize = 4;

/// Writes `config.json` (as it was read) and the weights (f32; a tied head stays tied) of a model without adapter.
///
/// Weights go to `model.safetensors`, or, where they are more than `max_shard_bytes`, to several files of up to that size (a larger
/// tensor has one of its own) with `model.safetensors.index.json`, as transformers writes them. `metadata` goes into each of them.
///
/// # Errors
/// The files cannot be written.
pub fn save_pretrained(
    decoder: &Decoder,
    dir: &Path,
    max_shard_bytes: usize,
    metadata: &[(&str, &str)],
) -> Result<(), ModelError> {
    write_config(&decoder.config().raw, dir)?;
    let shards = shards(decoder.params(), max_shard_bytes);
    if let [all] = shards.as_slice() {
        let path = dir.join("model.safetensors");
        return write_safetensors(&path, all.iter().copied(), metadata);
    }
    let (mut map, n) = (serde_json::Map::new(), shards.len());
    for (i, shard) in shards.iter().enumerate() {
        let name = format!("model-{:05}-of-{n:05}.safetensors", i + 1);
        write_safetensors(&dir.join(&name), shard.iter().copied(), metadata)?;
        let entry = |param: &&Param| (param.name.clone(), Value::from(name.as_str()));
        map.extend(shard.iter().map(entry));
    }
    let total_size = decoder.n_params() * F32_BYTES;
    let index = json!({"metadata": {"total_size": total_size}, "weight_map": map});
    let path = dir.join("model.safetensors.index.json");
    Ok(fs_err::write(path, format!("{index:#}\n"))?)
}

/// The weights in their order, cut into files.
fn shards(params: Vec<&Param>, max_bytes: usize) -> Vec<Vec<&Param>> {
    let (mut shards, mut size) = (vec![Vec::new()], 0);
    for param in params {
        let bytes = param.len() * F32_BYTES;
        if size > 0 && size + bytes > max_bytes {
            shards.push(Vec::new());
            size = 0;
        }
        size += bytes;
        shards.last_mut().expect("it begins with one").push(param);
    }
    shards
}

/// [`save_pretrained`] in one file, with the matrices of some linear layers, by their paths, in codes, and with the
/// `quantization_config` that says how.
///
/// # Errors
/// The files cannot be written.
pub fn save_compressed(
    decoder: &Decoder,
    matrices: &BTreeMap<String, CompressedMatrix>,
    quantization_config: Value,
    dir: &Path,
    metadata: &[(&str, &str)],
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
    write_tensors(&dir.join("model.safetensors"), &tensors, metadata)
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
