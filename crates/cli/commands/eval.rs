//! `slm-tune eval`: a run, a GGUF file, or the base of a recipe on the recipe's tasks; any model on suites.

use std::path::Path;

use anyhow::Result;
use slm_export::{open_gguf, read_gguf_tokenizer};
use slm_model::{Decoder, device};
use slm_recipe::Recipe;
use slm_text::ChatTokenizer;

use crate::{
    args::EvalArguments,
    commands::{eval_suite, verify::run_of},
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
    if !arguments.suite.is_empty() {
        return eval_suite::run(&arguments, terminal);
    }
    let file = Some(arguments.target.as_path()).filter(|target| speaker::is_gguf(target));
    if let (Some(recipe), None) = (&arguments.recipe, file) {
        return Err(refuse(
            format!(
                "`--recipe {}` is only read with a GGUF file, `{}` is none",
                recipe.display(),
                arguments.target.display()
            ),
            "a run has its own recipe; to measure a recipe's base, give the recipe alone; to ask any model, use `--suite`",
        ));
    }
    if arguments.target.is_dir() {
        return of_run(&arguments, terminal);
    }
    let recipe = match file {
        Some(file) => recipe_for(file, &arguments)?,
        None => Recipe::load(&arguments.target, &arguments.overrides)?,
    };
    let mut reporter = Reporter::new(terminal, arguments.output.json);
    let preview = Preview::of(&recipe, terminal.offline, &mut reporter)?;
    let base = &preview.base;
    let tasks = tasks(&recipe, &preview.shards, &base.tokenizer)?;
    let mut emit = |event| reporter.show(event);
    let mut answer = |who: &str, decoder: &Decoder, tokenizer: &ChatTokenizer| {
        let folder = preview.path(who);
        measure(decoder, tokenizer, &recipe, &tasks, &folder, &mut emit)
    };
    let reports = match file {
        Some(file) => {
            let decoder = open_gguf(file, &device::open(&recipe.model.device)?)?;
            answer("file", &decoder, &read_gguf_tokenizer(file)?)?
        }
        None => answer("base", &base.decoder(&recipe)?, &base.tokenizer)?,
    };
    drop(reporter);
    if arguments.output.json {
        return terminal.json(&reports);
    }
    summary::write_reports(&reports, &mut terminal.out)
}

/// The recipe whose tasks a GGUF file answers: the one that is named, or that of the run that it lies in.
fn recipe_for(file: &Path, arguments: &EvalArguments) -> Result<Recipe> {
    match (&arguments.recipe, run_of(file)) {
        (Some(recipe), _) => Ok(Recipe::load(recipe, &arguments.overrides)?),
        (None, Some(run)) => Ok(recipe_of(&run, &arguments.overrides)?),
        (None, None) => Err(refuse(
            format!("`{}` lies in no run, so there are no tasks", file.display()),
            "name a recipe that has some: `--recipe RECIPE`",
        )),
    }
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
