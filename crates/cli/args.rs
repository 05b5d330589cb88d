//! What can be typed.

mod audit;

use std::path::PathBuf;

use clap::{ArgGroup, Args, Parser, Subcommand, ValueEnum};
use clap_complete::Shell;
use slm_data::{Wanted, WorkerShare};
use slm_recipe::Dtype;
use slm_suite::Given;

pub(crate) use audit::AuditArguments;

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

#[derive(Subcommand, Debug)]
pub(crate) enum BaselineVerb {
    /// Write the file
    Save(BaselineArguments),
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

fn at_least_1(text: &str) -> Result<usize, String> {
    at_least(1, text)
}

fn at_least_2(text: &str) -> Result<usize, String> {
    at_least(2, text)
}

fn at_least(least: usize, text: &str) -> Result<usize, String> {
    match text.parse() {
        Ok(value) if value >= least => Ok(value),
        _ => Err(format!("a whole number of at least {least} is needed")),
    }
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

fn worker_share(text: &str) -> Result<WorkerShare, String> {
    let parts = text.split_once('/');
    let parts = parts.and_then(|(i, n)| Some((i.parse::<usize>().ok()?, n.parse().ok()?)));
    match parts {
        Some((i, n)) if (1..=n).contains(&i) => Ok(WorkerShare { nth: i - 1, of: n }),
        _ => Err("a part and how many there are is needed, from `1/8` to `8/8`".into()),
    }
}

#[derive(Args, Debug)]
pub(crate) struct SynthArguments {
    #[command(flatten)]
    pub(crate) recipe: RecipeArguments,
    /// The folder to write into; by default `NAME.rows` beside the recipe's run directory
    #[arg(long)]
    pub(crate) out: Option<PathBuf>,
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

#[derive(Args, Debug)]
pub(crate) struct RunArguments {
    /// The run directory
    pub(crate) run: PathBuf,
    #[command(flatten)]
    pub(crate) output: JsonArguments,
}

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

fn temperature(text: &str) -> Result<f32, String> {
    match text.parse() {
        Ok(value) if value >= 0.0 => Ok(value),
        _ => Err("a number of at least 0 is needed".into()),
    }
}

fn probability(text: &str) -> Result<f32, String> {
    match text.parse() {
        Ok(value) if value > 0.0 && value <= 1.0 => Ok(value),
        _ => Err("a number above 0 and up to 1 is needed".into()),
    }
}
