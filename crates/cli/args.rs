//! What can be typed.

mod answers;
mod audit;
mod data;
mod exports;
mod measuring;
mod numbers;
mod training;

use std::path::PathBuf;

use clap::{Args, Parser, Subcommand};
use clap_complete::Shell;

pub(crate) use answers::{
    ChatArguments, ConstraintArguments, GenerateArguments, LogitsArguments, SamplingArguments,
};
pub(crate) use audit::AuditArguments;
pub(crate) use data::{
    CardArguments, DataVerb, DiffArguments, LineageArguments, PrepareArguments, ShowArguments,
    Split, StatsArguments,
};
pub(crate) use exports::{QuantizeArguments, VerifyArguments};
pub(crate) use measuring::{
    BaselineArguments, BaselineVerb, EvalArguments, GateArguments, GateOutputs, JudgeArguments,
};
pub(crate) use training::{BenchArguments, SynthArguments, TeachArguments, TrainArguments};

/// Turn a small open language model and your own rows into a specialist that is measured and ready to ship.
#[derive(Parser, Debug)]
#[command(
    name = "slm-tune",
    version,
    disable_help_subcommand = true,
    after_help = EXIT_CODES
)]
pub(crate) struct Arguments {
    #[command(subcommand)]
    pub(crate) verb: Verb,
    /// Print results and errors only
    #[arg(long, short, global = true)]
    pub(crate) quiet: bool,
    /// Never use the network
    #[arg(long, global = true)]
    pub(crate) offline: bool,
}

const EXIT_CODES: &str = "\
Exit codes:
  0    done
  1    a stage failed
  2    fix the arguments, the recipe or the data
  3    a gate failed
  4    a gate could not decide
  5    will not fit
  6    an artifact does not match what was trained
  130  interrupted after a checkpoint was written";

/// One verb, one file under `commands/`.
#[derive(Subcommand, Debug)]
pub(crate) enum Verb {
    /// Write a starter recipe and a few example rows
    Init(InitArguments),
    /// Show versions, backends, cores, memory and disk
    Doctor(JsonArguments),
    /// Validate a recipe, its data and its model without training
    Check(RecipeArguments),
    /// Print the JSON Schema of recipes
    Schema,
    /// Prepare rows and look at them as the model sees them
    #[command(subcommand)]
    Data(DataVerb),
    /// Measure how fast a recipe trains on this machine, and where the time goes
    Bench(BenchArguments),
    /// Run a recipe from raw rows to exported files and a report
    Train(TrainArguments),
    /// Run a recipe whose student learns from a teacher
    Distill(TrainArguments),
    /// Ask the teacher of a recipe once, and keep what it says for every student
    Teach(TeachArguments),
    /// Have the served teacher of a recipe answer its training prompts, and write the answers as rows
    Synth(SynthArguments),
    /// Continue an interrupted run
    Resume(RunArguments),
    /// Measure a run, a GGUF file, or the base model of a recipe on the recipe's tasks, or any model on suites
    Eval(EvalArguments),
    /// Decide from the evaluation of a run whether it is good enough: pass, fail, or too few items to tell
    Gate(GateArguments),
    /// Keep what a run did on every item, for later runs to be compared with
    #[command(subcommand)]
    Baseline(BaselineVerb),
    /// Have a served model compare the answers of a run with those of its base
    Judge(JudgeArguments),
    /// Write the artifacts of a run again
    Export(RunArguments),
    /// Turn a GGUF file of floats into one of blocks
    Quantize(QuantizeArguments),
    /// Check an exported file against its certificate and the run that it came from
    Verify(VerifyArguments),
    /// Talk to a run, a GGUF file, or a model in a folder
    Chat(ChatArguments),
    /// Answer one prompt, from an argument or from stdin
    Generate(GenerateArguments),
    /// Print what a model says of given tokens, and write its logits
    Logits(LogitsArguments),
    /// List and show runs
    #[command(subcommand)]
    Runs(RunsVerb),
    /// List and copy the recipes that come with slm-tune
    #[command(subcommand)]
    Recipes(RecipesVerb),
    /// Print a completion script
    Completions {
        /// The shell that will read it
        shell: Shell,
    },
}

#[derive(Subcommand, Debug)]
pub(crate) enum RunsVerb {
    /// List the runs under a folder
    Ls {
        /// The folder
        #[arg(default_value = "runs")]
        folder: PathBuf,
        #[command(flatten)]
        output: JsonArguments,
    },
    /// Show one run: its stages, its losses and its files
    Show(RunArguments),
}

#[derive(Subcommand, Debug)]
pub(crate) enum RecipesVerb {
    /// List the recipes that come with slm-tune
    Ls(JsonArguments),
    /// Copy a recipe, and what it extends
    Cp {
        /// Name as `recipes ls` prints it
        name: String,
        /// The file to write; the recipe's own name in this folder if it is not given
        destination: Option<PathBuf>,
    },
}

/// How results are printed.
#[derive(Args, Debug, Clone, Copy)]
pub(crate) struct JsonArguments {
    /// Print JSON on stdout
    #[arg(long)]
    pub(crate) json: bool,
}

#[derive(Args, Debug)]
pub(crate) struct InitArguments {
    /// Where to write
    #[arg(default_value = ".")]
    pub(crate) folder: PathBuf,
    /// The base model: a folder in Hugging Face format or a hub name
    #[arg(long)]
    pub(crate) base: Option<String>,
}

#[derive(Args, Debug)]
pub(crate) struct RecipeArguments {
    /// The recipe
    pub(crate) recipe: PathBuf,
    /// Keys that replace those of the recipe, such as `train.learning_rate=1e-4`
    #[arg(value_name = "KEY=VALUE")]
    pub(crate) overrides: Vec<String>,
    #[command(flatten)]
    pub(crate) output: JsonArguments,
}

#[derive(Args, Debug)]
pub(crate) struct RunArguments {
    /// The run directory
    pub(crate) run: PathBuf,
    #[command(flatten)]
    pub(crate) output: JsonArguments,
}
