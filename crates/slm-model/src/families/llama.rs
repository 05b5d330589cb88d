//! Llama 2 and 3, SmolLM2, TinyLlama: the shape that others depart from.

use crate::family::LLAMA_NAMES;
use crate::keys::Keys;
use crate::{DecoderConfig, Family, ModelError};

pub(crate) static FAMILY: Family = Family {
    model_type: "llama",
    architecture: "LlamaForCausalLM",
    gguf: "llama",
    names: LLAMA_NAMES,
    head_dim: None,
    read,
};

fn read(keys: &Keys) -> Result<DecoderConfig, ModelError> {
    keys.insist("rope_interleaved", false)?;
    DecoderConfig::llama_like(keys, &FAMILY, &["rope_interleaved"])
}
