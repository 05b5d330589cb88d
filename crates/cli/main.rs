//! `slm-tune`: parses, dispatches, prints one error, sets the exit code.

mod args;
mod commands;
mod failure;
mod library;
mod machine;
mod reporter;
mod table;
mod terminal;

use std::process::ExitCode;

use args::{Arguments, RecipesVerb, RunsVerb, Verb};
use clap::Parser;
use terminal::Terminal;

fn main() -> ExitCode {
    let arguments = Arguments::parse();
    let mut terminal = Terminal::new(arguments.quiet, arguments.offline);
    match dispatch(arguments.verb, &mut terminal) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => failure::print(&error),
    }
}

fn dispatch(verb: Verb, terminal: &mut Terminal) -> anyhow::Result<()> {
    use commands::*;
    match verb {
        Verb::Init(arguments) => init::run(arguments, terminal),
        Verb::Doctor(arguments) => doctor::run(arguments, terminal),
        Verb::Runs(RunsVerb::Ls { folder, output }) => runs::ls(&folder, output, terminal),
        Verb::Runs(RunsVerb::Show(arguments)) => runs::show(arguments, terminal),
        Verb::Recipes(RecipesVerb::Ls(arguments)) => recipes::ls(arguments, terminal),
        Verb::Recipes(RecipesVerb::Cp { name, destination }) => {
            recipes::cp(&name, destination, terminal)
        }
        Verb::Completions { shell } => completions::run(shell, terminal),
        _ => Err(failure::refuse("this verb is not built yet", "use another")),
    }
}
