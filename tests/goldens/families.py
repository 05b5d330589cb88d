"""The families as data: which class of transformers, which configuration, what is asked of it.

Every model has the same small size, so that its files can be committed. A trap is a configuration that a reader would
build if it overlooked one key; make.py proves that the logits of the trap differ by far more than any tolerance.
"""

from dataclasses import dataclass, field

SIZE = dict(
    vocab_size=80,
    hidden_size=32,
    intermediate_size=48,
    num_hidden_layers=2,
    num_attention_heads=4,
    num_key_value_heads=2,
    max_position_embeddings=64,
    # Wide, so that attention is far from uniform and a wrong mask or rotation shows in the logits.
    initializer_range=0.2,
    bos_token_id=1,
    eos_token_id=2,
    pad_token_id=0,
)

SPLIT = ("q_proj", "k_proj", "v_proj", "o_proj", "gate_proj", "up_proj", "down_proj")
FUSED = ("qkv_proj", "o_proj", "gate_up_proj", "down_proj")
NEOX = ("query_key_value", "dense", "dense_h_to_4h", "dense_4h_to_h")
GPT2 = ("c_attn", "c_proj", "c_fc")


@dataclass(frozen=True)
class Family:
    """One model folder.

    `model` is the prefix of the configuration and model classes; `rope` the `rope_parameters` of transformers 5;
    `linear` the names of the adapted layers; `old` the keys of config.v4.json that are not those of config.json (None:
    absent); `long` the length of one more sequence; `traps` overrides of config.json that must change the logits.
    """

    model: str
    config: dict
    rope: dict | None
    linear: tuple = SPLIT
    adapters: tuple = ()
    old: dict = field(default_factory=dict)
    long: int = 0
    traps: dict = field(default_factory=dict)
    full: bool = False
    bf16: bool = False


def rope(theta=10000.0, kind="default", **keys):
    return dict(rope_theta=theta, rope_type=kind, **keys)


def llama(rope_parameters, **keys):
    """A Llama of one layer that is there for its rotary encoding."""
    config = dict(tie_word_embeddings=True, rms_norm_eps=1e-5, num_hidden_layers=1, **keys.pop("config", {}))
    trap = dict(default=dict(rope_parameters=rope(rope_parameters["rope_theta"])))
    return Family("Llama", config, rope_parameters, traps=trap, **keys)


YARN = dict(factor=4.0, original_max_position_embeddings=64)
LONGROPE = dict(
    short_factor=[1.0, 1.1, 1.3, 1.6], long_factor=[1.0, 2.0, 3.5, 4.0], original_max_position_embeddings=12
)
LOCAL_AND_GLOBAL = dict(
    sliding_attention=rope(), full_attention=rope(1000000.0, "linear", factor=8.0)
)

FAMILIES = {
    "gpt_neox": Family(
        "GPTNeoX",
        dict(num_attention_heads=2, use_parallel_residual=True, attention_bias=True, tie_word_embeddings=False),
        rope(partial_rotary_factor=0.25),
        linear=NEOX,
        adapters=("lora",),
        traps=dict(
            serial=dict(use_parallel_residual=False),
            whole_heads=dict(rope_parameters=rope(partial_rotary_factor=1.0)),
            relu=dict(hidden_act="relu"),
        ),
    ),
    "gpt_neox_serial": Family(
        "GPTNeoX",
        dict(
            num_hidden_layers=1, num_attention_heads=2, use_parallel_residual=False, attention_bias=False,
            tie_word_embeddings=False,
        ),
        rope(partial_rotary_factor=1.0),
        linear=NEOX,
        traps=dict(parallel=dict(use_parallel_residual=True)),
    ),
    "gpt2": Family(
        "GPT2",
        dict(n_inner=None, activation_function="gelu_new", tie_word_embeddings=True),
        None,
        linear=GPT2,
        adapters=("lora",),
        full=True,
        traps=dict(unscaled=dict(scale_attn_weights=False), by_layer=dict(scale_attn_by_inverse_layer_idx=True)),
    ),
    "gemma": Family(
        "Gemma",
        dict(head_dim=16, num_attention_heads=2, num_key_value_heads=1),
        rope(),
        adapters=("lora",),
        # What Google published: the name of the other gelu, which every reader takes as the tanh one.
        old=dict(hidden_act="gelu"),
        traps=dict(relu=dict(hidden_act="relu")),
    ),
    "phi3_longrope": Family(
        "Phi3",
        dict(tie_word_embeddings=False, max_position_embeddings=48, original_max_position_embeddings=12),
        rope(kind="longrope", partial_rotary_factor=1.0, **LONGROPE),
        linear=FUSED,
        adapters=("lora",),
        long=20,
        traps=dict(
            default=dict(rope_parameters=rope(partial_rotary_factor=1.0)),
            always_short=dict(
                rope_parameters=rope(
                    kind="longrope", partial_rotary_factor=1.0, **{**LONGROPE, "long_factor": LONGROPE["short_factor"]}
                )
            ),
        ),
    ),
    "llama_dynamic": llama(
        rope(kind="dynamic", factor=2.0), config=dict(max_position_embeddings=16), long=24, old=dict(rope="type")
    ),
    "llama": Family(
        "Llama",
        dict(tie_word_embeddings=True, rms_norm_eps=1e-5),
        rope(),
        adapters=(
            "lora", "rslora", "dora", "pattern", "layers", "save_lm_head", "save_embed_tokens", "save_tied", "pissa",
        ),
        full=True,
        bf16=True,
        traps=dict(theta=dict(rope_parameters=rope(100.0)), eps=dict(rms_norm_eps=0.1)),
    ),
    "llama_linear": llama(rope(kind="linear", factor=4.0), old=dict(rope="type")),
    "llama_yarn": llama(rope(kind="yarn", **YARN), config=dict(max_position_embeddings=256)),
    "llama_yarn_mscale": llama(
        rope(1000.0, "yarn", mscale=1.0, mscale_all_dim=0.4, beta_fast=4.0, beta_slow=0.5, truncate=False, **YARN),
        config=dict(max_position_embeddings=256),
    ),
    "llama_yarn_factor": llama(
        rope(kind="yarn", attention_factor=1.3, **YARN), config=dict(max_position_embeddings=256)
    ),
    # Of the wavelengths 6.3, 19.9, 62.8 and 198.7 one is kept, two are blended and one is divided by the factor.
    "llama_llama3": llama(
        rope(
            100.0, "llama3", factor=8.0, low_freq_factor=1.0, high_freq_factor=4.0, original_max_position_embeddings=64
        ),
        config=dict(max_position_embeddings=512),
    ),
    "llama_bias": Family(
        "Llama",
        dict(head_dim=12, num_key_value_heads=1, attention_bias=True, mlp_bias=True, tie_word_embeddings=False),
        rope(),
        adapters=("lora",),
    ),
    "mistral": Family(
        "Mistral",
        dict(tie_word_embeddings=False, sliding_window=3),
        rope(),
        adapters=("lora",),
        traps=dict(whole=dict(sliding_window=None), two=dict(sliding_window=2)),
    ),
    "qwen2": Family(
        "Qwen2",
        dict(tie_word_embeddings=True, max_window_layers=2),
        rope(1000000.0),
        adapters=("lora", "dora"),
        # A window that is there and switched off, as published checkpoints have it.
        old=dict(sliding_window=3, use_sliding_window=False, layer_types=None),
    ),
    "qwen2_window": Family(
        "Qwen2",
        dict(tie_word_embeddings=True, use_sliding_window=True, sliding_window=3, max_window_layers=1),
        rope(1000000.0),
        old=dict(layer_types=None),
        traps=dict(
            off=dict(use_sliding_window=False, sliding_window=None, layer_types=["full_attention"] * 2),
            all_layers=dict(max_window_layers=0, layer_types=["sliding_attention"] * 2),
        ),
    ),
    "qwen3": Family(
        "Qwen3",
        dict(tie_word_embeddings=True, head_dim=16),
        rope(1000000.0),
        adapters=("lora",),
        bf16=True,
        old=dict(layer_types=None),
    ),
    "gemma2": Family(
        "Gemma2",
        dict(
            head_dim=16, num_attention_heads=2, num_key_value_heads=1, query_pre_attn_scalar=12, sliding_window=3,
            attn_logit_softcapping=5.0, final_logit_softcapping=6.0,
        ),
        rope(),
        adapters=("lora",),
        full=True,
        bf16=True,
        old=dict(layer_types=None),
        traps=dict(
            uncapped_scores=dict(attn_logit_softcapping=None),
            uncapped_logits=dict(final_logit_softcapping=None),
            scale=dict(query_pre_attn_scalar=16),
            whole=dict(sliding_window=64),
        ),
    ),
    "gemma3": Family(
        "Gemma3Text",
        dict(
            head_dim=16, num_attention_heads=2, num_key_value_heads=1, query_pre_attn_scalar=12, sliding_window=3,
            layer_types=["sliding_attention", "full_attention"],
        ),
        LOCAL_AND_GLOBAL,
        adapters=("lora",),
        old=dict(layer_types=None, sliding_window_pattern=2, rope="rope_type"),
        traps=dict(
            unscaled=dict(rope_parameters={**LOCAL_AND_GLOBAL, "full_attention": rope(1000000.0)}),
            one_theta=dict(rope_parameters={**LOCAL_AND_GLOBAL, "sliding_attention": rope(100.0)}),
            whole=dict(sliding_window=64),
        ),
    ),
    "phi3_partial": Family(
        "Phi3",
        dict(
            num_hidden_layers=1, tie_word_embeddings=False, original_max_position_embeddings=64, sliding_window=3,
        ),
        rope(partial_rotary_factor=0.5),
        linear=FUSED,
        traps=dict(
            whole_heads=dict(rope_parameters=rope(partial_rotary_factor=1.0)), whole=dict(sliding_window=None)
        ),
    ),
    # Phi-4-mini: both at once, and tied.
    "phi4_mini": Family(
        "Phi3",
        dict(
            num_hidden_layers=1, tie_word_embeddings=True, max_position_embeddings=48,
            original_max_position_embeddings=12,
        ),
        rope(
            kind="longrope", partial_rotary_factor=0.75, original_max_position_embeddings=12,
            short_factor=[1.0, 1.2, 1.5], long_factor=[1.0, 2.5, 4.0],
        ),
        linear=FUSED,
        long=20,
    ),
    "smollm3": Family(
        "SmolLM3",
        dict(tie_word_embeddings=True, no_rope_layer_interval=2, no_rope_layers=[1, 0]),
        rope(2000000.0),
        adapters=("lora",),
        traps=dict(everywhere=dict(no_rope_layers=[1, 1]), other_layer=dict(no_rope_layers=[0, 1])),
    ),
    "granite": Family(
        "Granite",
        dict(
            tie_word_embeddings=True, embedding_multiplier=12.0, logits_scaling=8.0, residual_multiplier=0.22,
            attention_multiplier=0.0625,
        ),
        rope(),
        adapters=("lora",),
        traps=dict(
            embedding=dict(embedding_multiplier=1.0), logits=dict(logits_scaling=1.0),
            residual=dict(residual_multiplier=1.0), attention=dict(attention_multiplier=0.35355339),
        ),
    ),
    "olmo2": Family("Olmo2", dict(tie_word_embeddings=False), rope(500000.0), adapters=("lora",)),
}
