//! llama.cpp's names for what a decoder consists of, and its order of query and key rows.
//!
//! Names: `TENSOR_NAMES` in gguf-py's `constants.py`. Which architecture a family becomes: `conversion/` in llama.cpp.

use slm_gguf::keys::architecture;
use slm_model::{DecoderConfig, RopeScaling};

use crate::ExportError;

/// The parts of a layer, from HF's name to llama.cpp's.
const LAYER_PARTS: [(&str, &str); 11] = [
    ("input_layernorm", "attn_norm"),
    ("self_attn.q_proj", "attn_q"),
    ("self_attn.k_proj", "attn_k"),
    ("self_attn.v_proj", "attn_v"),
    ("self_attn.o_proj", "attn_output"),
    ("self_attn.q_norm", "attn_q_norm"),
    ("self_attn.k_norm", "attn_k_norm"),
    ("post_attention_layernorm", "ffn_norm"),
    ("mlp.gate_proj", "ffn_gate"),
    ("mlp.up_proj", "ffn_up"),
    ("mlp.down_proj", "ffn_down"),
];

/// Refuses what the file cannot say, or llama.cpp's architecture has no tensor for.
///
/// # Errors
/// A family whose tensors are not named here; a sliding window; a rope scaling that is neither linear nor llama3; biases in
/// a Qwen model where Qwen's own have none.
pub(crate) fn ensure_expressible(config: &DecoderConfig) -> Result<(), ExportError> {
    let qwen = match config.family.gguf {
        architecture::LLAMA => false,
        architecture::QWEN2 | architecture::QWEN3 => true,
        _ => return Err(not_in_gguf("the tensors", config)),
    };
    let scalings = config.ropes.iter().map(|rope| &rope.scaling);
    let stretched = scalings.into_iter().any(|scaling| {
        use RopeScaling::{Linear, Llama3, None};
        !matches!(scaling, None | Linear { .. } | Llama3 { .. })
    });
    let extra = if config.layers.iter().any(|layer| layer.windowed) {
        "the sliding window"
    } else if stretched {
        "the rope scaling"
    } else if config.family.gguf == architecture::QWEN2 && config.o_bias {
        "a bias on o_proj"
    } else if config.family.gguf == architecture::QWEN3 && config.qkv_bias {
        "biases in the attention"
    } else if qwen && config.mlp_bias {
        "biases in the feed-forward layers"
    } else {
        return Ok(());
    };
    Err(not_in_gguf(extra, config))
}

pub(crate) fn not_in_gguf(what: &str, config: &DecoderConfig) -> ExportError {
    ExportError::NotInGguf {
        what: format!("{what} of a {} model", config.family.model_type),
    }
}

/// llama.cpp's name of a tensor; `None` where it has none.
///
/// `model.layers.3.self_attn.q_proj.weight` is `blk.3.attn_q.weight`.
pub(crate) fn tensor_name(hf: &str) -> Option<String> {
    let outer = match hf {
        "model.embed_tokens.weight" => Some("token_embd.weight"),
        "model.norm.weight" => Some("output_norm.weight"),
        "lm_head.weight" => Some("output.weight"),
        _ => None,
    };
    if let Some(name) = outer {
        return Some(name.to_string());
    }
    let (layer, rest) = hf.strip_prefix("model.layers.")?.split_once('.')?;
    let (part, kind) = rest.rsplit_once('.')?;
    let (_, name) = LAYER_PARTS.iter().find(|(hf, _)| *hf == part)?;
    Some(format!("blk.{layer}.{name}.{kind}"))
}

/// Whether llama.cpp wants the rows of this tensor, named as by HF, in pairs.
///
/// Its `llama` architecture rotates neighbouring channels of a head, HF rotates the two halves; the Qwen architectures
/// rotate halves too. Biases are one column of rows.
pub(crate) fn is_paired(architecture: &str, hf: &str) -> bool {
    let rows_of_heads = [
        "q_proj.weight",
        "q_proj.bias",
        "k_proj.weight",
        "k_proj.bias",
    ];
    architecture == architecture::LLAMA && rows_of_heads.iter().any(|end| hf.ends_with(end))
}

/// Rows of heads from HF's order to ggml's: row `j` of the first half and row `j` of the second become neighbours.
///
/// `values` is `[n_heads · head_dim, columns]`, row-major.
pub(crate) fn to_pairs(values: &[f32], head_dim: usize, columns: usize) -> Vec<f32> {
    let mut paired = vec![0.0; values.len()];
    for (row, from) in values.chunks_exact(columns).enumerate() {
        let to = paired_row(row, head_dim) * columns;
        paired[to..to + columns].copy_from_slice(from);
    }
    paired
}

/// The reverse of [`to_pairs`].
pub(crate) fn to_halves(values: &[f32], head_dim: usize, columns: usize) -> Vec<f32> {
    let rows = values.len() / columns;
    let mut halves = Vec::with_capacity(values.len());
    for row in 0..rows {
        let from = paired_row(row, head_dim) * columns;
        halves.extend_from_slice(&values[from..from + columns]);
    }
    halves
}

/// Where a row of HF's order stands in ggml's.
pub(crate) fn paired_row(row: usize, head_dim: usize) -> usize {
    let (head, channel) = (row / head_dim, row % head_dim);
    let half = head_dim / 2;
    head * head_dim + 2 * (channel % half) + channel / half
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_those_of_llama_cpp() {
        let cases = [
            ("model.embed_tokens.weight", "token_embd.weight"),
            ("lm_head.weight", "output.weight"),
            ("model.norm.weight", "output_norm.weight"),
            (
                "model.layers.12.self_attn.o_proj.bias",
                "blk.12.attn_output.bias",
            ),
            (
                "model.layers.0.self_attn.q_norm.weight",
                "blk.0.attn_q_norm.weight",
            ),
            (
                "model.layers.0.post_attention_layernorm.weight",
                "blk.0.ffn_norm.weight",
            ),
            (
                "model.layers.3.mlp.down_proj.weight",
                "blk.3.ffn_down.weight",
            ),
        ];
        for (hf, gguf) in cases {
            assert_eq!(tensor_name(hf).as_deref(), Some(gguf));
        }
        assert_eq!(tensor_name("model.layers.0.self_attn.rotary.weight"), None);
    }

    #[test]
    fn two_heads_of_four_rows_are_paired_one_by_one() {
        // Rows of two columns; row r is [r, r + 0.5]. The order is that of `LlamaModel.permute` with two heads.
        let rows: Vec<f32> = (0..8).flat_map(|r| [r as f32, r as f32 + 0.5]).collect();
        let first: Vec<f32> = to_pairs(&rows, 4, 2).into_iter().step_by(2).collect();
        assert_eq!(first, [0.0, 2.0, 1.0, 3.0, 4.0, 6.0, 5.0, 7.0]);
    }

    #[test]
    fn halves_undo_pairs() {
        let values: Vec<f32> = (0..3 * 12 * 5).map(|v| v as f32).collect();
        let paired = to_pairs(&values, 12, 5);
        assert_ne!(paired, values);
        assert_eq!(to_halves(&paired, 12, 5), values);
    }

    #[test]
    fn only_the_llama_architecture_is_paired() {
        assert!(is_paired("llama", "model.layers.0.self_attn.k_proj.bias"));
        assert!(!is_paired(
            "llama",
            "model.layers.0.self_attn.v_proj.weight"
        ));
        assert!(!is_paired(
            "llama",
            "model.layers.0.self_attn.q_norm.weight"
        ));
        assert!(!is_paired(
            "qwen2",
            "model.layers.0.self_attn.q_proj.weight"
        ));
    }
}
