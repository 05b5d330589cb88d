//! Suites: files of tasks, in TOML or in the YAML of lm-evaluation-harness.

use std::path::{Path, PathBuf};

use slm_recipe::{EvalTask, Suite};

use crate::bundled;
use crate::error::SuiteError;
use crate::harness::tasks_of;
use crate::rows::Given;
use crate::task::Task;

/// A task of a suite.
#[derive(Clone, Debug)]
pub enum Entry {
    /// One whose rows are read as the rows to learn from are.
    Plain(Box<EvalTask>),
    /// One with templates of its own.
    Templated(Box<Task>),
}

impl Entry {
    /// The task's name.
    pub fn name(&self) -> &str {
        match self {
            Self::Plain(task) => &task.name,
            Self::Templated(task) => &task.name,
        }
    }
}

/// Reads the tasks of suites with their rows, in the order of the files. `seed` is that of the examples of TOML tasks.
///
/// # Errors
/// A file that cannot be read or says what is not understood, each with its place; a suite without tasks; two tasks of one name; rows that
/// are missing, broken, or given to no task.
pub fn load(files: &[PathBuf], given: &[Given], seed: u64) -> Result<Vec<Entry>, SuiteError> {
    let mut entries: Vec<Entry> = Vec::new();
    for file in files {
        let tasks = match is_yaml(file) {
            true => tasks_of(file, given)?
                .into_iter()
                .map(|task| Entry::Templated(Box::new(task)))
                .collect(),
            false => toml_tasks(file, given, seed)?,
        };
        if tasks.is_empty() {
            return Err(SuiteError::Empty { file: file.clone() });
        }
        for entry in tasks {
            if entries.iter().any(|other| other.name() == entry.name()) {
                return Err(SuiteError::Task {
                    task: entry.name().into(),
                    reason: format!(
                        "`{}` names it a second time; needs a name of its own",
                        file.display()
                    ),
                });
            }
            entries.push(entry);
        }
    }
    check_given(&entries, given)?;
    Ok(entries)
}

fn is_yaml(file: &Path) -> bool {
    let name = file
        .file_name()
        .unwrap_or_default()
        .to_string_lossy()
        .to_lowercase();
    [".yaml", ".yml", "_yaml"]
        .iter()
        .any(|end| name.ends_with(end))
}

fn toml_tasks(file: &Path, given: &[Given], seed: u64) -> Result<Vec<Entry>, SuiteError> {
    let suite = bundled::suite(file).unwrap_or_else(|| Suite::load(file))?;
    let tasks = suite
        .task
        .into_iter()
        .map(|task| match task.is_templated() {
            true => {
                Task::declared(&task, &[], given, seed).map(|task| Entry::Templated(Box::new(task)))
            }
            false => Ok(Entry::Plain(Box::new(task))),
        });
    tasks.collect()
}

fn check_given(entries: &[Entry], given: &[Given]) -> Result<(), SuiteError> {
    let unused = given
        .iter()
        .find(|given| entries.iter().all(|entry| entry.name() != given.task));
    let Some(unused) = unused else {
        return Ok(());
    };
    let nearest = entries
        .iter()
        .map(|entry| {
            (
                strsim::jaro_winkler(entry.name(), &unused.task),
                entry.name(),
            )
        })
        .max_by(|a, b| a.0.total_cmp(&b.0))
        .filter(|(alike, _)| *alike > 0.8);
    Err(SuiteError::UnusedRows {
        task: unused.task.clone(),
        nearest: nearest.map(|(_, name)| name.to_owned()),
    })
}
