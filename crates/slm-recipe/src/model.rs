//! `[model]`: where the weights come from and how they are held.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// The base model: its weights, its precision, and how a conversation is written for it.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct ModelSection {
    /// A folder in Hugging Face format, or a hub name such as `HuggingFaceTB/SmolLM2-135M`. Required unless
    /// `init = "scratch"`; with `init = "scratch"` only its tokenizer is taken.
    pub base_model: String,
    /// Branch, tag or commit of a hub model.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub revision: Option<String>,
    /// Start from the weights of `base_model`, or from random ones.
    pub init: Init,
    /// Shape of a model that starts from random weights.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub config: Option<ScratchConfig>,
    /// `auto`, `cpu`, `libtorch:cpu`, `libtorch:cuda:N` or `libtorch:mps`.
    #[schemars(extend("minLength" = 1))]
    pub device: String,
    /// Precision of weights and activations.
    pub dtype: Dtype,
    /// With f32 on CUDA, round what matrices are multiplied with to TF32 (10 bits of mantissa, as f16): faster, and not exact.
    pub tf32: bool,
    /// How the layers' matrices of a frozen base are kept (QLoRA).
    pub quantization: Quantization,
    /// With `int8`, quantize what the matrices are multiplied with as well, activations and output gradients, a scale per
    /// token, and take products in integers; without, with dequantized matrices.
    pub int8_activations: bool,
    /// Keep the scales of `nf4` in 8 bits as well: 4.13 bits per weight instead of 4.5.
    pub double_quant: bool,
    /// `auto` for the template that comes with the tokenizer, or the path of a `.jinja` file.
    #[schemars(extend("minLength" = 1))]
    pub chat_template: String,
    /// Longest sequence in tokens.
    #[schemars(extend("minimum" = 2))]
    pub max_length: usize,
}

impl Default for ModelSection {
    fn default() -> Self {
        Self {
            base_model: String::new(),
            revision: None,
            init: Init::Pretrained,
            config: None,
            device: "auto".into(),
            dtype: Dtype::F32,
            tf32: false,
            quantization: Quantization::None,
            int8_activations: true,
            double_quant: true,
            chat_template: "auto".into(),
            max_length: 1024,
        }
    }
}

/// Where the weights start.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Init {
    /// From the weights of `base_model`.
    #[default]
    Pretrained,
    /// From random weights, in the shape of `[model.config]`.
    Scratch,
}

/// Precision of weights and activations; losses, statistics and optimizer state are always f32.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Dtype {
    /// 32-bit floats.
    #[default]
    F32,
    /// 16-bit floats with the exponent of f32.
    Bf16,
    /// IEEE half precision.
    F16,
}

/// How the matrices of a frozen base are kept, in the codes of bitsandbytes. Embedding, head, norms and biases stay in `dtype`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Quantization {
    /// In `dtype`.
    #[default]
    None,
    /// 8 bits per weight, a scale per row.
    Int8,
    /// 4 bits per weight in blocks of 64, at the quantiles of a normal distribution.
    Nf4,
}

/// `[model.config]`: the shape of a decoder that is trained from scratch, in the names of Hugging Face's `config.json`.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
#[schemars(extend("required" = [
    "hidden_size", "intermediate_size", "num_hidden_layers", "num_attention_heads", "num_key_value_heads"
]))]
pub struct ScratchConfig {
    /// Family, as `model_type` in `config.json`.
    #[schemars(extend("minLength" = 1))]
    pub model_type: String,
    /// Width of the residual stream; divisible by twice `num_attention_heads`.
    #[schemars(extend("minimum" = 1))]
    pub hidden_size: usize,
    /// Width inside the feed-forward block.
    #[schemars(extend("minimum" = 1))]
    pub intermediate_size: usize,
    /// Number of decoder layers.
    #[schemars(extend("minimum" = 1))]
    pub num_hidden_layers: usize,
    /// Number of query heads.
    #[schemars(extend("minimum" = 1))]
    pub num_attention_heads: usize,
    /// Number of key and value heads; divides `num_attention_heads`.
    #[schemars(extend("minimum" = 1))]
    pub num_key_value_heads: usize,
    /// Longest position the model is declared for, in tokens.
    #[schemars(extend("minimum" = 2))]
    pub max_position_embeddings: usize,
    /// Base of the rotary frequencies.
    #[schemars(extend("exclusiveMinimum" = 0))]
    pub rope_theta: f64,
    /// Added to the mean square before its root.
    #[schemars(extend("exclusiveMinimum" = 0))]
    pub rms_norm_eps: f64,
    /// Whether the head shares the embedding's weights.
    pub tie_word_embeddings: bool,
}

impl Default for ScratchConfig {
    fn default() -> Self {
        Self {
            model_type: "llama".into(),
            hidden_size: 192,
            intermediate_size: 512,
            num_hidden_layers: 6,
            num_attention_heads: 6,
            num_key_value_heads: 6,
            max_position_embeddings: 1024,
            rope_theta: 10_000.0,
            rms_norm_eps: 1e-5,
            tie_word_embeddings: true,
        }
    }
}
