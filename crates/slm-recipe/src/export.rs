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
    /// One GGUF file for each of these types.
    pub gguf: Vec<GgufType>,
}

impl Default for ExportSection {
    fn default() -> Self {
        Self {
            peft_adapter: true,
            merged: true,
            gguf: Vec::new(),
        }
    }
}

/// Type of the weights in a GGUF file, in the names of llama.cpp.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub enum GgufType {
    /// 32-bit floats.
    F32,
    /// IEEE half precision.
    F16,
    /// 16-bit floats with the exponent of f32.
    BF16,
    /// 8-bit integers in blocks of 32 with one scale.
    Q8_0,
}

impl GgufType {
    /// The name as the recipe and llama.cpp write it.
    pub fn name(self) -> &'static str {
        match self {
            Self::F32 => "F32",
            Self::F16 => "F16",
            Self::BF16 => "BF16",
            Self::Q8_0 => "Q8_0",
        }
    }
}
