//! `slm-tune eval MODEL --suite FILE`: any model on tasks that belong to no recipe.

use anyhow::Result;
use slm_recipe::Recipe;
use slm_run::Event;

use crate::{
    args::EvalArguments,
    failure::refuse,
    reporter::Reporter,
    speaker::Speaker,
    summary,
    terminal::Terminal,
    walk::{measure, of_suites},
};

pub(crate) fn run(arguments: &EvalArguments, terminal: &mut Terminal) -> Result<()> {
    if let Some(text) = arguments.overrides.first() {
        return Err(refuse(
            format!("`{text}` changes a recipe, and a suite belongs to none"),
            "leave it out; `--limit`, `--data` and `--device` change what `--suite` does",
        ));
    }
    let recipe = Recipe::default();
    let (decoder, tokenizer) =
        Speaker::model(&arguments.target, &arguments.device, terminal.offline)?;
    let mut tasks = of_suites(&arguments.suite, &arguments.data, &recipe, &tokenizer)?;
    let mut reporter = Reporter::new(terminal, arguments.output.json);
    for task in &mut tasks {
        if let slm_eval::Task::Suite(task) = task {
            for note in &task.notes {
                let text = format!("task `{}`: {note}", task.name);
                reporter.show(Event::Note { text });
            }
        }
        if let Some(limit) = arguments.limit {
            task.limit(limit);
        }
    }
    let temporary = tempfile::tempdir()?;
    let folder = arguments.out.as_deref().unwrap_or(temporary.path());
    let mut emit = |event| reporter.show(event);
    let reports = measure(&decoder, &tokenizer, &recipe, &tasks, folder, &mut emit)?;
    drop(reporter);
    if arguments.output.json {
        return terminal.json(&reports);
    }
    summary::write_reports(&reports, &mut terminal.out)
}
