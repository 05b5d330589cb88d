//! What a model did on every item, in one file that is small enough to be committed, for later models to be compared with.

use std::collections::BTreeMap;
use std::path::Path;

use serde::{Deserialize, Serialize};
use serde_json::{Value, json};
use slm_metrics::Series;
use slm_run::{RunError, sha256_json, write_file_atomic};

use crate::error::EvalError;
use crate::evaluation::Evaluation;
use crate::sample::Sample;
use crate::task_report::TaskReport;

/// The format that this version reads and writes.
pub const BASELINE_FORMAT: u32 = 1;

/// Digits that are kept of a figure of an item: far below what another processor changes.
const DIGITS: usize = 9;

/// The model that later ones are compared with.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Baseline {
    /// Format of the file.
    pub format_version: u32,
    /// The slm-tune that wrote it.
    pub tool_version: String,
    /// Name of the run.
    pub name: String,
    /// What it did, task by task.
    pub tasks: Vec<BaselineTask>,
}

/// What a model did on one task.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct BaselineTask {
    /// The task's name.
    pub task: String,
    /// Items.
    pub n: usize,
    /// Digest of the task's definition.
    pub definition: String,
    /// Digest of the items: prompts and wanted answers, in their order.
    pub rows: String,
    /// What each metric observed on each item, in their order.
    pub metrics: BTreeMap<String, Series>,
}

impl Baseline {
    /// What a run did.
    ///
    /// # Errors
    /// Without tasks.
    pub fn of(name: &str, evaluation: &Evaluation) -> Result<Self, EvalError> {
        if evaluation.tuned.is_empty() {
            return Err(EvalError::NoTasks);
        }
        Ok(Self {
            format_version: BASELINE_FORMAT,
            tool_version: env!("CARGO_PKG_VERSION").into(),
            name: name.into(),
            tasks: evaluation.tuned.iter().map(BaselineTask::of).collect(),
        })
    }

    /// Writes it, one metric a line, so that a changed one shows in a diff. Returns its size in bytes.
    ///
    /// # Errors
    /// When the file cannot be written.
    pub fn write(&self, path: &Path) -> Result<usize, EvalError> {
        let text = self.to_text();
        write_file_atomic(path, text.as_bytes())?;
        Ok(text.len())
    }

    /// Reads what [`Baseline::write`] wrote.
    ///
    /// # Errors
    /// When there is none, or it is none of this format.
    pub fn read(path: &Path) -> Result<Self, EvalError> {
        let text = fs_err::read_to_string(path).map_err(|error| RunError::io(path, error))?;
        let unreadable = |source: serde_json::Error| EvalError::BaselineUnreadable {
            path: path.to_owned(),
            source,
        };
        let value: Value = serde_json::from_str(&text).map_err(unreadable)?;
        let found = value["format_version"].as_u64().unwrap_or(0);
        if found != u64::from(BASELINE_FORMAT) {
            return Err(EvalError::BaselineFormat {
                path: path.to_owned(),
                found,
            });
        }
        serde_json::from_value(value).map_err(unreadable)
    }

    /// The task of this name.
    pub fn task(&self, name: &str) -> Option<&BaselineTask> {
        self.tasks.iter().find(|task| task.task == name)
    }

    fn to_text(&self) -> String {
        let head = json!({"format_version": self.format_version, "tool_version": self.tool_version, "name": self.name});
        let mut text = head.to_string();
        text.truncate(text.len() - 1);
        text += ",\"tasks\":[\n";
        for (at, task) in self.tasks.iter().enumerate() {
            let head = json!({"task": task.task, "n": task.n, "definition": task.definition, "rows": task.rows});
            let mut head = head.to_string();
            head.truncate(head.len() - 1);
            text += &format!("{head},\"metrics\":{{\n");
            let lines = task.metrics.iter().map(|(name, series)| {
                let mut value = json!(series);
                shorten(&mut value);
                format!("{}:{value}", json!(name))
            });
            text += &lines.collect::<Vec<_>>().join(",\n");
            text += if at + 1 < self.tasks.len() {
                "\n}},\n"
            } else {
                "\n}}\n"
            };
        }
        text + "]}\n"
    }
}

impl BaselineTask {
    fn of(report: &TaskReport) -> Self {
        let metrics = report.metrics.iter().filter_map(|metric| {
            let (_, series) = report.observe(&metric.name)?;
            Some((metric.name.key(), series))
        });
        Self {
            task: report.task.clone(),
            n: report.samples.len(),
            definition: definition_digest(report),
            rows: rows_digest(&report.samples),
            metrics: metrics.collect(),
        }
    }

    /// Why it is not about the same items and the same questions, if it is not.
    pub fn difference(&self, report: &TaskReport) -> Option<String> {
        let n = report.samples.len();
        let task = &self.task;
        if self.n != n {
            return Some(format!(
                "task `{task}` has {n} items, the baseline {}: its rows have changed",
                self.n
            ));
        }
        if self.rows != rows_digest(&report.samples) {
            return Some(format!(
                "the rows of task `{task}`, or the template of their prompts, have changed since the baseline"
            ));
        }
        if self.definition != definition_digest(report) {
            return Some(format!(
                "the definition of task `{task}` has changed since the baseline"
            ));
        }
        None
    }
}

/// What is asked, and how: as the task was when it was answered.
fn definition_digest(report: &TaskReport) -> String {
    sha256_json(&json!({
        "output_type": report.output_type, "choices": report.choices, "definition": report.definition,
    }))
}

/// The items as the model saw them, and what was wanted; not where they came from, nor what was answered.
fn rows_digest(samples: &[Sample]) -> String {
    let items: Vec<_> = samples
        .iter()
        .map(|sample| json!([sample.row, sample.prompt, sample.target]))
        .collect();
    sha256_json(&items)
}

/// Whole numbers as such, all others with [`DIGITS`] digits.
fn shorten(value: &mut Value) {
    match value {
        Value::Array(items) => items.iter_mut().for_each(shorten),
        Value::Object(keys) => keys.values_mut().for_each(shorten),
        Value::Number(number) => {
            let Some(exact) = number.as_f64().filter(|_| number.is_f64()) else {
                return;
            };
            let short = format!("{exact:.*e}", DIGITS - 1).parse().unwrap_or(exact);
            *value = if short.fract() == 0.0 && short.abs() < 1e9 {
                json!(short as i64)
            } else {
                json!(short)
            };
        }
        _ => {}
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_are_short_and_whole_ones_stay_whole() {
        let mut value = json!([12.345678901234, -0.1, 7.0, 3, 1e-20, "0.123456789012"]);
        shorten(&mut value);
        assert_eq!(
            value.to_string(),
            r#"[12.3456789,-0.1,7,3,1e-20,"0.123456789012"]"#
        );
    }
}
