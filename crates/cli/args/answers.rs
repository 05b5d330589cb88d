//! What is typed to have a model answer.

use std::path::PathBuf;

use clap::{ArgGroup, Args, ValueEnum};
use slm_recipe::Dtype;

use super::JsonArguments;
use super::numbers::{probability, temperature};

#[derive(Args, Debug)]
pub(crate) struct ChatArguments {
    /// A run directory, a GGUF file, or a folder with a model in Hugging Face format
    pub(crate) model: PathBuf,
    /// A system message for the whole conversation
    #[arg(long)]
    pub(crate) system: Option<String>,
    #[command(flatten)]
    pub(crate) sampling: SamplingArguments,
}

#[derive(Args, Debug)]
pub(crate) struct GenerateArguments {
    /// A run directory, a GGUF file, or a folder with a model in Hugging Face format
    pub(crate) model: PathBuf,
    /// The prompt; read from stdin if it is not given
    #[arg(long, short)]
    pub(crate) prompt: Option<String>,
    /// Continue the prompt as it is, without chat template and without the recipe's prompt template
    #[arg(long)]
    pub(crate) raw: bool,
    #[command(flatten)]
    pub(crate) constraint: ConstraintArguments,
    #[command(flatten)]
    pub(crate) sampling: SamplingArguments,
    #[command(flatten)]
    pub(crate) output: JsonArguments,
}

#[derive(Args, Debug)]
#[command(group = ArgGroup::new("tokens").required(true))]
pub(crate) struct LogitsArguments {
    /// A folder with a model in Hugging Face format, a GGUF file, or a hub name
    pub(crate) model: String,
    /// An adapter to put on it: a folder in PEFT's format
    #[arg(long)]
    pub(crate) adapter: Option<PathBuf>,
    /// The tokens
    #[arg(long, value_delimiter = ',', group = "tokens")]
    pub(crate) ids: Vec<u32>,
    /// A text, tokenized as it is, with what the tokenizer puts before it
    #[arg(long, group = "tokens")]
    pub(crate) text: Option<String>,
    /// `auto`, `cpu`, `libtorch:cpu`, `libtorch:cuda:N` or `libtorch:mps`
    #[arg(long, default_value = "auto")]
    pub(crate) device: String,
    /// What it computes in
    #[arg(long, value_enum, default_value_t = ComputeDtype::F32)]
    pub(crate) dtype: ComputeDtype,
    /// A safetensors file to write: `logits`, [1, tokens, vocabulary], F32
    #[arg(long)]
    pub(crate) out: Option<PathBuf>,
    #[command(flatten)]
    pub(crate) output: JsonArguments,
}

/// [`Dtype`] on the command line.
#[derive(ValueEnum, Debug, Clone, Copy)]
pub(crate) enum ComputeDtype {
    F32,
    Bf16,
    F16,
}

impl From<ComputeDtype> for Dtype {
    fn from(dtype: ComputeDtype) -> Self {
        match dtype {
            ComputeDtype::F32 => Self::F32,
            ComputeDtype::Bf16 => Self::Bf16,
            ComputeDtype::F16 => Self::F16,
        }
    }
}

#[derive(Args, Debug)]
#[group(id = "constraint", multiple = false)]
pub(crate) struct ConstraintArguments {
    /// Answer with one of these, separated by commas
    #[arg(long, value_delimiter = ',')]
    pub(crate) labels: Option<Vec<String>>,
    /// Answer with a text that this regular expression matches from end to end
    #[arg(long)]
    pub(crate) regex: Option<String>,
    /// Answer with JSON that the schema in this file describes
    #[arg(long, value_name = "FILE")]
    pub(crate) json_schema: Option<PathBuf>,
}

#[derive(Args, Debug, Clone)]
pub(crate) struct SamplingArguments {
    /// 0 takes the likeliest token
    #[arg(long, default_value_t = 0.0, value_parser = temperature)]
    pub(crate) temperature: f32,
    /// Sample from the likeliest tokens that together have this probability
    #[arg(long, default_value_t = 1.0, value_parser = probability)]
    pub(crate) top_p: f32,
    /// Seed of the sampling
    #[arg(long, default_value_t = 42)]
    pub(crate) seed: u64,
    /// Longest answer, in tokens
    #[arg(long, default_value_t = 256)]
    pub(crate) max_new_tokens: usize,
    /// `auto`, `cpu`, `libtorch:cpu`, `libtorch:cuda:N` or `libtorch:mps`
    #[arg(long, default_value = "auto")]
    pub(crate) device: String,
}
