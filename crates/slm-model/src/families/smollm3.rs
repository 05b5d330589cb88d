//! SmolLM3: every fourth layer has no rotary encoding.

use crate::family::LLAMA_NAMES;
use crate::keys::Keys;
use crate::{DecoderConfig, Family, ModelError};

pub(crate) static FAMILY: Family = Family {
    model_type: "smollm3",
    architecture: "SmolLM3ForCausalLM",
    gguf: "smollm3",
    names: LLAMA_NAMES,
    head_dim: None,
    read,
};

const OWN_KEYS: &[&str] = &[
    "no_rope_layers",
    "no_rope_layer_interval",
    "sliding_window",
    "use_sliding_window",
    "max_window_layers",
    "layer_types",
];

fn read(keys: &Keys) -> Result<DecoderConfig, ModelError> {
    let mut config = DecoderConfig::llama_like(keys, &FAMILY, OWN_KEYS)?;
    let interval = keys.size_or("no_rope_layer_interval", 4)?;
    // Despite its name, `no_rope_layers` holds 1 where a layer *has* the encoding.
    let written = match keys.get("no_rope_layers") {
        Some(_) => Some(keys.numbers("no_rope_layers", config.num_hidden_layers)?),
        None => None,
    };
    for (i, layer) in config.layers.iter_mut().enumerate() {
        let has_rope = match &written {
            Some(list) => list[i] != 0.0,
            None => !(i + 1).is_multiple_of(interval),
        };
        layer.rope = has_rope.then_some(0);
    }
    if keys.flag("use_sliding_window", false)? {
        let has_rope: Vec<bool> = config.layers.iter().map(|l| l.rope.is_some()).collect();
        config.slide(keys, |layer| !has_rope[layer])?;
    }
    if keys.get("tie_word_embeddings").is_none() {
        config.tie_word_embeddings = true;
    }
    Ok(config)
}
