//! Gemma 1: norms that store their distance from one, GELU, and embeddings scaled by √hidden.

use slm_ops::RmsWeight;

use crate::config::{Activation, NormKind};
use crate::family::LLAMA_NAMES;
use crate::keys::Keys;
use crate::{DecoderConfig, Family, ModelError};

pub(crate) static FAMILY: Family = Family {
    model_type: "gemma",
    architecture: "GemmaForCausalLM",
    gguf: "gemma",
    names: LLAMA_NAMES,
    head_dim: Some(256),
    read,
};

fn read(keys: &Keys) -> Result<DecoderConfig, ModelError> {
    let mut config = gemma_like(keys, &FAMILY, GEMMA_KEYS)?;
    // Early files say "gelu" and mean the tanh form, as transformers reads them.
    if keys.get("hidden_activation").is_none() && keys.text("hidden_act")? == Some("gelu") {
        config.activation = Activation::GeluTanh;
    }
    Ok(config)
}

pub(super) const GEMMA_KEYS: &[&str] = &["hidden_activation", "use_bidirectional_attention"];

/// What all generations of Gemma share.
pub(super) fn gemma_like(
    keys: &Keys,
    family: &'static Family,
    own: &[&str],
) -> Result<DecoderConfig, ModelError> {
    keys.insist("use_bidirectional_attention", false)?;
    let mut config = DecoderConfig::llama_like(keys, family, own)?;
    if keys.get("tie_word_embeddings").is_none() {
        config.tie_word_embeddings = true;
    }
    if keys.get("hidden_activation").is_none() && keys.get("hidden_act").is_none() {
        config.activation = Activation::GeluTanh;
    }
    config.norm = NormKind::Rms(RmsWeight::ExactPlusOne);
    config.embedding_scale = (config.hidden_size as f64).sqrt();
    Ok(config)
}
