//! What is typed to train, to ask a teacher, and to measure how fast.

use std::path::PathBuf;

use clap::Args;
use slm_data::WorkerShare;

use super::RecipeArguments;
use super::numbers::{at_least_1, at_least_2};

#[derive(Args, Debug)]
pub(crate) struct BenchArguments {
    #[command(flatten)]
    pub(crate) recipe: RecipeArguments,
    /// Steps that are measured; 0 with `--generate`, to measure nothing else
    #[arg(long, default_value_t = 5)]
    pub(crate) steps: usize,
    /// Steps before them that are not
    #[arg(long, default_value_t = 2)]
    pub(crate) warmup: usize,
    /// Rows of a batch, instead of the recipe's
    #[arg(long, value_parser = at_least_1)]
    pub(crate) batch: Option<usize>,
    /// Random rows of so many tokens, all of them learned, instead of the recipe's
    #[arg(long, value_parser = at_least_2)]
    pub(crate) length: Option<usize>,
    /// Random weights; of the base only `config.json` is read, with `--length`
    #[arg(long)]
    pub(crate) random_weights: bool,
    /// Measure greedy generation of so many tokens as well
    #[arg(long, value_name = "TOKENS", value_parser = at_least_2)]
    pub(crate) generate: Option<usize>,
    /// Tokens of the prompt that is continued
    #[arg(
        long,
        value_name = "TOKENS",
        default_value_t = 512,
        requires = "generate"
    )]
    pub(crate) prompt: usize,
    /// Rows that are continued together; may be several: `1,8`
    #[arg(long, value_delimiter = ',', default_values_t = [1], requires = "generate")]
    pub(crate) rows: Vec<usize>,
    /// A JSON file to write
    #[arg(long)]
    pub(crate) out: Option<PathBuf>,
}

#[derive(Args, Debug)]
pub(crate) struct TrainArguments {
    #[command(flatten)]
    pub(crate) recipe: RecipeArguments,
    /// Delete what an earlier recipe left in the run directory
    #[arg(long)]
    pub(crate) overwrite: bool,
}

#[derive(Args, Debug)]
pub(crate) struct TeachArguments {
    #[command(flatten)]
    pub(crate) recipe: RecipeArguments,
    /// This worker's part of the work, `3/8` for the third of eight
    #[arg(long, value_name = "I/N", value_parser = worker_share)]
    pub(crate) shard: Option<WorkerShare>,
    /// Ask nothing: check that every shard is there and is what it has to be
    #[arg(long, conflicts_with = "shard")]
    pub(crate) check: bool,
}

#[derive(Args, Debug)]
pub(crate) struct SynthArguments {
    #[command(flatten)]
    pub(crate) recipe: RecipeArguments,
    /// The folder to write into; by default `NAME.rows` beside the recipe's run directory
    #[arg(long)]
    pub(crate) out: Option<PathBuf>,
}

pub(super) fn worker_share(text: &str) -> Result<WorkerShare, String> {
    let parts = text.split_once('/');
    let parts = parts.and_then(|(i, n)| Some((i.parse::<usize>().ok()?, n.parse().ok()?)));
    match parts {
        Some((i, n)) if (1..=n).contains(&i) => Ok(WorkerShare { nth: i - 1, of: n }),
        _ => Err("a part and how many there are is needed, from `1/8` to `8/8`".into()),
    }
}
