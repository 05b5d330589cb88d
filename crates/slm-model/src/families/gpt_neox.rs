//! GPT-NeoX and Pythia: layer norms with biases, q, k and v joined head by head, and halves that read the same stream.

use crate::config::{Activation, NormKind, read_activation};
use crate::family::{FeedForwardNames, LLAMA_NAMES, Names, QkvNames};
use crate::keys::Keys;
use crate::rope_keys::{ROPE_KEYS, read_rope};
use crate::{DecoderConfig, Family, ModelError};

pub(crate) static FAMILY: Family = Family {
    model_type: "gpt_neox",
    architecture: "GPTNeoXForCausalLM",
    gguf: "gptneox",
    names: Names {
        prefix: "gpt_neox.",
        embed: "gpt_neox.embed_in",
        layers: "gpt_neox.layers.",
        norm: "gpt_neox.final_layer_norm",
        head: "embed_out",
        qkv: QkvNames::ByHead("attention.query_key_value"),
        o: "attention.dense",
        ff: FeedForwardNames::Plain {
            up: "mlp.dense_h_to_4h",
            down: "mlp.dense_4h_to_h",
        },
        ignored: &[
            "rotary_emb.inv_freq",
            "attention.bias",
            "attention.masked_bias",
        ],
        ..LLAMA_NAMES
    },
    head_dim: None,
    read,
};

const OWN_KEYS: &[&str] = &[
    "vocab_size",
    "hidden_size",
    "intermediate_size",
    "num_hidden_layers",
    "num_attention_heads",
    "max_position_embeddings",
    "layer_norm_eps",
    "hidden_act",
    "attention_bias",
    "use_parallel_residual",
    "rotary_pct",
    "rotary_emb_base",
    "tie_word_embeddings",
    "initializer_range",
];

fn read(keys: &Keys) -> Result<DecoderConfig, ModelError> {
    keys.refuse_others(&[OWN_KEYS, ROPE_KEYS])?;
    let hidden_size = keys.size("hidden_size")?;
    let heads = keys.size("num_attention_heads")?;
    let mut config = DecoderConfig::plain(
        keys,
        &FAMILY,
        [hidden_size, keys.size("num_hidden_layers")?, heads],
    );
    config.vocab_size = keys.size("vocab_size")?;
    config.intermediate_size = keys.size("intermediate_size")?;
    config.max_position_embeddings = keys.size_or("max_position_embeddings", 2048)?;
    config.norm = NormKind::Layer;
    config.norm_eps = keys.number_or("layer_norm_eps", 1e-5)?;
    config.activation = read_activation(keys, &["hidden_act"], Activation::Gelu)?;
    let biased = keys.flag("attention_bias", true)?;
    (config.qkv_bias, config.o_bias, config.mlp_bias) = (biased, biased, true);
    config.parallel_residual = keys.flag("use_parallel_residual", true)?;
    config.tie_word_embeddings = keys.flag("tie_word_embeddings", false)?;
    let theta = keys.number_or("rotary_emb_base", 10_000.0)?;
    let mut rope = read_rope(keys, config.head_dim, theta, None)?;
    if let Some(share) = keys.number("rotary_pct")? {
        rope.dim = (config.head_dim as f64 * share) as usize;
    }
    config.rotate(rope);
    Ok(config)
}
