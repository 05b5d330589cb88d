//! Base and tuned model on the tasks.

use std::path::{Path, PathBuf};

use anyhow::Result;
use serde_json::json;
use slm_data::{HeldOut, Shards};
use slm_eval::{
    Evaluator, Split, TaskReport, compare, constraint, holm_across, report::TaskResult,
    with_choices,
};
use slm_model::Decoder;
use slm_recipe::{EvalTask, Method, OutputType, Recipe};
use slm_run::{AtomicDir, Emit, Event, sha256_file, sha256_json};
use slm_text::ChatTokenizer;

use super::{Walk, training::Student};
use crate::base::Base;

const BASE: &str = "base";
pub(super) const TUNED: &str = "tuned";

/// A task with its choices filled in, and its rows.
#[derive(Clone)]
pub(crate) struct Task {
    pub(crate) task: EvalTask,
    /// The rows that test; with `calibration`, never those that calibrate.
    pub(crate) items: Vec<HeldOut>,
    /// The rows apart, where the task is calibrated; its `test` is in `items`.
    calibration: Option<Split>,
}

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
            "student": self.inputs, "eval": recipe.eval, "labels": recipe.data.labels, "files": digests(&recipe)?,
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
        let names = tasks.iter().map(|it| it.task.name.as_str());
        let mut results: Vec<TaskResult> = names
            .map(|name| read(&folder, name, &recipe))
            .collect::<Result<_>>()?;
        holm_across(
            results
                .iter_mut()
                .flat_map(|result| &mut result.comparisons),
        );
        Ok(results)
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
    if tasks.is_empty() && !shards.held_out().is_empty() {
        tasks.push(EvalTask {
            name: "held-out".into(),
            output_type: OutputType::Loglikelihood,
            ..EvalTask::default()
        });
    }
    // The rows of a task are read as the rows to learn from are.
    let read = |path: &String| {
        let source = recipe.task_source(path);
        slm_data::load_examples(&source, recipe.data.format, recipe.seed, Some(tokenizer))
    };
    tasks
        .into_iter()
        .map(|task| {
            let mut items = match &task.path {
                None => shards.held_out().to_vec(),
                Some(path) => read(path)?,
            };
            let mut calibration = None;
            if let Some(section) = &task.calibration {
                let own = section.path.as_ref().map(read).transpose()?;
                let mut split = Split::of(items, own, section.share, recipe.seed);
                items = std::mem::take(&mut split.test);
                calibration = Some(split);
            }
            let task = with_choices(&task, &recipe.data.labels, shards);
            // Found wrong here, and not hours later.
            constraint(&task, tokenizer)?;
            Ok(Task {
                task,
                items,
                calibration,
            })
        })
        .collect()
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
    for Task {
        task,
        items,
        calibration,
    } in tasks
    {
        let mut tell = |event| emit(by(&who, event));
        let mut report = evaluator.evaluate(task, items, &mut tell)?;
        if let Some(split) = calibration {
            report.calibration = Some(evaluator.calibrate(task, split, &report, &mut tell)?);
        }
        report.definition = Some(definition(task));
        let folder = folder.join(&task.name);
        fs_err::create_dir_all(&folder)?;
        report.write(&folder)?;
        reports.push(report);
    }
    Ok(reports)
}

/// Digest of what a task asks, wherever its rows lie and however many of them are answered at once.
fn definition(task: &EvalTask) -> String {
    let standard = EvalTask::default();
    sha256_json(&EvalTask {
        path: None,
        batch_size: standard.batch_size,
        ..task.clone()
    })
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

fn read(folder: &Path, task: &str, recipe: &Recipe) -> Result<TaskResult> {
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
        comparisons: compare(&base, &tuned, recipe.gate.group_by.as_deref(), recipe.seed)?,
        base: Some(base),
        tuned,
    })
}

/// Digests of the files that tasks bring with them.
fn digests(recipe: &Recipe) -> Result<Vec<String>> {
    let paths = recipe.eval.task.iter().flat_map(|task| {
        let calibration = task.calibration.as_ref();
        let constraint = task.constraint.as_ref();
        [
            task.path.as_ref(),
            calibration.and_then(|it| it.path.as_ref()),
            constraint.and_then(|it| it.json_schema.as_ref()),
        ]
    });
    let paths = paths.flatten();
    let existing = paths.map(PathBuf::from).filter(|path| path.exists());
    Ok(existing.map(sha256_file).collect::<Result<_, _>>()?)
}
