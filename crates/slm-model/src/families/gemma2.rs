//! Gemma 2: norms before and after both halves, soft caps, and a sliding window in every other layer.

use super::gemma::gemma_like;
use crate::family::{LLAMA_NAMES, Names};
use crate::keys::Keys;
use crate::{DecoderConfig, Family, ModelError};

pub(crate) static FAMILY: Family = Family {
    model_type: "gemma2",
    architecture: "Gemma2ForCausalLM",
    gguf: "gemma2",
    names: FOUR_NORMS,
    head_dim: Some(256),
    read,
};

/// Llama's names with a norm after each half.
pub(super) const FOUR_NORMS: Names = Names {
    attention_out_norm: Some("post_attention_layernorm"),
    ff_in_norm: Some("pre_feedforward_layernorm"),
    ff_out_norm: Some("post_feedforward_layernorm"),
    ..LLAMA_NAMES
};

pub(super) const GEMMA2_KEYS: &[&str] = &[
    "hidden_activation",
    "use_bidirectional_attention",
    "query_pre_attn_scalar",
    "attn_logit_softcapping",
    "final_logit_softcapping",
    "sliding_window",
    "sliding_window_pattern",
    "_sliding_window_pattern",
    "layer_types",
    "rope_local_base_freq",
    "cache_implementation",
];

fn read(keys: &Keys) -> Result<DecoderConfig, ModelError> {
    let mut config = read_capped(keys, &FAMILY)?;
    config.slide(keys, |layer| layer % 2 == 0)?;
    Ok(config)
}

/// What Gemma 2 and 3 share: soft caps, and a scale of the scores of their own.
pub(super) fn read_capped(
    keys: &Keys,
    family: &'static Family,
) -> Result<DecoderConfig, ModelError> {
    let mut config = gemma_like(keys, family, GEMMA2_KEYS)?;
    config.attention_scale = keys.number_or("query_pre_attn_scalar", 256.0)?.powf(-0.5);
    config.attention_softcap = keys.number("attn_logit_softcapping")?;
    config.head.softcap = keys.number("final_logit_softcapping")?;
    Ok(config)
}
