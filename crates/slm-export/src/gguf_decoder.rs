//! A GGUF file read back into a decoder.

use std::path::Path;

use burn::tensor::Device;
use serde_json::json;
use slm_gguf::{GgufError, Metadata, Reader, keys};
use slm_model::{Decoder, DecoderConfig};

use crate::ExportError;
use crate::architecture::{is_paired, tensor_name, to_halves};
use crate::gguf_file::ROPE_FREQS;
use crate::gguf_metadata::are_rope_factors;

/// Reads the GGUF file at `path` as a decoder with f32 weights.
///
/// Everything comes from the file: dimensions, rotary base and epsilon from its metadata, whether the head is tied and
/// where biases are from its tensors. `trained` says what the file has to be; it serves one purpose besides, to say in
/// `config.json`'s terms what the factors in `rope_freqs.weight` are, after they were found equal.
///
/// # Errors
/// [`ExportError::Gguf`] and [`ExportError::Model`] where the file is not whole, [`ExportError::AnotherModel`] where it
/// has another architecture or shape, other rotary factors, or tensors that nothing reads.
pub fn read_gguf(
    path: &Path,
    trained: &DecoderConfig,
    device: &Device,
) -> Result<Decoder, ExportError> {
    let reader = Reader::open(path)?;
    let config = read_config(&reader, path, trained)?;
    let architecture = config.family.gguf;
    let head_dim = config.head_dim;
    let mut n_read = n_read_before(&reader);
    let decoder = Decoder::from_tensors(
        config,
        |hf, shape| {
            n_read += 1;
            let name = tensor_of(&reader, path, hf, shape)?;
            let values = reader.dequantize(&name)?;
            let columns = if shape.len() == 1 { 1 } else { shape[1] };
            Ok::<_, ExportError>(match is_paired(architecture, hf) {
                true => to_halves(&values, head_dim, columns),
                false => values,
            })
        },
        device,
    )?;
    ensure_all_read(&reader, path, n_read)?;
    Ok(decoder)
}

/// The file's name of the tensor that HF calls `hf`, after a look at its shape.
pub(crate) fn tensor_of(
    reader: &Reader,
    path: &Path,
    hf: &str,
    shape: &[usize],
) -> Result<String, ExportError> {
    let another = |what: String| ExportError::AnotherModel {
        path: path.into(),
        what,
    };
    let name = tensor_name(hf).ok_or_else(|| another(format!("no name for `{hf}`")))?;
    let needed: Vec<u64> = shape.iter().map(|&dim| dim as u64).collect();
    let found = reader.tensor(&name)?.shape();
    if found != needed {
        return Err(another(format!(
            "`{name}` has the shape {found:?}, needed {needed:?}"
        )));
    }
    Ok(name)
}

/// Tensors that are read with the config.
pub(crate) fn n_read_before(reader: &Reader) -> usize {
    usize::from(has(reader, ROPE_FREQS))
}

/// Refuses a file with tensors that nothing read.
pub(crate) fn ensure_all_read(
    reader: &Reader,
    path: &Path,
    n_read: usize,
) -> Result<(), ExportError> {
    let held = reader.tensors().len();
    if n_read == held {
        return Ok(());
    }
    Err(ExportError::AnotherModel {
        path: path.into(),
        what: format!("it holds {held} tensors, its metadata gives {n_read} of them a place"),
    })
}

fn has(reader: &Reader, name: &str) -> bool {
    reader.tensor(name).is_ok()
}

/// The config that the file's own metadata and tensors describe.
pub(crate) fn read_config(
    reader: &Reader,
    path: &Path,
    trained: &DecoderConfig,
) -> Result<DecoderConfig, ExportError> {
    let metadata = reader.metadata();
    let another = |what: String| ExportError::AnotherModel {
        path: path.into(),
        what,
    };
    let found = metadata.require(&keys::general::ARCHITECTURE)?;
    let architecture = trained.family.gguf;
    if found != architecture {
        return Err(another(format!(
            "its architecture is `{found}`, needed `{architecture}`"
        )));
    }
    let raw = config_json(reader, metadata, architecture)?;
    let mut config = DecoderConfig::from_json(raw, path)?;
    if has(reader, ROPE_FREQS) {
        if !are_rope_factors(trained, &reader.dequantize(ROPE_FREQS)?) {
            return Err(another(format!(
                "`{ROPE_FREQS}` holds other factors than those it was trained with"
            )));
        }
        let theta = config.ropes.first().map(|rope| rope.theta);
        config.ropes.clone_from(&trained.ropes);
        for (rope, theta) in config.ropes.iter_mut().zip(theta) {
            rope.theta = theta;
        }
    }
    let of = |c: &DecoderConfig| (c.vocab_size, c.hidden_size, c.num_hidden_layers);
    if of(&config) != of(trained) {
        return Err(another(format!(
            "vocabulary, width and layers are {:?}, needed {:?}",
            of(&config),
            of(trained)
        )));
    }
    Ok(config)
}

/// The metadata in the terms of `config.json`.
fn config_json(
    reader: &Reader,
    metadata: &Metadata,
    architecture: &str,
) -> Result<serde_json::Value, GgufError> {
    use keys::llm;
    let count = |key: &keys::ArchitectureKey<u32>| metadata.require(&key.of(architecture));
    let embedding = reader.tensor("token_embd.weight")?.shape();
    let hidden_size = count(&llm::EMBEDDING_LENGTH)?;
    let heads = count(&llm::HEAD_COUNT)?;
    let head_dim = metadata.get(&llm::KEY_LENGTH.of(architecture))?;
    let stretch = match metadata.get(&llm::ROPE_SCALING_TYPE.of(architecture))? {
        None => serde_json::Value::Null,
        Some(kind) => json!({
            "rope_type": kind,
            "factor": metadata.require(&llm::ROPE_SCALING_FACTOR.of(architecture))?,
        }),
    };
    let attention_bias = if architecture == keys::architecture::QWEN2 {
        has(reader, "blk.0.attn_output.bias")
    } else {
        has(reader, "blk.0.attn_q.bias")
    };
    Ok(json!({
        "model_type": architecture,
        "vocab_size": embedding.first(),
        "hidden_size": hidden_size,
        "intermediate_size": count(&llm::FEED_FORWARD_LENGTH)?,
        "num_hidden_layers": count(&llm::BLOCK_COUNT)?,
        "num_attention_heads": heads,
        "num_key_value_heads": count(&llm::HEAD_COUNT_KV)?,
        "head_dim": head_dim.unwrap_or(hidden_size / heads.max(1)),
        "max_position_embeddings": count(&llm::CONTEXT_LENGTH)?,
        "rms_norm_eps": metadata.require(&llm::LAYER_NORM_RMS_EPSILON.of(architecture))?,
        "rope_theta": metadata.require(&llm::ROPE_FREQ_BASE.of(architecture))?,
        "rope_scaling": stretch,
        "attention_bias": attention_bias,
        "mlp_bias": has(reader, "blk.0.ffn_gate.bias"),
        "tie_word_embeddings": !has(reader, "output.weight"),
        "hidden_act": "silu",
    }))
}
