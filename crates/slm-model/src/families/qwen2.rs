//! Qwen 2 and 2.5: biases on q, k and v.

use crate::family::LLAMA_NAMES;
use crate::keys::Keys;
use crate::{DecoderConfig, Family, ModelError};

pub(crate) static FAMILY: Family = Family {
    model_type: "qwen2",
    architecture: "Qwen2ForCausalLM",
    gguf: "qwen2",
    names: LLAMA_NAMES,
    head_dim: None,
    read,
};

fn read(keys: &Keys) -> Result<DecoderConfig, ModelError> {
    let mut config = DecoderConfig::llama_like(keys, &FAMILY, WINDOW_KEYS)?;
    config.qkv_bias = true;
    slide_above(&mut config, keys)?;
    Ok(config)
}

/// How Qwen spells its sliding windows.
pub(super) const WINDOW_KEYS: &[&str] = &[
    "sliding_window",
    "use_sliding_window",
    "max_window_layers",
    "layer_types",
];

/// Qwen's windows are off unless `use_sliding_window` says so, and then begin at layer `max_window_layers`.
pub(super) fn slide_above(config: &mut DecoderConfig, keys: &Keys) -> Result<(), ModelError> {
    if !keys.flag("use_sliding_window", false)? {
        return Ok(());
    }
    let first = match keys.get("max_window_layers") {
        Some(value) => value
            .as_u64()
            .ok_or_else(|| keys.wrong("max_window_layers", value, "a whole number"))?,
        None => 28,
    };
    config.slide(keys, |layer| layer as u64 >= first)
}
