//! `slm-tune eval`: a run, or the base of a recipe, on the recipe's tasks.

use anyhow::Result;
use slm_recipe::Recipe;

use crate::{
    args::EvalArguments,
    failure::refuse,
    preview::Preview,
    reporter::Reporter,
    summary,
    terminal::Terminal,
    walk::{Walk, measure, tasks},
};

/// What may change between training and measuring.
const CHANGEABLE: [&str; 2] = ["eval.", "model.device="];

pub(crate) fn run(arguments: EvalArguments, terminal: &mut Terminal) -> Result<()> {
    if arguments.target.is_dir() {
        return of_run(&arguments, terminal);
    }
    let recipe = Recipe::load(&arguments.target, &arguments.overrides)?;
    let mut reporter = Reporter::new(terminal, arguments.output.json);
    let preview = Preview::of(&recipe, terminal.offline, &mut reporter)?;
    let (base, shards) = (&preview.base, &preview.shards);
    let decoder = base.decoder(&recipe)?;
    let tasks = tasks(&recipe, shards, &base.tokenizer)?;
    let mut emit = |event| reporter.show(event);
    let reports = measure(
        &decoder,
        base,
        &recipe,
        &tasks,
        &preview.path("base"),
        &mut emit,
    )?;
    drop(reporter);
    if arguments.output.json {
        return terminal.json(&reports);
    }
    summary::write_reports(&reports, &mut terminal.out)
}

fn of_run(arguments: &EvalArguments, terminal: &mut Terminal) -> Result<()> {
    let fixed = |text: &&String| !CHANGEABLE.iter().any(|key| text.starts_with(key));
    if let Some(text) = arguments.overrides.iter().find(fixed) {
        return Err(refuse(
            format!("`{text}` would make another run of this one"),
            "of a run, `eval.*` and `model.device` can be changed; train again for the rest",
        ));
    }
    let json = arguments.output.json;
    let mut walk = Walk::open(&arguments.target, &arguments.overrides, json, terminal)?;
    let base = walk.base()?;
    let shards = walk.shards()?;
    let tasks = walk.tasks(&base, &shards)?;
    let student = walk.student(&base)?;
    let results = walk.evaluate(&base, &tasks, &student)?;
    drop(walk);
    if json {
        return terminal.json(&summary::json_of(&results));
    }
    summary::write_results(&results, &mut terminal.out)
}
