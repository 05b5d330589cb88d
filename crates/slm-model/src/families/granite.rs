//! Granite: multipliers on embeddings, scores, residuals and logits.

use crate::family::LLAMA_NAMES;
use crate::keys::Keys;
use crate::{DecoderConfig, Family, ModelError};

pub(crate) static FAMILY: Family = Family {
    model_type: "granite",
    architecture: "GraniteForCausalLM",
    gguf: "granite",
    names: LLAMA_NAMES,
    head_dim: None,
    read,
};

const OWN_KEYS: &[&str] = &[
    "embedding_multiplier",
    "attention_multiplier",
    "residual_multiplier",
    "logits_scaling",
];

fn read(keys: &Keys) -> Result<DecoderConfig, ModelError> {
    let mut config = DecoderConfig::llama_like(keys, &FAMILY, OWN_KEYS)?;
    config.embedding_scale = keys.number_or("embedding_multiplier", 1.0)?;
    config.attention_scale = keys.number_or("attention_multiplier", 1.0)?;
    config.residual_scale = keys.number_or("residual_multiplier", 1.0)?;
    config.head.scale = 1.0 / keys.number_or("logits_scaling", 1.0)?;
    Ok(config)
}
