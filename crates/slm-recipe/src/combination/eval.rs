//! Tasks whose keys are not read, or that have no rows.

use std::collections::BTreeSet;

use super::{Combinations, is_file_name};
use crate::{EvalTask, MetricName, OutputType};

impl Combinations<'_> {
    pub(super) fn tasks(&mut self) {
        if self.recipe.eval.forgetting && !self.recipe.eval.compare_base {
            self.conflict(
                &["eval.forgetting", "eval.compare_base"],
                "`eval.forgetting` compares the tuned model with the base; needs `eval.compare_base = true`",
            );
        }
        let mut names = BTreeSet::new();
        for (index, task) in self.recipe.eval.task.iter().enumerate() {
            let key = format!("eval.task.{index}");
            let name_key = format!("{key}.name");
            if !names.insert(&task.name) {
                self.conflict(
                    &[&name_key],
                    format!("two tasks have the name `{}`", task.name),
                );
            }
            if !is_file_name(&task.name) {
                let reason = format!(
                    "`{name_key}` is `{}`, needs a name without `/` that can be a folder's",
                    task.name
                );
                self.conflict(&[&name_key], reason);
            }
            self.task(&key, task);
        }
    }

    fn task(&mut self, key: &str, task: &EvalTask) {
        if task.path.is_none() && !self.recipe.data.holds_out() && !self.recipe.data.holds_test() {
            let reason = format!(
                "task `{}` needs a `path`, because no rows are held out",
                task.name
            );
            self.conflict(&[key, "data.val_size"], reason);
        }
        let output_type = format!("{key}.output_type");
        self.templates(key, task);
        if task.choices.len() == 1 {
            self.conflict(
                &[&format!("{key}.choices")],
                format!("task `{}` has one choice; needs at least two", task.name),
            );
        }
        if !task.choices.is_empty() && task.output_type == OutputType::Loglikelihood {
            let reason =
                format!("`{key}.choices` is not read with `output_type = \"loglikelihood\"`");
            self.conflict(&[&format!("{key}.choices"), &output_type], reason);
        }
        self.metrics(key, task);
        for (name, used, needed, read_by) in [
            (
                "calibration",
                task.calibration.is_some(),
                OutputType::MultipleChoice,
                "multiple_choice",
            ),
            (
                "constraint",
                task.constraint.is_some(),
                OutputType::GenerateUntil,
                "generate_until",
            ),
            (
                "stop",
                !task.stop.is_empty(),
                OutputType::GenerateUntil,
                "generate_until",
            ),
            (
                "temperature",
                task.temperature > 0.0,
                OutputType::GenerateUntil,
                "generate_until",
            ),
            (
                "top_p",
                task.top_p < 1.0,
                OutputType::GenerateUntil,
                "generate_until",
            ),
        ] {
            if used && task.output_type != needed {
                let reason =
                    format!("`{key}.{name}` is only read with `output_type = \"{read_by}\"`");
                self.conflict(&[&format!("{key}.{name}"), &output_type], reason);
            }
        }
        self.constraint(&format!("{key}.constraint"), task);
    }

    fn constraint(&mut self, key: &str, task: &EvalTask) {
        let Some(constraint) = &task.constraint else {
            return;
        };
        let found = constraint.count();
        if found != 1 {
            let reason =
                format!("`{key}` has {found} of `labels`, `regex` and `json_schema`, needs one");
            self.conflict(&[key], reason);
        }
        if !task.stop.is_empty() {
            let stop = key.replace(".constraint", ".stop");
            let reason = format!("`{stop}` would cut answers that `{key}` ends by itself");
            self.conflict(&[&stop, key], reason);
        }
    }

    fn metrics(&mut self, key: &str, task: &EvalTask) {
        let metrics_key = format!("{key}.metrics");
        for (at, metric) in task.metrics.iter().enumerate() {
            if task.output_type.metric(metric.key()).is_none() {
                self.conflict(&[&metrics_key], no_metric(task, metric.key()));
            } else if task.metrics[..at].contains(metric) {
                let reason = format!("task `{}` names `{}` twice", task.name, metric.key());
                self.conflict(&[&metrics_key], reason);
            } else if task.output_type == OutputType::GenerateUntil
                && task.choices.is_empty()
                && NEED_CHOICES.contains(metric)
            {
                let reason = format!(
                    "`{}` of generated answers needs the labels of task `{}` in its `choices`",
                    metric.key(),
                    task.name
                );
                self.conflict(&[&metrics_key], reason);
            }
        }
    }

    /// Keys that only a task with templates of its own reads.
    fn templates(&mut self, key: &str, task: &EvalTask) {
        if task.is_templated() {
            if task.path.is_none() {
                let reason = format!(
                    "task `{}` has a `prompt` of its own, so it needs a `path`",
                    task.name
                );
                self.conflict(
                    &[&format!("{key}.prompt"), &format!("{key}.target")],
                    reason,
                );
            }
            return;
        }
        let default = EvalTask::default();
        let used = [
            ("choices_from", task.choices_from.is_some()),
            ("calibrate", task.calibrate),
            ("description", !task.description.is_empty()),
            ("num_fewshot", task.num_fewshot > 0),
            ("fewshot_path", task.fewshot_path.is_some()),
            (
                "target_delimiter",
                task.target_delimiter != default.target_delimiter,
            ),
            (
                "fewshot_delimiter",
                task.fewshot_delimiter != default.fewshot_delimiter,
            ),
            ("chat_template", task.chat_template),
            ("repeats", task.repeats > 1),
            ("filter", !task.filter.is_empty()),
            ("exact_match", task.exact_match != default.exact_match),
        ];
        for (name, _) in used.iter().filter(|(_, used)| *used) {
            self.conflict(
                &[&format!("{key}.{name}")],
                format!("`{key}.{name}` is only read with a `{key}.prompt` or `{key}.target`"),
            );
        }
    }
}

/// What generated answers have only where the right ones are a closed set.
const NEED_CHOICES: [MetricName; 5] = [
    MetricName::MacroF1,
    MetricName::MicroF1,
    MetricName::WeightedF1,
    MetricName::Mcc,
    MetricName::InvalidOutputs,
];

/// Says which metrics a task has instead.
pub(super) fn no_metric(task: &EvalTask, metric: &str) -> String {
    let has: Vec<_> = task
        .output_type
        .metrics()
        .iter()
        .map(|it| it.key())
        .collect();
    format!(
        "task `{}` has no metric `{metric}`; it has `{}`",
        task.name,
        has.join("`, `")
    )
}
