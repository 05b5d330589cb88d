//! What is typed to measure answers, and to decide by them.

use std::path::PathBuf;

use clap::{Args, Subcommand};
use slm_suite::Given;

use super::JsonArguments;
use super::numbers::at_least_1;

#[derive(Args, Debug)]
pub(crate) struct EvalArguments {
    /// A run directory, a GGUF file, or a recipe whose base is to be measured; with `--suite` also a model's folder
    pub(crate) target: PathBuf,
    /// The recipe whose tasks a GGUF file answers; by default that of the run that it lies in
    #[arg(long, conflicts_with = "suite")]
    pub(crate) recipe: Option<PathBuf>,
    /// A file of tasks to ask instead of a recipe's: TOML, or YAML of lm-evaluation-harness; may be given several times
    #[arg(long, value_name = "FILE")]
    pub(crate) suite: Vec<PathBuf>,
    /// Rows of a task of a suite: `TASK=FILE`, `TASK:SPLIT=FILE`, or a folder of files that are called like the splits; may be given several times
    #[arg(long, value_name = "TASK=FILE", requires = "suite")]
    pub(crate) data: Vec<Given>,
    /// Ask at most this many rows of each task of a suite
    #[arg(long, requires = "suite", value_parser = at_least_1)]
    pub(crate) limit: Option<usize>,
    /// Keep the figures of suites and every answer in this folder
    #[arg(long, value_name = "DIR", requires = "suite")]
    pub(crate) out: Option<PathBuf>,
    /// For suites: `auto`, `cpu`, `libtorch:cpu`, `libtorch:cuda:N` or `libtorch:mps`
    #[arg(long, default_value = "auto", requires = "suite")]
    pub(crate) device: String,
    /// Keys that replace those of the recipe, such as `eval.max_samples=100`
    #[arg(value_name = "KEY=VALUE")]
    pub(crate) overrides: Vec<String>,
    #[command(flatten)]
    pub(crate) output: JsonArguments,
}

#[derive(Args, Debug)]
pub(crate) struct GateArguments {
    /// A run directory, the recipe of a run, or a folder that holds an evaluation
    pub(crate) target: PathBuf,
    /// A file with the gates, instead of those of the recipe
    #[arg(long, value_name = "FILE")]
    pub(crate) gates: Option<PathBuf>,
    /// The baseline, instead of the one that the gates name
    #[arg(long, value_name = "FILE")]
    pub(crate) baseline: Option<PathBuf>,
    /// Keys that replace those of the recipe, such as `gate.check.0.margin=0.03`
    #[arg(value_name = "KEY=VALUE")]
    pub(crate) overrides: Vec<String>,
    #[command(flatten)]
    pub(crate) outputs: GateOutputs,
}

/// How verdicts are told.
#[derive(Args, Debug, Default)]
pub(crate) struct GateOutputs {
    /// Print JSON on stdout
    #[arg(long)]
    pub(crate) json: bool,
    /// A JUnit XML file to write
    #[arg(long, value_name = "FILE")]
    pub(crate) junit: Option<PathBuf>,
    /// A summary in Markdown to write, for pull requests
    #[arg(long, value_name = "FILE")]
    pub(crate) markdown: Option<PathBuf>,
    /// Print the annotations that GitHub Actions shows
    #[arg(long, conflicts_with = "json")]
    pub(crate) annotations: bool,
}

#[derive(Subcommand, Debug)]
pub(crate) enum BaselineVerb {
    /// Write the file
    Save(BaselineArguments),
}

#[derive(Args, Debug)]
pub(crate) struct BaselineArguments {
    /// A run directory, or a folder that holds an evaluation
    pub(crate) run: PathBuf,
    /// The file to write
    pub(crate) file: PathBuf,
    #[command(flatten)]
    pub(crate) output: JsonArguments,
}

#[derive(Args, Debug)]
pub(crate) struct JudgeArguments {
    /// The run directory; it has to have been measured together with its base
    pub(crate) run: PathBuf,
    /// Who judges, and by what prompt: a TOML file such as examples/judge.toml
    #[arg(long)]
    pub(crate) rubric: PathBuf,
    /// Keys that replace those of the rubric, such as `endpoint.model=NAME`
    #[arg(value_name = "KEY=VALUE")]
    pub(crate) overrides: Vec<String>,
    #[command(flatten)]
    pub(crate) output: JsonArguments,
}
