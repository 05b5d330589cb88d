//! Mistral: Llama with a sliding window in every layer, where one is set.

use crate::family::LLAMA_NAMES;
use crate::keys::Keys;
use crate::{DecoderConfig, Family, ModelError};

pub(crate) static FAMILY: Family = Family {
    model_type: "mistral",
    architecture: "MistralForCausalLM",
    gguf: "llama",
    names: LLAMA_NAMES,
    head_dim: None,
    read,
};

fn read(keys: &Keys) -> Result<DecoderConfig, ModelError> {
    let mut config = DecoderConfig::llama_like(keys, &FAMILY, &["sliding_window"])?;
    config.slide(keys, |_| true)?;
    Ok(config)
}
