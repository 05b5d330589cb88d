//! GPT-2: learned positions, layer norms, q, k and v joined, linear layers stored `[in, out]`.

use crate::config::{Activation, NormKind, read_activation};
use crate::family::{FeedForwardNames, LLAMA_NAMES, Names, QkvNames};
use crate::keys::Keys;
use crate::{DecoderConfig, Family, ModelError};

pub(crate) static FAMILY: Family = Family {
    model_type: "gpt2",
    architecture: "GPT2LMHeadModel",
    gguf: "gpt2",
    names: Names {
        prefix: "transformer.",
        embed: "transformer.wte",
        positions: Some("transformer.wpe"),
        layers: "transformer.h.",
        norm: "transformer.ln_f",
        attention_in_norm: Some("ln_1"),
        qkv: QkvNames::Joined("attn.c_attn"),
        o: "attn.c_proj",
        ff_in_norm: Some("ln_2"),
        ff: FeedForwardNames::Plain {
            up: "mlp.c_fc",
            down: "mlp.c_proj",
        },
        transposed: true,
        ignored: &["attn.bias", "attn.masked_bias"],
        ..LLAMA_NAMES
    },
    head_dim: None,
    read,
};

const OWN_KEYS: &[&str] = &[
    "vocab_size",
    "n_embd",
    "n_layer",
    "n_head",
    "n_positions",
    "n_ctx",
    "n_inner",
    "activation_function",
    "layer_norm_epsilon",
    "initializer_range",
    "scale_attn_weights",
    "scale_attn_by_inverse_layer_idx",
    "reorder_and_upcast_attn",
    "tie_word_embeddings",
    "add_cross_attention",
    "summary_activation",
    "summary_first_dropout",
    "summary_proj_to_labels",
    "summary_type",
    "summary_use_proj",
];

fn read(keys: &Keys) -> Result<DecoderConfig, ModelError> {
    keys.refuse_others(&[OWN_KEYS])?;
    keys.insist("scale_attn_weights", true)?;
    keys.insist("scale_attn_by_inverse_layer_idx", false)?;
    keys.insist("add_cross_attention", false)?;
    let hidden_size = keys.size("n_embd")?;
    let shape = [hidden_size, keys.size("n_layer")?, keys.size("n_head")?];
    let mut config = DecoderConfig::plain(keys, &FAMILY, shape);
    config.vocab_size = keys.size("vocab_size")?;
    config.intermediate_size = keys.size_or("n_inner", 4 * hidden_size)?;
    config.max_position_embeddings = keys.size_or("n_positions", 1024)?;
    config.norm = NormKind::Layer;
    config.norm_eps = keys.number_or("layer_norm_epsilon", 1e-5)?;
    config.activation = read_activation(keys, &["activation_function"], Activation::GeluTanh)?;
    (config.qkv_bias, config.o_bias, config.mlp_bias) = (true, true, true);
    config.tie_word_embeddings = keys.flag("tie_word_embeddings", true)?;
    Ok(config)
}
