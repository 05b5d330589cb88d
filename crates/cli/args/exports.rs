//! What is typed about exported files.

use std::path::PathBuf;

use clap::Args;

use super::JsonArguments;
use super::numbers::at_least_1;

#[derive(Args, Debug)]
pub(crate) struct QuantizeArguments {
    /// A GGUF file in F32, F16 or BF16
    pub(crate) source: PathBuf,
    /// What the weights become, in llama.cpp's names: Q4_K_M, Q8_0, ..
    #[arg(value_name = "TYPE")]
    pub(crate) file_type: String,
    /// The file to write; by default beside the source, with the type in its name
    #[arg(long, short)]
    pub(crate) out: Option<PathBuf>,
    /// How much columns matter: an importance matrix of llama.cpp, or one that an export wrote
    #[arg(long)]
    pub(crate) imatrix: Option<String>,
    /// Tensors that become something else, as in `attn_v=Q8_0`; may be given several times
    #[arg(long, value_name = "REGEX=TYPE")]
    pub(crate) tensor_type: Vec<String>,
    /// Threads; by default all cores
    #[arg(long, value_parser = at_least_1)]
    pub(crate) threads: Option<usize>,
    #[command(flatten)]
    pub(crate) output: JsonArguments,
}

#[derive(Args, Debug)]
pub(crate) struct VerifyArguments {
    /// A GGUF file, or a folder that was exported
    pub(crate) file: PathBuf,
    /// Its certificate; by default `certificate.json` beside it
    #[arg(long)]
    pub(crate) certificate: Option<PathBuf>,
    /// The run that it came from; by default the one that it lies in
    #[arg(long)]
    pub(crate) run: Option<PathBuf>,
    /// Check hashes alone: that file and certificate belong together
    #[arg(long)]
    pub(crate) hashes_only: bool,
    #[command(flatten)]
    pub(crate) output: JsonArguments,
}
