//! `slm-tune synth`: a served teacher answers the training prompts, and its answers become rows.

use std::{
    io::Write,
    path::{Path, PathBuf},
};

use anyhow::Result;
use slm_endpoint::{Cost, Taught, Terms, teach};
use slm_recipe::{DistillMethod, DistillSection, JudgeMode, Recipe, Rubric};
use slm_run::Event;

use crate::{
    args::SynthArguments, failure::refuse, interrupt, reporter::Reporter, table::Table,
    terminal::Terminal,
};

pub(crate) fn run(arguments: SynthArguments, terminal: &mut Terminal) -> Result<()> {
    let recipe = Recipe::load(&arguments.recipe.recipe, &arguments.recipe.overrides)?;
    let section = served(&recipe)?;
    let rubric = section.filters.rubric.as_deref().map(scoring).transpose()?;
    let rows = slm_data::training_rows(&recipe.data, &slm_data::Guarded::of(&recipe), recipe.seed)?;
    let folder = arguments.out.unwrap_or_else(|| beside(&recipe));
    fs_err::create_dir_all(&folder)?;
    let json = arguments.recipe.output.json;
    let mut reporter = Reporter::new(terminal, json);
    let taught = interrupt::heeded(|stop| {
        let terms = Terms {
            seed: recipe.seed,
            offline: terminal.offline,
            stop,
        };
        let mut emit = |event: Event| reporter.show(event);
        let labels = &recipe.data.labels;
        teach(
            section,
            labels,
            rubric.as_ref(),
            &rows,
            terms,
            &folder,
            &mut emit,
        )
    })??;
    drop(reporter);
    match json {
        true => terminal.json(&taught),
        false => write(&taught, &folder, &mut terminal.out),
    }
}

/// The section, if its teacher is asked for answers.
fn served(recipe: &Recipe) -> Result<&DistillSection> {
    let section = recipe.distill.as_ref();
    section
        .filter(|section| section.method == DistillMethod::Sequence)
        .ok_or_else(|| {
            refuse(
                "the recipe names no served teacher",
                "set `method = \"sequence\"` in `[distill]`, and `base_url` and `model` in `[distill.teacher]`",
            )
        })
}

/// The answers of a served teacher are rows like others, and the recipe that learns from them names them.
pub(crate) fn refuse_served_teacher(recipe: &Recipe) -> Result<()> {
    let distill = recipe.distill.as_ref();
    if distill.is_none_or(|section| section.method != DistillMethod::Sequence) {
        return Ok(());
    }
    let rows = beside(recipe).join("rows.jsonl");
    Err(refuse(
        "the recipe has a served teacher, whose answers are rows before they are learned",
        format!(
            "`slm-tune synth RECIPE` writes them; train a recipe without `[distill]` that names them: `data.train = [{{ path = \"{}\" }}]`",
            rows.display()
        ),
    ))
}

/// The rubric of a filter, which sees one answer at a time.
fn scoring(path: &str) -> Result<Rubric> {
    let rubric = Rubric::load(Path::new(path), &[])?;
    match rubric.mode {
        JudgeMode::Score => Ok(rubric),
        JudgeMode::Pairwise => Err(refuse(
            format!("the rubric `{path}` compares pairs, and a filter judges one answer at a time"),
            "set `mode = \"score\"` in it",
        )),
    }
}

/// `runs/NAME.rows`: not in the run directory, which belongs to the training of one recipe.
fn beside(recipe: &Recipe) -> PathBuf {
    PathBuf::from(format!("{}.rows", recipe.output_dir.trim_end_matches('/')))
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
