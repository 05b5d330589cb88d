//! Gemma 3 (text): norms on the heads of q and k, and local layers with a rotary base of their own.

use super::gemma2::{FOUR_NORMS, read_capped};
use crate::config::QkNorm;
use crate::keys::Keys;
use crate::rope::{Rope, RopeScaling};
use crate::rope_keys::read_rope;
use crate::{DecoderConfig, Family, ModelError};

pub(crate) static FAMILY: Family = Family {
    model_type: "gemma3_text",
    architecture: "Gemma3ForCausalLM",
    gguf: "gemma3",
    names: FOUR_NORMS,
    head_dim: Some(256),
    read,
};

fn read(keys: &Keys) -> Result<DecoderConfig, ModelError> {
    let mut config = read_capped(keys, &FAMILY)?;
    config.qk_norm = Some(QkNorm::Head);
    let pattern = keys.size_or("sliding_window_pattern", 6)?;
    config.slide(keys, |layer| !(layer + 1).is_multiple_of(pattern))?;
    let dim = config.head_dim;
    let local = match keys.get("rope_parameters") {
        Some(_) => read_rope(keys, dim, 10_000.0, Some("sliding_attention"))?,
        None => Rope {
            theta: keys.number_or("rope_local_base_freq", 10_000.0)?,
            dim,
            scaling: RopeScaling::None,
        },
    };
    config.ropes = vec![
        read_rope(keys, dim, 1_000_000.0, Some("full_attention"))?,
        local,
    ];
    for layer in config.layers.iter_mut().filter(|layer| layer.windowed) {
        layer.rope = Some(1);
    }
    Ok(config)
}
