//! `slm-tune eval`: a run, a GGUF file, or the base of a recipe, on the recipe's tasks.

use anyhow::Result;
use slm_export::{open_gguf, read_gguf_tokenizer};
use slm_model::device;
use slm_recipe::Recipe;

use crate::{
    args::EvalArguments,
    commands::verify::run_of,
    failure::refuse,
    preview::Preview,
    reporter::Reporter,
    speaker, summary,
    terminal::Terminal,
    walk::{Walk, measure, recipe_of, tasks},
};

/// What may change between training and measuring.
const CHANGEABLE: [&str; 2] = ["eval.", "model.device="];

pub(crate) fn run(arguments: EvalArguments, terminal: &mut Terminal) -> Result<()> {
    if arguments.target.is_dir() {
        return of_run(&arguments, terminal);
    }
    if speaker::is_gguf(&arguments.target) {
        return of_file(&arguments, terminal);
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
        &base.tokenizer,
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

/// A GGUF file on the tasks of the run that it lies in, or of another recipe.
fn of_file(arguments: &EvalArguments, terminal: &mut Terminal) -> Result<()> {
    let file = &arguments.target;
    let recipe = match (&arguments.recipe, run_of(file)) {
        (Some(recipe), _) => Recipe::load(recipe, &arguments.overrides)?,
        (None, Some(run)) => recipe_of(&run, &arguments.overrides)?,
        (None, None) => {
            return Err(refuse(
                format!("`{}` lies in no run, so there are no tasks", file.display()),
                "name a recipe that has some: `--recipe RECIPE`",
            ));
        }
    };
    let mut reporter = Reporter::new(terminal, arguments.output.json);
    let preview = Preview::of(&recipe, terminal.offline, &mut reporter)?;
    let tasks = tasks(&recipe, &preview.shards, &preview.base.tokenizer)?;
    let tokenizer = read_gguf_tokenizer(file)?;
    let decoder = open_gguf(file, &device::open(&recipe.model.device)?)?;
    let mut emit = |event| reporter.show(event);
    let answers = preview.path("file");
    let reports = measure(&decoder, &tokenizer, &recipe, &tasks, &answers, &mut emit)?;
    drop(reporter);
    if arguments.output.json {
        return terminal.json(&reports);
    }
    summary::write_reports(&reports, &mut terminal.out)
}
