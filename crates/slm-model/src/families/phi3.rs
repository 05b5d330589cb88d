//! Phi-3 and Phi-4-mini: q, k and v in one matrix, gate and up in another.

use crate::family::{FeedForwardNames, LLAMA_NAMES, Names, QkvNames};
use crate::keys::Keys;
use crate::{DecoderConfig, Family, ModelError};

pub(crate) static FAMILY: Family = Family {
    model_type: "phi3",
    architecture: "Phi3ForCausalLM",
    gguf: "phi3",
    names: Names {
        qkv: QkvNames::Joined("self_attn.qkv_proj"),
        ff: FeedForwardNames::GatedJoined {
            gate_up: "mlp.gate_up_proj",
            down: "mlp.down_proj",
        },
        ..LLAMA_NAMES
    },
    head_dim: None,
    read,
};

fn read(keys: &Keys) -> Result<DecoderConfig, ModelError> {
    // `auto_map` names Python files of the checkpoint; the class in transformers computes the same.
    let mut config = DecoderConfig::llama_like(keys, &FAMILY, &["sliding_window", "auto_map"])?;
    config.slide(keys, |_| true)?;
    Ok(config)
}
