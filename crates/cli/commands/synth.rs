//! `slm-tune synth`: a served teacher answers the training prompts, and its answers become rows.

use std::{io::Write, path::Path};

use anyhow::Result;
use slm_endpoint::{Cost, Taught};
use slm_recipe::Recipe;

use crate::{
    args::SynthArguments, failure::refuse, reporter::Reporter, served::ServedTeacher, table::Table,
    terminal::Terminal,
};

pub(crate) fn run(arguments: SynthArguments, terminal: &mut Terminal) -> Result<()> {
    let recipe = Recipe::load(&arguments.recipe.recipe, &arguments.recipe.overrides)?;
    let served = ServedTeacher::of(&recipe).ok_or_else(|| {
        refuse(
            "the recipe names no served teacher",
            "set `method = \"sequence\"` in `[distill]`, and `base_url` and `model` in `[distill.teacher]`",
        )
    })?;
    let served = served.into_folder(arguments.out);
    let json = arguments.recipe.output.json;
    let mut reporter = Reporter::new(terminal, json);
    let taught = served.ask(&recipe, terminal.offline, &mut reporter)?;
    drop(reporter);
    match json {
        true => terminal.json(&taught),
        false => write(&taught, served.folder(), &mut terminal.out),
    }
}

fn write(taught: &Taught, folder: &Path, out: &mut dyn Write) -> Result<()> {
    let mut table = Table::new(&[]);
    let mut row = |name: &str, value: String| table.row([name.to_owned(), value]);
    row("teacher", taught.teacher.clone());
    row(
        "prompts",
        format!(
            "{}, {} of them without a row",
            taught.prompts, taught.prompts_without_row
        ),
    );
    row("answers", taught.answers.to_string());
    for (reason, count) in &taught.dropped {
        row("", format!("{count} dropped: {reason}"));
    }
    row("rows", taught.rows.to_string());
    row("cost", cost(&taught.cost));
    if let Some(of_judge) = &taught.judge_cost {
        row("judge", cost(of_judge));
    }
    table.write(out)?;
    writeln!(out, "\nwrote `{}`", folder.join("rows.jsonl").display())?;
    Ok(())
}

/// What was spent, in a line.
pub(crate) fn cost(cost: &Cost) -> String {
    format!(
        "{} tokens, ${:.4}; {} asked, {} from the journal, {} sent again",
        cost.tokens.total(),
        cost.usd,
        cost.asked,
        cost.from_journal,
        cost.retries
    )
}
