//! Base and tuned model on the tasks.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

use anyhow::Result;
use serde_json::json;
use slm_data::Shards;
use slm_eval::{Evaluator, Task, TaskReport, compare, report::TaskResult, with_choices};
use slm_model::Decoder;
use slm_recipe::{EvalTask, Method, OutputType, Recipe, Source};
use slm_run::{AtomicDir, Emit, Event, sha256_file, sha256_json};
use slm_suite::{Entry, Given};
use slm_text::ChatTokenizer;

use super::{Walk, training::Student};
use crate::{base::Base, failure::refuse};

const BASE: &str = "base";
const TUNED: &str = "tuned";

impl Walk {
    /// Reads the rows of the tasks; before training, so that a missing file is not found hours later.
    pub(crate) fn tasks(&self, base: &Base, shards: &Shards) -> Result<Vec<Task>> {
        tasks(&self.recipe, shards, &base.tokenizer)
    }

    /// Measures the student, and the base where the recipe compares them.
    pub(crate) fn evaluate(
        &mut self,
        base: &Base,
        tasks: &[Task],
        student: &Student,
    ) -> Result<Vec<TaskResult>> {
        let recipe = self.recipe.clone();
        let digest = sha256_json(&json!({
            "student": self.inputs, "eval": recipe.eval, "labels": recipe.data.labels, "files": digests(&recipe, tasks)?,
        }));
        let folder = self.run.path("eval");
        self.stage("eval", &digest, |run, reporter| {
            let mut emit = |event| reporter.show(event);
            let written = AtomicDir::new(run.path("eval"))?;
            let tuned = student.decoder.inference();
            measure(
                &tuned,
                &base.tokenizer,
                &recipe,
                tasks,
                &written.path().join(TUNED),
                &mut emit,
            )?;
            if recipe.eval.compare_base {
                let decoder = match recipe.train.method {
                    Method::Lora => student.decoder.base(),
                    Method::Full => base.decoder(&recipe)?,
                };
                measure(
                    &decoder,
                    &base.tokenizer,
                    &recipe,
                    tasks,
                    &written.path().join(BASE),
                    &mut emit,
                )?;
            }
            written.commit()?;
            Ok(vec!["eval".into()])
        })?;
        let names = tasks.iter().map(Task::name);
        names.map(|name| read(&folder, name, recipe.seed)).collect()
    }
}

/// The tasks with their choices, and the items of each. Without a task of its own, a recipe is measured by the loss on its
/// held-out rows.
pub(crate) fn tasks(
    recipe: &Recipe,
    shards: &Shards,
    tokenizer: &ChatTokenizer,
) -> Result<Vec<Task>> {
    let mut tasks = recipe.eval.task.clone();
    if tasks.is_empty() && recipe.eval.suite.is_empty() && !shards.held_out().is_empty() {
        tasks.push(EvalTask {
            name: "held-out".into(),
            output_type: OutputType::Loglikelihood,
            ..EvalTask::default()
        });
    }
    let mut all = Vec::new();
    for task in tasks {
        all.push(of_recipe(task, recipe, shards, tokenizer)?);
    }
    let suites: Vec<PathBuf> = recipe.eval.suites().iter().map(PathBuf::from).collect();
    all.extend(of_suites(&suites, &[], recipe, tokenizer)?);
    let mut names = BTreeSet::new();
    if let Some(twice) = all.iter().find(|task| !names.insert(task.name())) {
        return Err(refuse(
            format!("two tasks have the name `{}`", twice.name()),
            "a name is that of a folder of the run: give one of the two another",
        ));
    }
    Ok(all)
}

fn of_recipe(
    task: EvalTask,
    recipe: &Recipe,
    shards: &Shards,
    tokenizer: &ChatTokenizer,
) -> Result<Task> {
    if task.is_templated() {
        let labels = &recipe.data.labels;
        let task = slm_suite::Task::declared(&task, labels, &[], recipe.seed)?;
        return Ok(Task::Suite(Box::new(task)));
    }
    let items = match &task.path {
        None => shards.held_out().to_vec(),
        Some(_) => {
            return rows_of(
                with_choices(&task, &recipe.data.labels, shards),
                recipe,
                tokenizer,
            );
        }
    };
    Ok(Task::Rows(
        with_choices(&task, &recipe.data.labels, shards),
        items,
    ))
}

/// The tasks of suites, with rows that `given` has and those that they name.
pub(crate) fn of_suites(
    suites: &[PathBuf],
    given: &[Given],
    recipe: &Recipe,
    tokenizer: &ChatTokenizer,
) -> Result<Vec<Task>> {
    let entries = slm_suite::load(suites, given, recipe.seed)?;
    let tasks = entries.into_iter().map(|entry| match entry {
        Entry::Templated(task) => Ok(Task::Suite(Box::new(task))),
        Entry::Plain(task) => rows_of(task, recipe, tokenizer),
    });
    tasks.collect()
}

/// A task whose rows are read as the rows to learn from are.
fn rows_of(task: EvalTask, recipe: &Recipe, tokenizer: &ChatTokenizer) -> Result<Task> {
    let source = Source {
        path: task.path.clone().unwrap_or_default(),
        max_samples: 0,
        ..recipe.data.train.first().cloned().unwrap_or_default()
    };
    let items = slm_data::load_examples(&source, recipe.data.format, recipe.seed, Some(tokenizer))?;
    Ok(Task::Rows(task, items))
}

/// One model on all tasks; every answer is kept under `folder`. Products are taken in floats, as they are of what is shipped.
pub(crate) fn measure(
    decoder: &Decoder,
    tokenizer: &ChatTokenizer,
    recipe: &Recipe,
    tasks: &[Task],
    folder: &Path,
    emit: Emit<'_>,
) -> Result<Vec<TaskReport>> {
    let evaluator = Evaluator {
        decoder: &decoder.in_floats(),
        tokenizer,
        eos: recipe.data.train_on_eos,
        seed: recipe.seed,
    };
    let who = folder.file_name().unwrap_or_default().to_string_lossy();
    let mut reports = Vec::new();
    for task in tasks {
        let report = evaluator.answer(task, &mut |event| emit(by(&who, event)))?;
        let folder = folder.join(task.name());
        fs_err::create_dir_all(&folder)?;
        report.write(&folder)?;
        reports.push(report);
    }
    Ok(reports)
}

/// Progress on a task, with the name of the model that answers.
fn by(who: &str, event: Event) -> Event {
    match event {
        Event::Progress {
            stage,
            done,
            total,
            unit,
        } => Event::Progress {
            stage: format!("{stage} ({who})"),
            done,
            total,
            unit,
        },
        event => event,
    }
}

fn read(folder: &Path, task: &str, seed: u64) -> Result<TaskResult> {
    let tuned = TaskReport::read(&folder.join(TUNED).join(task))?;
    let of_base = folder.join(BASE).join(task);
    if !of_base.exists() {
        return Ok(TaskResult {
            tuned,
            base: None,
            comparisons: Vec::new(),
        });
    }
    let base = TaskReport::read(&of_base)?;
    Ok(TaskResult {
        comparisons: compare(&base, &tuned, seed)?,
        base: Some(base),
        tuned,
    })
}

/// Digests of the files that tasks bring with them.
fn digests(recipe: &Recipe, tasks: &[Task]) -> Result<Vec<String>> {
    let named = recipe
        .eval
        .task
        .iter()
        .filter_map(|task| task.path.as_ref());
    let mut paths: Vec<PathBuf> = named.chain(&recipe.eval.suite).map(PathBuf::from).collect();
    for task in tasks {
        match task {
            Task::Rows(task, _) => paths.extend(task.path.as_ref().map(PathBuf::from)),
            Task::Suite(task) => paths.extend(task.files.iter().cloned()),
        }
    }
    paths.sort();
    paths.dedup();
    paths.retain(|path| path.exists());
    Ok(paths.iter().map(sha256_file).collect::<Result<_, _>>()?)
}
