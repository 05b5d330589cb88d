//! What llama.cpp computes in each architecture: a model that asks for more is refused.
//!
//! Source: `load_arch_hparams`, `load_arch_tensors` and the graphs in `src/models/` of llama.cpp. A key or tensor that the
//! architecture does not read would be dropped there without a word, and the file would answer differently.

use slm_gguf::keys::architecture::{
    GEMMA, GEMMA2, GEMMA3, GPT2, GPTNEOX, GRANITE, LLAMA, OLMO2, PHI3, QWEN2, SMOLLM3,
};
use slm_model::{DecoderConfig, RopeScaling};

use crate::ExportError;
use crate::architecture::not_in_gguf;
use crate::gguf_built_in::{NO_ROPE_INTERVAL, YARN_BETAS, built_in_activation, built_in_scale};

/// Refuses what llama.cpp has no key or tensor for in the model's architecture.
///
/// # Errors
/// [`ExportError::NotInGguf`] with what it is.
pub(crate) fn ensure_expressible(config: &DecoderConfig) -> Result<(), ExportError> {
    let extra = extra_scaling(config)
        .or_else(|| extra_layer(config))
        .or_else(|| extra_tensor(config))
        .or_else(|| extra_function(config));
    match extra {
        Some(extra) => Err(not_in_gguf(extra, config)),
        None => Ok(()),
    }
}

/// How a rotary encoding is stretched, and how much of a head is rotated.
fn extra_scaling(config: &DecoderConfig) -> Option<&'static str> {
    let architecture = config.family.gguf;
    let reads_factors = [LLAMA, GRANITE].contains(&architecture);
    let is_part = [PHI3, GPTNEOX].contains(&architecture);
    let rope = config.ropes.first()?;
    let of_windows = config.ropes.get(1);
    let extra = match rope.scaling {
        RopeScaling::None | RopeScaling::Linear { .. } => None,
        RopeScaling::Llama3 { .. } => (!reads_factors).then_some("the rope scaling `llama3`"),
        RopeScaling::LongRope { .. } => {
            (!reads_factors && architecture != PHI3).then_some("the rope scaling `longrope`")
        }
        RopeScaling::Yarn {
            truncate: false, ..
        } => Some("the rope scaling `yarn` with `truncate` off"),
        RopeScaling::Yarn {
            beta_fast,
            beta_slow,
            ..
        } if (beta_fast, beta_slow) != YARN_BETAS => {
            Some("the rope scaling `yarn` with `beta_fast` or `beta_slow`")
        }
        // Its layers with windows would be stretched too.
        RopeScaling::Yarn { .. } => (architecture == GEMMA3).then_some("the rope scaling `yarn`"),
        RopeScaling::Dynamic { .. } => Some("the rope scaling `dynamic`"),
    };
    if extra.is_some() {
        return extra;
    }
    if of_windows.is_some_and(|rope| rope.scaling != RopeScaling::None) {
        return Some("the rope scaling in the windows");
    }
    (!is_part && rope.dim != config.head_dim).then_some("the partial rotary encoding")
}

/// Windows, and layers without a rotary encoding.
fn extra_layer(config: &DecoderConfig) -> Option<&'static str> {
    let architecture = config.family.gguf;
    let has_windows = [GEMMA2, GEMMA3].contains(&architecture);
    if !has_windows && hides(config) {
        return Some("the sliding window");
    }
    if architecture == GEMMA2 && config.sliding_window.is_none() {
        return Some("a missing sliding window");
    }
    let is_rotated = |layer: usize| match architecture {
        GPT2 => None,
        SMOLLM3 => (!(layer + 1).is_multiple_of(NO_ROPE_INTERVAL)).then_some(0),
        GEMMA3 => Some(usize::from(config.layers[layer].windowed)),
        _ => Some(0),
    };
    let mut layers = config.layers.iter().enumerate();
    let is_other = layers.any(|(at, layer)| layer.rope != is_rotated(at));
    is_other.then_some("the choice of layers without a rotary encoding")
}

/// Whether a window is narrower than what the model was trained to see at once.
fn hides(config: &DecoderConfig) -> bool {
    let is_narrow = config
        .sliding_window
        .is_some_and(|n| n < config.max_position_embeddings);
    is_narrow && config.layers.iter().any(|layer| layer.windowed)
}

/// Biases and heads that the architecture has no tensor for, or needs and the model has not.
fn extra_tensor(config: &DecoderConfig) -> Option<&'static str> {
    let architecture = config.family.gguf;
    let takes_biases = [LLAMA, GRANITE].contains(&architecture);
    let needs_biases = [GPT2, GPTNEOX].contains(&architecture);
    let is_wide = config.head_dim * config.num_attention_heads != config.hidden_size;
    if needs_biases && !(config.qkv_bias && config.o_bias && config.mlp_bias) {
        return Some("the missing biases");
    }
    if needs_biases || takes_biases {
        // Nothing to refuse.
    } else if architecture == QWEN2 && config.o_bias {
        return Some("a bias on o_proj");
    } else if architecture != QWEN2 && (config.qkv_bias || config.o_bias) {
        return Some("biases in the attention");
    } else if config.mlp_bias {
        return Some("biases in the feed-forward layers");
    }
    if [QWEN2, PHI3, OLMO2, GPTNEOX, GPT2].contains(&architecture) && is_wide {
        return Some("`head_dim`, which is not the width divided among the heads,");
    }
    match config.tie_word_embeddings {
        true if [OLMO2, GPTNEOX].contains(&architecture) => Some("the tied head"),
        false if [GEMMA, GEMMA2].contains(&architecture) => Some("the head of its own"),
        _ => None,
    }
}

/// Functions and factors that the graph has built in.
fn extra_function(config: &DecoderConfig) -> Option<&'static str> {
    let architecture = config.family.gguf;
    let has_scale = architecture == GRANITE;
    let is_capped = architecture == GEMMA2;
    let scale = built_in_scale(architecture, config);
    if config.activation != built_in_activation(architecture) {
        Some("the activation")
    } else if !has_scale && (config.attention_scale / scale - 1.0).abs() > 1e-6 {
        Some("the scale of the scores")
    } else if config.attention_softcap.is_some() != is_capped {
        Some(match is_capped {
            true => "a missing soft cap on the scores",
            false => "the soft cap on the scores",
        })
    } else if is_capped && config.head.softcap.is_none() {
        Some("a missing soft cap on the logits")
    } else {
        None
    }
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use serde_json::{Value, json};

    use super::*;

    fn refusal(changes: Value) -> Option<String> {
        let mut raw = json!({
            "model_type": "llama", "vocab_size": 8, "hidden_size": 32, "intermediate_size": 12, "num_hidden_layers": 4,
            "num_attention_heads": 4, "max_position_embeddings": 64,
        });
        raw.as_object_mut()
            .unwrap()
            .extend(changes.as_object().unwrap().clone());
        let config = DecoderConfig::from_json(raw, Path::new("config.json")).unwrap();
        let refused = ensure_expressible(&config).err();
        refused.map(|error| error.to_string())
    }

    #[test]
    fn what_the_graph_does_not_compute_is_refused() {
        let yarn = json!({"rope_type": "yarn", "factor": 4.0, "beta_fast": 16.0});
        let linear = json!({"rope_type": "linear", "factor": 4.0});
        let llama3 = json!({"rope_type": "llama3", "factor": 8.0, "low_freq_factor": 1.0, "high_freq_factor": 4.0,
            "original_max_position_embeddings": 64});
        let gemma2 = json!({"attn_logit_softcapping": 5.0, "final_logit_softcapping": 5.0, "sliding_window": 8});
        let with = |base: &Value, more: Value| {
            let mut all = base.clone();
            all.as_object_mut()
                .unwrap()
                .extend(more.as_object().unwrap().clone());
            all
        };
        let gemma2 = with(
            &gemma2,
            json!({"model_type": "gemma2", "head_dim": 8, "query_pre_attn_scalar": 8}),
        );
        for (expected, changes) in [
            (
                "the sliding window of a mistral",
                json!({"model_type": "mistral", "sliding_window": 8}),
            ),
            (
                "the sliding window of a phi3",
                json!({"model_type": "phi3", "sliding_window": 8}),
            ),
            ("`beta_fast`", json!({"rope_scaling": yarn})),
            (
                "`dynamic`",
                json!({"rope_scaling": {"rope_type": "dynamic", "factor": 2.0}}),
            ),
            (
                "`llama3` of a qwen2",
                json!({"model_type": "qwen2", "rope_scaling": llama3}),
            ),
            ("partial rotary", json!({"partial_rotary_factor": 0.5})),
            (
                "without a rotary",
                json!({"model_type": "smollm3", "no_rope_layer_interval": 2}),
            ),
            (
                "biases in the attention",
                json!({"model_type": "gemma", "head_dim": 8, "attention_bias": true}),
            ),
            (
                "missing biases",
                json!({"model_type": "gpt_neox", "attention_bias": false}),
            ),
            (
                "tied head of a olmo2",
                json!({"model_type": "olmo2", "tie_word_embeddings": true}),
            ),
            (
                "head of its own",
                with(&gemma2, json!({"tie_word_embeddings": false})),
            ),
            (
                "scale of the scores",
                with(&gemma2, json!({"query_pre_attn_scalar": 12})),
            ),
            (
                "missing soft cap on the logits",
                with(&gemma2, json!({"final_logit_softcapping": null})),
            ),
            ("the activation", json!({"hidden_act": "gelu"})),
            ("`head_dim`", json!({"model_type": "qwen2", "head_dim": 16})),
        ] {
            let found = refusal(changes.clone());
            let is_told = found
                .as_deref()
                .is_some_and(|found| found.contains(expected));
            assert!(is_told, "{changes}: {found:?}");
        }
        for changes in [
            json!({"rope_scaling": linear}),
            json!({"model_type": "mistral", "sliding_window": 64}),
            json!({"model_type": "granite", "rope_scaling": llama3}),
            json!({"model_type": "smollm3"}),
            gemma2,
        ] {
            assert_eq!(refusal(changes.clone()), None, "{changes}");
        }
    }
}
