//! llama.cpp's names for what a decoder consists of.
//!
//! Names: `TENSOR_NAMES` in gguf-py's `constants.py`. Which architecture a family becomes: `conversion/` in llama.cpp.

use slm_gguf::keys::architecture::{
    GEMMA, GEMMA2, GEMMA3, GPT2, GPTNEOX, GRANITE, LLAMA, OLMO2, PHI3, QWEN2, QWEN3, SMOLLM3,
};
use slm_model::DecoderConfig;

use crate::ExportError;

/// Each architecture with the `model_type` that a file of it is read as. Mistral's files say `llama`.
pub(crate) const ARCHITECTURES: [(&str, &str); 12] = [
    (LLAMA, "llama"),
    (QWEN2, "qwen2"),
    (QWEN3, "qwen3"),
    (GEMMA, "gemma"),
    (GEMMA2, "gemma2"),
    (GEMMA3, "gemma3_text"),
    (PHI3, "phi3"),
    (SMOLLM3, "smollm3"),
    (GRANITE, "granite"),
    (OLMO2, "olmo2"),
    (GPTNEOX, "gpt_neox"),
    (GPT2, "gpt2"),
];

/// What belongs to no layer, from HF's name to llama.cpp's.
const OUTER_PARTS: [(&str, &str); 9] = [
    ("model.embed_tokens", "token_embd"),
    ("model.norm", "output_norm"),
    ("lm_head", "output"),
    ("gpt_neox.embed_in", "token_embd"),
    ("gpt_neox.final_layer_norm", "output_norm"),
    ("embed_out", "output"),
    ("transformer.wte", "token_embd"),
    ("transformer.wpe", "position_embd"),
    ("transformer.ln_f", "output_norm"),
];

/// What stands before a layer's number.
const LAYERS: [&str; 3] = ["model.layers.", "gpt_neox.layers.", "transformer.h."];

/// The norms of a layer where they stand after a half too, or only there.
const OUT_NORMS: [(&str, &str); 3] = [
    ("post_attention_layernorm", "post_attention_norm"),
    ("pre_feedforward_layernorm", "ffn_norm"),
    ("post_feedforward_layernorm", "post_ffw_norm"),
];

/// The parts of a layer.
const LAYER_PARTS: [(&str, &str); 23] = [
    ("input_layernorm", "attn_norm"),
    ("self_attn.q_proj", "attn_q"),
    ("self_attn.k_proj", "attn_k"),
    ("self_attn.v_proj", "attn_v"),
    ("self_attn.qkv_proj", "attn_qkv"),
    ("self_attn.o_proj", "attn_output"),
    ("self_attn.q_norm", "attn_q_norm"),
    ("self_attn.k_norm", "attn_k_norm"),
    ("post_attention_layernorm", "ffn_norm"),
    ("mlp.gate_proj", "ffn_gate"),
    ("mlp.up_proj", "ffn_up"),
    ("mlp.gate_up_proj", "ffn_up"),
    ("mlp.down_proj", "ffn_down"),
    ("attention.query_key_value", "attn_qkv"),
    ("attention.dense", "attn_output"),
    ("mlp.dense_h_to_4h", "ffn_up"),
    ("mlp.dense_4h_to_h", "ffn_down"),
    ("ln_1", "attn_norm"),
    ("attn.c_attn", "attn_qkv"),
    ("attn.c_proj", "attn_output"),
    ("ln_2", "ffn_norm"),
    ("mlp.c_fc", "ffn_up"),
    ("mlp.c_proj", "ffn_down"),
];

pub(crate) fn not_in_gguf(what: &str, config: &DecoderConfig) -> ExportError {
    ExportError::NotInGguf {
        what: format!("{what} of a {} model", config.family.model_type),
    }
}

/// llama.cpp's name of a tensor, named as by HF, in an architecture; `None` where it has none.
///
/// `model.layers.3.self_attn.q_proj.weight` is `blk.3.attn_q.weight`.
pub(crate) fn tensor_name(architecture: &str, hf: &str) -> Option<String> {
    let (module, kind) = hf.rsplit_once('.')?;
    let find = |names: &[(&str, &'static str)], part: &str| {
        let found = names.iter().find(|(hf, _)| *hf == part);
        found.map(|(_, name)| *name)
    };
    if let Some(name) = find(&OUTER_PARTS, module) {
        return Some(format!("{name}.{kind}"));
    }
    let place = LAYERS.iter().find_map(|begin| module.strip_prefix(begin))?;
    let (layer, part) = place.split_once('.')?;
    let has_out_norms = [GEMMA2, GEMMA3, OLMO2].contains(&architecture);
    let out_norm = find(&OUT_NORMS, part).filter(|_| has_out_norms);
    let name = out_norm.or_else(|| find(&LAYER_PARTS, part))?;
    Some(format!("blk.{layer}.{name}.{kind}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_those_of_llama_cpp() {
        let cases = [
            (LLAMA, "model.embed_tokens.weight", "token_embd.weight"),
            (LLAMA, "lm_head.weight", "output.weight"),
            (LLAMA, "model.norm.weight", "output_norm.weight"),
            (
                LLAMA,
                "model.layers.12.self_attn.o_proj.bias",
                "blk.12.attn_output.bias",
            ),
            (
                QWEN3,
                "model.layers.0.self_attn.q_norm.weight",
                "blk.0.attn_q_norm.weight",
            ),
            (
                LLAMA,
                "model.layers.0.post_attention_layernorm.weight",
                "blk.0.ffn_norm.weight",
            ),
            (
                OLMO2,
                "model.layers.0.post_attention_layernorm.weight",
                "blk.0.post_attention_norm.weight",
            ),
            (
                GEMMA2,
                "model.layers.0.pre_feedforward_layernorm.weight",
                "blk.0.ffn_norm.weight",
            ),
            (
                PHI3,
                "model.layers.3.mlp.gate_up_proj.weight",
                "blk.3.ffn_up.weight",
            ),
            (
                GPTNEOX,
                "gpt_neox.layers.3.attention.query_key_value.bias",
                "blk.3.attn_qkv.bias",
            ),
            (GPTNEOX, "embed_out.weight", "output.weight"),
            (GPT2, "transformer.wpe.weight", "position_embd.weight"),
            (
                GPT2,
                "transformer.h.1.mlp.c_proj.weight",
                "blk.1.ffn_down.weight",
            ),
        ];
        for (architecture, hf, gguf) in cases {
            assert_eq!(tensor_name(architecture, hf).as_deref(), Some(gguf));
        }
        for unknown in ["model.layers.0.self_attn.rotary.weight", "norm", ""] {
            assert_eq!(tensor_name(LLAMA, unknown), None);
        }
    }

    #[test]
    fn every_family_has_an_architecture_that_is_read() {
        for (architecture, model_type) in ARCHITECTURES {
            let family = slm_model::Family::named(model_type).unwrap();
            assert_eq!(family.gguf, architecture);
        }
        assert_eq!(slm_model::Family::named("mistral").unwrap().gguf, LLAMA);
    }
}
