//! Base and tuned model on the tasks.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

use anyhow::Result;
use serde_json::json;
use slm_data::{HeldOut, Leak, Shards, TEST};
use slm_eval::{
    Evaluator, Split, Task, TaskReport, Unleaked, compare, constraint, holm_across,
    report::TaskResult, with_choices,
};
use slm_model::{Decoder, device};
use slm_recipe::{EvalTask, GateTask, Method, OnLeak, OutputType, Recipe};
use slm_run::{AtomicDir, Emit, Event, sha256_file, sha256_json};
use slm_suite::{Entry, Given};
use slm_text::ChatTokenizer;

use super::{Walk, training::Student};
use crate::{base::Base, failure::refuse, machine::peak_memory_bytes};

const BASE: &str = "base";
pub(super) const TUNED: &str = "tuned";

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
        let mut results: Vec<TaskResult> = names
            .map(|name| read(&folder, name, &recipe))
            .collect::<Result<_>>()?;
        holm_across(
            results
                .iter_mut()
                .flat_map(|result| &mut result.comparisons),
        );
        self.tell_leaked_apart(&mut results)?;
        Ok(results)
    }
}

impl Walk {
    /// Measures again without the items that are among the rows that were learned from.
    fn tell_leaked_apart(&self, results: &mut [TaskResult]) -> Result<()> {
        // What is left out was not learned from; what is not looked for is not known.
        if matches!(self.recipe.data.on_leak, OnLeak::Drop | OnLeak::Off) {
            return Ok(());
        }
        let leaks = Leak::read(&self.run.path("data"))?;
        for result in results {
            let has_file = has_file(&self.recipe, &result.tuned.task);
            let of_task = leaks
                .iter()
                .filter(|leak| leak.task == result.tuned.task || !has_file && leak.task == TEST);
            let items = of_task.map(|leak| leak.item.as_str()).collect();
            result.unleaked = Unleaked::of(result, &items, self.recipe.seed);
        }
        Ok(())
    }
}

/// Whether a task of a recipe has rows of its own: others are measured on those that the recipe holds out.
pub(super) fn has_file(recipe: &Recipe, task: &str) -> bool {
    let mut own = recipe.eval.task.iter().filter(|it| it.name == task);
    own.any(|it| it.path.is_some())
}

/// The tasks with their choices, and the items of each. Without a task of its own, a recipe is measured by the loss on its
/// held-out rows.
pub(crate) fn tasks(
    recipe: &Recipe,
    shards: &Shards,
    tokenizer: &ChatTokenizer,
) -> Result<Vec<Task>> {
    let mut tasks = recipe.eval.task.clone();
    if tasks.is_empty() && recipe.eval.suite.is_empty() && !shards.measured().is_empty() {
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
    check_gates(recipe, &all)?;
    Ok(all)
}

/// Gates name tasks and metrics that there will be.
fn check_gates(recipe: &Recipe, tasks: &[Task]) -> Result<()> {
    let known: Vec<GateTask> = tasks
        .iter()
        .map(|task| GateTask {
            name: task.name().into(),
            metrics: task.metrics(),
        })
        .collect();
    let mut unknown = recipe.gate.check.iter().filter_map(|it| it.unknown(&known));
    match unknown.next() {
        None => Ok(()),
        Some(error) => Err(refuse(
            error.to_string(),
            "`[[gate.check]]` names a task and one of its metrics; `slm-tune eval` prints them",
        )),
    }
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
        None => shards.measured().to_vec(),
        Some(path) => read_rows(path, recipe, tokenizer)?,
    };
    of_rows(
        with_choices(&task, &recipe.data.labels, shards),
        items,
        recipe,
        tokenizer,
    )
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
        Entry::Templated(task) => Ok(Task::Suite(task)),
        Entry::Plain(task) => {
            let items = read_rows(task.path.as_deref().unwrap_or_default(), recipe, tokenizer)?;
            of_rows(*task, items, recipe, tokenizer)
        }
    });
    tasks.collect()
}

/// A task with rows that are read as the rows to learn from are.
fn of_rows(
    task: EvalTask,
    mut items: Vec<HeldOut>,
    recipe: &Recipe,
    tokenizer: &ChatTokenizer,
) -> Result<Task> {
    // Found wrong here, and not hours later.
    constraint(&task, tokenizer)?;
    let mut calibration = None;
    if let Some(section) = &task.calibration {
        let own = section
            .path
            .as_ref()
            .map(|path| read_rows(path, recipe, tokenizer))
            .transpose()?;
        let mut split = Split::of(items, own, section.share, recipe.seed);
        items = std::mem::take(&mut split.test);
        calibration = Some(split);
    }
    Ok(Task::Rows {
        task: task.into(),
        items,
        calibration,
    })
}

pub(super) fn read_rows(
    path: &str,
    recipe: &Recipe,
    tokenizer: &ChatTokenizer,
) -> Result<Vec<HeldOut>> {
    let source = recipe.task_source(path);
    Ok(slm_data::load_examples(
        &source,
        recipe.data.format,
        recipe.seed,
        Some(tokenizer),
    )?)
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
        let mut tell = |event| emit(by(&who, event));
        device::reset_peak_memory(decoder.device());
        let mut report = evaluator.answer(task, &mut tell)?;
        if let Task::Rows {
            task,
            calibration: Some(split),
            ..
        } = task
        {
            report.calibration = Some(evaluator.calibrate(task, split, &report, &mut tell)?);
        }
        report.cost.peak_memory_bytes = peak_memory_bytes();
        report.cost.peak_device_bytes =
            device::peak_memory(decoder.device()).map(|it| it.allocated_bytes);
        report.definition = Some(definition(task, &report));
        let folder = folder.join(task.name());
        fs_err::create_dir_all(&folder)?;
        report.write(&folder)?;
        reports.push(report);
    }
    Ok(reports)
}

/// Digest of what a task asks, wherever its rows lie and however many of them are answered at once.
fn definition(task: &Task, report: &TaskReport) -> String {
    match task {
        Task::Rows { task, .. } => sha256_json(&EvalTask {
            path: None,
            batch_size: EvalTask::default().batch_size,
            ..(**task).clone()
        }),
        Task::Suite(task) => {
            let exchanges = report.exchanges.iter();
            let asked: Vec<_> = exchanges
                .map(|it| (&it.context, &it.continuation))
                .collect();
            sha256_json(&(task.output_type, task.repeats, &task.constraint, asked))
        }
    }
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
            unleaked: None,
        });
    }
    let base = TaskReport::read(&of_base)?;
    Ok(TaskResult {
        comparisons: compare(&base, &tuned, recipe.gate.group_by.as_deref(), recipe.seed)?,
        base: Some(base),
        tuned,
        unleaked: None,
    })
}

/// Digests of the files that tasks bring with them.
fn digests(recipe: &Recipe, tasks: &[Task]) -> Result<Vec<String>> {
    let mut paths: Vec<PathBuf> = recipe.eval.suite.iter().map(PathBuf::from).collect();
    recipe
        .eval
        .task
        .iter()
        .for_each(|task| paths.extend(files(task)));
    for task in tasks {
        match task {
            Task::Rows { task, .. } => paths.extend(files(task)),
            Task::Suite(task) => paths.extend(task.files.iter().cloned()),
        }
    }
    paths.sort();
    paths.dedup();
    paths.retain(|path| path.exists());
    Ok(paths.iter().map(sha256_file).collect::<Result<_, _>>()?)
}

fn files(task: &EvalTask) -> impl Iterator<Item = PathBuf> {
    let calibration = task.calibration.as_ref();
    let constraint = task.constraint.as_ref();
    let paths = [
        task.path.as_ref(),
        calibration.and_then(|it| it.path.as_ref()),
        constraint.and_then(|it| it.json_schema.as_ref()),
    ];
    paths.into_iter().flatten().map(PathBuf::from)
}
