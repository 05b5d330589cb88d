//! `[export]`: the artifacts to ship.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// Which artifacts are written.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct ExportSection {
    /// The adapter in PEFT's format; read when `train.method = "lora"`.
    pub peft_adapter: bool,
    /// The whole model in Hugging Face's format.
    pub merged: bool,
    /// Largest file of weights in the folder of the whole model, in GB; larger models have several.
    #[schemars(extend("exclusiveMinimum" = 0))]
    pub max_shard_gb: f64,
    /// The adapter alone as a GGUF file, to be loaded beside the base's; `train.method = "lora"` only.
    pub gguf_adapter: bool,
    /// One GGUF file for each of these types.
    pub gguf: Vec<GgufType>,
    /// What quantized GGUF files store some tensors as, whatever their type: `REGEX=TYPE`, llama.cpp's `--tensor-type`. The
    /// first that meets a name counts.
    pub tensor_types: Vec<String>,
    /// How much each column matters when GGUF files are quantized: `rows` measures it on the run's training rows, anything
    /// else is a file of llama.cpp's `llama-imatrix`.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(extend("minLength" = 1))]
    pub imatrix: Option<String>,
    /// A folder for vLLM with the weights of the linear layers in each of these.
    pub compressed_tensors: Vec<CompressedScheme>,
    /// How far the files may be from the trained model.
    pub parity: ParitySection,
}

impl Default for ExportSection {
    fn default() -> Self {
        Self {
            peft_adapter: true,
            merged: true,
            max_shard_gb: 5.0,
            gguf_adapter: false,
            gguf: Vec::new(),
            tensor_types: Vec::new(),
            imatrix: None,
            compressed_tensors: Vec::new(),
            parity: ParitySection::default(),
        }
    }
}

impl ExportSection {
    /// The value of [`imatrix`](Self::imatrix) that is no file.
    pub const OWN_ROWS: &str = "rows";

    /// Whether there is a GGUF file of blocks, which rules and an importance matrix are for.
    pub fn is_quantized(&self) -> bool {
        self.gguf.iter().any(|weights| weights.is_quantized())
    }
}

/// Limits of what rounding may cost, on held-out rows. Faults that no rounding explains need none: they are always refused.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct ParitySection {
    /// Largest mean KL(trained ‖ file) over tokens, in nats; without it 0.01 for F16, BF16 and Q8_0, and none below.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(extend("minimum" = 0))]
    pub max_mean_kl: Option<f64>,
    /// Largest KL that 99 of 100 tokens may have, in nats.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(extend("minimum" = 0))]
    pub max_p99_kl: Option<f64>,
    /// Largest perplexity of the rows, in that of the trained model.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(extend("minimum" = 0))]
    pub max_perplexity_ratio: Option<f64>,
    /// Largest loss in any metric of the run's tasks, in the metric's unit: the 95 % interval of the difference has to lie within it.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(extend("minimum" = 0))]
    pub max_task_drop: Option<f64>,
    /// Items of each task that every rounded file answers, evenly spread; 0 answers none.
    pub task_items: usize,
    /// Smallest part of the tokens at which file and trained model find the same next token likeliest.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(extend("minimum" = 0, "maximum" = 1))]
    pub min_top1_agreement: Option<f64>,
}

impl Default for ParitySection {
    fn default() -> Self {
        Self {
            max_mean_kl: None,
            max_p99_kl: None,
            max_perplexity_ratio: None,
            max_task_drop: None,
            task_items: 100,
            min_top1_agreement: None,
        }
    }
}

/// How a folder of the `compressed-tensors` package holds the linear layers.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub enum CompressedScheme {
    /// Integers of 8 bits with a scale for each row; activations as they are.
    W8A16,
    /// Integers of 4 bits with a scale for each 128 columns; activations as they are.
    W4A16,
    /// Floats of 8 bits (E4M3) with a scale for each row; activations are rounded to the same, token by token, by the server:
    /// the preset `FP8_DYNAMIC` of `llm-compressor`.
    FP8,
}

impl CompressedScheme {
    /// Whether the errors of its numbers are corrected on rows.
    pub fn is_corrected(self) -> bool {
        self != Self::FP8
    }

    /// The name as the recipe writes it.
    pub fn name(self) -> &'static str {
        match self {
            Self::W8A16 => "W8A16",
            Self::W4A16 => "W4A16",
            Self::FP8 => "FP8",
        }
    }
}

/// Type of the weights in a GGUF file, in the names of llama.cpp's `llama-quantize`, the largest files first.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[expect(
    non_camel_case_types,
    reason = "llama.cpp's spelling, which users know"
)]
pub enum GgufType {
    /// 32-bit floats.
    F32,
    /// IEEE half precision.
    F16,
    /// 16-bit floats with the exponent of f32.
    BF16,
    /// 8-bit integers in blocks of 32 with one scale.
    Q8_0,
    /// 6 bits.
    Q6_K,
    /// 5 bits, 6 for what matters most.
    Q5_K_M,
    /// 5 bits.
    Q5_K_S,
    /// 5 bits in blocks of 32 with a scale and a smallest value.
    Q5_1,
    /// 5 bits in blocks of 32 with one scale.
    Q5_0,
    /// 4 bits, 6 for what matters most.
    Q4_K_M,
    /// 4 bits, 5 for the first layers.
    Q4_K_S,
    /// 4 bits in blocks of 32 with a scale and a smallest value.
    Q4_1,
    /// 4 bits in blocks of 32 with one scale.
    Q4_0,
    /// 4 bits in blocks of 32, of uneven steps.
    IQ4_NL,
    /// 4 bits, of uneven steps.
    IQ4_XS,
    /// 3 bits, 5 for what matters most.
    Q3_K_L,
    /// 3 bits, 4 or 5 for what matters most.
    Q3_K_M,
    /// 3 bits.
    Q3_K_S,
    /// 2 bits, 3 or 4 for what matters most.
    Q2_K,
}

impl GgufType {
    /// Whether weights are in blocks.
    pub fn is_quantized(self) -> bool {
        !matches!(self, Self::F32 | Self::F16 | Self::BF16)
    }

    /// The name as the recipe and llama.cpp write it.
    pub fn name(self) -> &'static str {
        match self {
            Self::F32 => "F32",
            Self::F16 => "F16",
            Self::BF16 => "BF16",
            Self::Q8_0 => "Q8_0",
            Self::Q6_K => "Q6_K",
            Self::Q5_K_M => "Q5_K_M",
            Self::Q5_K_S => "Q5_K_S",
            Self::Q5_1 => "Q5_1",
            Self::Q5_0 => "Q5_0",
            Self::Q4_K_M => "Q4_K_M",
            Self::Q4_K_S => "Q4_K_S",
            Self::Q4_1 => "Q4_1",
            Self::Q4_0 => "Q4_0",
            Self::IQ4_NL => "IQ4_NL",
            Self::IQ4_XS => "IQ4_XS",
            Self::Q3_K_L => "Q3_K_L",
            Self::Q3_K_M => "Q3_K_M",
            Self::Q3_K_S => "Q3_K_S",
            Self::Q2_K => "Q2_K",
        }
    }
}
