//! Qwen 3: norms on the heads of q and k, and heads of 128 whatever its width.

use super::qwen2::{WINDOW_KEYS, slide_above};
use crate::config::QkNorm;
use crate::family::LLAMA_NAMES;
use crate::keys::Keys;
use crate::{DecoderConfig, Family, ModelError};

pub(crate) static FAMILY: Family = Family {
    model_type: "qwen3",
    architecture: "Qwen3ForCausalLM",
    gguf: "qwen3",
    names: LLAMA_NAMES,
    head_dim: Some(128),
    read,
};

fn read(keys: &Keys) -> Result<DecoderConfig, ModelError> {
    let mut config = DecoderConfig::llama_like(keys, &FAMILY, WINDOW_KEYS)?;
    config.qk_norm = Some(QkNorm::Head);
    slide_above(&mut config, keys)?;
    Ok(config)
}
