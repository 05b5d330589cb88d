//! `slm-tune`: parses, dispatches, prints one error, sets the exit code.

mod args;
mod base;
mod batch;
mod commands;
mod exhaustion;
mod failure;
mod gates;
mod graphics;
mod guarded;
mod history;
mod interrupt;
mod library;
mod looked;
mod machine;
mod mask;
mod pages;
mod plan;
mod prepared;
mod preview;
mod readings;
mod remarks;
mod reporter;
mod rows;
mod served;
mod speaker;
mod speed;
mod summary;
mod table;
mod teacher;
mod terminal;
mod threads;
mod tokens;
mod walk;
mod workload;

use std::process::ExitCode;

use args::{Arguments, BaselineVerb, DataVerb, RecipesVerb, RunsVerb, Verb};
use clap::Parser;
use terminal::Terminal;

fn main() -> ExitCode {
    let arguments = Arguments::parse();
    // Lists of rows grow to any length: what one leaves behind is too short for the next, and is given back.
    if !matches!(arguments.verb, Verb::Data(DataVerb::Prepare(_))) {
        pages::keep();
    }
    threads::join();
    let mut terminal = Terminal::new(arguments.quiet, arguments.offline);
    exhaustion::hush();
    match exhaustion::caught(|| dispatch(arguments.verb, &mut terminal)) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => failure::print(&error),
    }
}

fn dispatch(verb: Verb, terminal: &mut Terminal) -> anyhow::Result<()> {
    use commands::*;
    match verb {
        Verb::Init(arguments) => init::run(arguments, terminal),
        Verb::Doctor(arguments) => doctor::run(arguments, terminal),
        Verb::Check(arguments) => check::run(arguments, terminal),
        Verb::Schema => schema::run(terminal),
        Verb::Data(DataVerb::Prepare(arguments)) => data::prepare(arguments, terminal),
        Verb::Data(DataVerb::Show(arguments)) => data::show(arguments, terminal),
        Verb::Data(DataVerb::Stats(arguments)) => data::stats(arguments, terminal),
        Verb::Data(DataVerb::Lineage(arguments)) => data::lineage(arguments, terminal),
        Verb::Data(DataVerb::Card(arguments)) => data::card(arguments, terminal),
        Verb::Data(DataVerb::Diff(arguments)) => data::diff(arguments, terminal),
        Verb::Data(DataVerb::Audit(arguments)) => data::audit::run(arguments, terminal),
        Verb::Bench(arguments) => bench::run(arguments, terminal),
        Verb::Train(arguments) => train::run(arguments, terminal),
        Verb::Distill(arguments) => distill::run(arguments, terminal),
        Verb::Teach(arguments) => teach::run(arguments, terminal),
        Verb::Synth(arguments) => synth::run(arguments, terminal),
        Verb::Resume(arguments) => resume::run(arguments, terminal),
        Verb::Eval(arguments) => eval::run(arguments, terminal),
        Verb::Gate(arguments) => gate::run(arguments, terminal),
        Verb::Baseline(BaselineVerb::Save(arguments)) => baseline::save(arguments, terminal),
        Verb::Judge(arguments) => judge::run(arguments, terminal),
        Verb::Export(arguments) => export::run(arguments, terminal),
        Verb::Quantize(arguments) => quantize::run(arguments, terminal),
        Verb::Verify(arguments) => verify::run(arguments, terminal),
        Verb::Chat(arguments) => chat::run(arguments, terminal),
        Verb::Generate(arguments) => generate::run(arguments, terminal),
        Verb::Logits(arguments) => logits::run(arguments, terminal),
        Verb::Runs(RunsVerb::Ls { folder, output }) => runs::ls(&folder, output, terminal),
        Verb::Runs(RunsVerb::Show(arguments)) => runs::show(arguments, terminal),
        Verb::Recipes(RecipesVerb::Ls(arguments)) => recipes::ls(arguments, terminal),
        Verb::Recipes(RecipesVerb::Cp { name, destination }) => {
            recipes::cp(&name, destination, terminal)
        }
        Verb::Completions { shell } => completions::run(shell, terminal),
    }
}
