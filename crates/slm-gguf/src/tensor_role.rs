//! What a tensor is for, as far as its name tells.

use crate::TensorSpec;

/// What the mixtures tell apart.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Role {
    /// The head.
    Output,
    /// The token embedding, which is also the head where there is no other.
    Embedding,
    /// Values of attention, alone or together with queries and keys.
    Value,
    AttentionOutput,
    /// The second half of a feed-forward block.
    Down,
    Other,
}

impl Role {
    pub(crate) fn of(name: &str) -> Self {
        let has = |part: &str| name.contains(part);
        match name {
            "output.weight" => Self::Output,
            "token_embd.weight" | "per_layer_token_embd.weight" => Self::Embedding,
            _ if ["attn_qkv.weight", "attn_kv_b.weight", "attn_v.weight"]
                .into_iter()
                .any(has) =>
            {
                Self::Value
            }
            _ if has("attn_output.weight") => Self::AttentionOutput,
            _ if has("ffn_down") => Self::Down,
            _ => Self::Other,
        }
    }
}

/// Parts of the names of matrices that are small, or matter too much: llama.cpp's `tensor_allows_quantization`, as far as
/// decoders have them.
const KEPT: [&str; 10] = [
    "_norm.weight",
    "ffn_gate_inp.weight",
    "position_embd.weight",
    "token_types.weight",
    "altup",
    "laurel",
    "per_layer_model_proj",
    "ssm_conv1d",
    "shortconv.conv.weight",
    "attn_rel_b.weight",
];

/// Whether a tensor is a matrix of weights, and none of those that keep their type.
pub fn may_be_quantized(tensor: &TensorSpec) -> bool {
    let is_matrix = tensor.dims.iter().skip(1).any(|&dim| dim > 1);
    let name = tensor.name.as_str();
    is_matrix && name.ends_with("weight") && !KEPT.into_iter().any(|part| name.contains(part))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::TensorType;

    #[test]
    fn only_matrices_of_weights_are_quantized() {
        let tensor = |name: &str, shape: &[usize]| {
            may_be_quantized(&TensorSpec::from_shape(name, shape, TensorType::F32))
        };
        assert!(tensor("blk.0.attn_q.weight", &[2, 32]));
        assert!(!tensor("blk.0.attn_q.weight", &[1, 32])); // ggml takes it for a vector
        assert!(!tensor("blk.0.attn_q.bias", &[2, 32]));
        assert!(!tensor("blk.0.attn_norm.weight", &[2, 32]));
        assert!(!tensor("position_embd.weight", &[2, 32]));
    }

    #[test]
    fn names_have_roles() {
        assert_eq!(Role::of("blk.3.attn_v.weight"), Role::Value);
        assert_eq!(Role::of("blk.3.attn_v.bias"), Role::Other);
        assert_eq!(Role::of("blk.3.ffn_down.weight"), Role::Down);
        assert_eq!(Role::of("output.weight"), Role::Output);
        assert_eq!(Role::of("blk.3.attn_output.weight"), Role::AttentionOutput);
    }
}
