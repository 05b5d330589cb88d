//! What is typed to prepare rows and to look at them.

use std::path::PathBuf;

use clap::{Args, Subcommand, ValueEnum};
use slm_data::{Wanted, WorkerShare};

use super::training::worker_share;
use super::{AuditArguments, JsonArguments, RecipeArguments};

#[derive(Subcommand, Debug)]
pub(crate) enum DataVerb {
    /// Read, split, tokenize and write the rows
    Prepare(PrepareArguments),
    /// Print rows token by token, with the learned ones marked
    Show(ShowArguments),
    /// Count rows, tokens, learned tokens and lengths, and draw them
    Stats(StatsArguments),
    /// Tell where a row came from, and every step that changed it
    Lineage(LineageArguments),
    /// Write what a data set is: counts, licences, lengths, labels, personal data, splits, digests
    Card(CardArguments),
    /// Compare two prepared data sets row by row
    Diff(DiffArguments),
    /// Look for labels that are likely wrong, with the model of a run
    Audit(AuditArguments),
}

#[derive(Args, Debug)]
pub(crate) struct PrepareArguments {
    #[command(flatten)]
    pub(crate) recipe: RecipeArguments,
    /// Encode one part of the rows as one of several workers, `3/8` for the third of eight
    #[arg(long, value_name = "I/N", value_parser = worker_share, requires = "parts")]
    pub(crate) shard: Option<WorkerShare>,
    /// The folder that parts are written into; without `--shard`, put all of them together
    #[arg(long, value_name = "DIR")]
    pub(crate) parts: Option<PathBuf>,
}

#[derive(Args, Debug)]
pub(crate) struct ShowArguments {
    #[command(flatten)]
    pub(crate) recipe: RecipeArguments,
    /// Number of the row, from 0, in the order of the files
    #[arg(long)]
    pub(crate) row: Option<usize>,
    /// The rows that are learned from or those that are held out
    #[arg(long, value_enum, default_value_t = Split::Train)]
    pub(crate) split: Split,
    /// How many rows
    #[arg(long, default_value_t = 1, conflicts_with = "row")]
    pub(crate) count: usize,
}

#[derive(Args, Debug)]
pub(crate) struct StatsArguments {
    /// A recipe, a run directory, or a folder that `data prepare` wrote
    pub(crate) target: PathBuf,
    /// Keys that replace those of the recipe, such as `model.max_length=512`
    #[arg(value_name = "KEY=VALUE")]
    pub(crate) overrides: Vec<String>,
    /// Write a page with charts, duplicates, contradictions and some rows token by token
    #[arg(long, value_name = "FILE")]
    pub(crate) html: Option<PathBuf>,
    #[command(flatten)]
    pub(crate) output: JsonArguments,
}

#[derive(Args, Debug)]
pub(crate) struct LineageArguments {
    /// Its number from 0, the first characters of its digest, or file and line: `rows.jsonl:12`
    pub(crate) row: Wanted,
    /// A run directory, or a folder that `data prepare` wrote; by default the only one under `runs`
    #[arg(long, value_name = "FOLDER|RUN")]
    pub(crate) data: Option<PathBuf>,
    #[command(flatten)]
    pub(crate) output: JsonArguments,
}

#[derive(Args, Debug)]
pub(crate) struct CardArguments {
    /// A recipe, a run directory, or a folder that `data prepare` wrote
    pub(crate) target: PathBuf,
    /// Keys that replace those of the recipe, such as `data.card.license=CC0-1.0`
    #[arg(value_name = "KEY=VALUE")]
    pub(crate) overrides: Vec<String>,
    /// Write `data-card.md` and `croissant.json` into this folder, instead of Markdown on stdout
    #[arg(long, value_name = "DIR")]
    pub(crate) out: Option<PathBuf>,
    /// Print Croissant metadata on stdout instead
    #[arg(long, conflicts_with = "out")]
    pub(crate) json: bool,
}

#[derive(Args, Debug)]
pub(crate) struct DiffArguments {
    /// A run directory, or a folder that `data prepare` wrote
    pub(crate) a: PathBuf,
    /// Another
    pub(crate) b: PathBuf,
    /// Rows and labels that are listed of each kind
    #[arg(long, default_value_t = 10)]
    pub(crate) count: usize,
    #[command(flatten)]
    pub(crate) output: JsonArguments,
}

#[derive(ValueEnum, Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Split {
    /// The rows that are learned from
    Train,
    /// The rows that are held out
    Validation,
    /// The rows that are held out for the tasks
    Test,
}
