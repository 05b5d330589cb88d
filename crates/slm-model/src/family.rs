//! What sets one model family apart: data, one file per family under `families/`.

use std::fmt;

use crate::keys::Keys;
use crate::{DecoderConfig, ModelError, families};

/// A model family: its names, and how its `config.json` is read.
pub struct Family {
    /// HF's `model_type`.
    pub model_type: &'static str,
    /// HF's class, as `config.json` names it.
    pub architecture: &'static str,
    /// llama.cpp's architecture.
    pub gguf: &'static str,
    pub(crate) names: Names,
    /// Width of a head where the config does not say it; `None` divides the width among the heads.
    pub(crate) head_dim: Option<usize>,
    /// Reads the shape of a model of this family.
    pub(crate) read: fn(&Keys) -> Result<DecoderConfig, ModelError>,
}

/// Where a family's files keep each part; names are without `.weight` and `.bias`.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Names {
    /// What a file of the bare model, without its head, leaves out: `model.`.
    pub(crate) prefix: &'static str,
    pub(crate) embed: &'static str,
    /// Learned positions.
    pub(crate) positions: Option<&'static str>,
    /// What stands before a layer's number.
    pub(crate) layers: &'static str,
    pub(crate) norm: &'static str,
    pub(crate) head: &'static str,
    pub(crate) attention_in_norm: Option<&'static str>,
    pub(crate) attention_out_norm: Option<&'static str>,
    pub(crate) qkv: QkvNames,
    pub(crate) o: &'static str,
    pub(crate) q_norm: &'static str,
    pub(crate) k_norm: &'static str,
    pub(crate) ff_in_norm: Option<&'static str>,
    pub(crate) ff_out_norm: Option<&'static str>,
    pub(crate) ff: FeedForwardNames,
    /// Linear layers lie `[in, out]` in the files, as `Conv1D` of GPT-2 keeps them.
    pub(crate) transposed: bool,
    /// Ends of tensors that nothing needs: tables that are computed from the config.
    pub(crate) ignored: &'static [&'static str],
}

/// The projections to queries, keys and values.
#[derive(Clone, Copy, Debug)]
pub(crate) enum QkvNames {
    Split([&'static str; 3]),
    /// One matrix: all rows of q, then of k, then of v.
    Joined(&'static str),
    /// One matrix: q, k and v of the first head, then of the second.
    ByHead(&'static str),
}

/// The feed-forward layers.
#[derive(Clone, Copy, Debug)]
pub(crate) enum FeedForwardNames {
    Gated {
        gate: &'static str,
        up: &'static str,
        down: &'static str,
    },
    /// One matrix: all rows of gate, then of up.
    GatedJoined {
        gate_up: &'static str,
        down: &'static str,
    },
    Plain {
        up: &'static str,
        down: &'static str,
    },
}

/// Llama's names, which most families share or change a little.
pub(crate) const LLAMA_NAMES: Names = Names {
    prefix: "model.",
    embed: "model.embed_tokens",
    positions: None,
    layers: "model.layers.",
    norm: "model.norm",
    head: "lm_head",
    attention_in_norm: Some("input_layernorm"),
    attention_out_norm: None,
    qkv: QkvNames::Split(["self_attn.q_proj", "self_attn.k_proj", "self_attn.v_proj"]),
    o: "self_attn.o_proj",
    q_norm: "self_attn.q_norm",
    k_norm: "self_attn.k_norm",
    ff_in_norm: Some("post_attention_layernorm"),
    ff_out_norm: None,
    ff: FeedForwardNames::Gated {
        gate: "mlp.gate_proj",
        up: "mlp.up_proj",
        down: "mlp.down_proj",
    },
    transposed: false,
    ignored: &["rotary_emb.inv_freq"],
};

impl Family {
    /// The family of a `model_type`.
    pub fn named(model_type: &str) -> Option<&'static Self> {
        families::ALL
            .into_iter()
            .find(|family| family.model_type == model_type)
    }

    /// What the files call the head.
    pub fn head(&self) -> &'static str {
        self.names.head
    }

    /// Every family's `model_type`, for messages.
    pub fn known() -> String {
        families::ALL.map(|family| family.model_type).join(", ")
    }
}

impl fmt::Debug for Family {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.model_type)
    }
}

impl PartialEq for Family {
    fn eq(&self, other: &Self) -> bool {
        self.model_type == other.model_type
    }
}
