//! OLMo 2: norms after each half instead of before, and over the whole projections of q and k.

use slm_ops::RmsWeight;

use crate::config::{NormKind, QkNorm};
use crate::family::{LLAMA_NAMES, Names};
use crate::keys::Keys;
use crate::{DecoderConfig, Family, ModelError};

pub(crate) static FAMILY: Family = Family {
    model_type: "olmo2",
    architecture: "Olmo2ForCausalLM",
    gguf: "olmo2",
    names: Names {
        attention_in_norm: None,
        attention_out_norm: Some("post_attention_layernorm"),
        ff_in_norm: None,
        ff_out_norm: Some("post_feedforward_layernorm"),
        ..LLAMA_NAMES
    },
    head_dim: None,
    read,
};

fn read(keys: &Keys) -> Result<DecoderConfig, ModelError> {
    let mut config = DecoderConfig::llama_like(keys, &FAMILY, &[])?;
    config.norm = NormKind::Rms(RmsWeight::Exact);
    config.qk_norm = Some(QkNorm::Projection);
    Ok(config)
}
