//! What is typed to look for labels that are likely wrong.

use std::path::PathBuf;

use clap::Args;

use super::JsonArguments;
use super::numbers::at_least_2;

#[derive(Args, Debug)]
pub(crate) struct AuditArguments {
    /// The run directory
    pub(crate) run: PathBuf,
    /// A file of rows to look at, read as those of the recipe, instead of the run's own
    #[arg(long, value_name = "FILE", conflicts_with = "folds")]
    pub(crate) rows: Option<String>,
    /// Train the recipe so many times, each time without a part of the rows, and ask each model about the part that it has not seen
    #[arg(long, value_name = "K", value_parser = at_least_2)]
    pub(crate) folds: Option<usize>,
    /// How many rows to print
    #[arg(long, default_value_t = 20)]
    pub(crate) count: usize,
    #[command(flatten)]
    pub(crate) output: JsonArguments,
}
