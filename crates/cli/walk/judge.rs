//! What tells the best weights from the others while a student is trained: the metric of a task.

use anyhow::{Context, Result};
use slm_data::{HeldOut, Shards};
use slm_eval::{Evaluator, MetricName, Task};
use slm_model::Decoder;
use slm_recipe::EvalTask;
use slm_run::Emit;

use super::{Walk, measuring::has_file};
use crate::{base::Base, failure::refuse};

/// A task and its metric.
pub(super) struct Judge<'a> {
    base: &'a Base,
    task: &'a Task,
    /// Rows in the place of the task's.
    instead: Option<&'a [HeldOut]>,
    metric: MetricName,
    eos: bool,
    seed: u64,
}

impl Walk {
    /// The task that `metric_for_best_model` names; `None` when it is the loss.
    /// A task on rows of the test is asked about the held-out ones instead: weights that are chosen by a test have learned from it.
    pub(super) fn judge<'a>(
        &self,
        base: &'a Base,
        shards: &'a Shards,
        tasks: &'a [Task],
    ) -> Result<Option<Judge<'a>>> {
        let Some((name, metric)) = self.recipe.train.task_metric() else {
            return Ok(None);
        };
        let task = tasks.iter().find(|task| task.name() == name);
        let on_test = !has_file(&self.recipe, name) && !shards.test().is_empty();
        let instead = on_test.then(|| shards.held_out());
        if instead.is_some_and(<[HeldOut]>::is_empty) {
            return Err(refuse(
                format!(
                    "weights are to be chosen by the task `{name}`, and no row is held out for that"
                ),
                "rows of the test choose nothing: raise `data.val_size`",
            ));
        }
        Ok(Some(Judge {
            instead,
            base,
            task: task.with_context(|| format!("there is no task `{name}`"))?,
            metric: serde_json::from_value(metric.into())?,
            eos: self.recipe.data.train_on_eos,
            seed: self.recipe.seed,
        }))
    }
}

impl Judge<'_> {
    /// The metric of the weights as they are.
    pub(super) fn measure(&self, decoder: &Decoder, emit: Emit<'_>) -> Result<f64> {
        let evaluator = Evaluator {
            decoder: &decoder.inference().in_floats(),
            tokenizer: &self.base.tokenizer,
            eos: self.eos,
            seed: self.seed,
        };
        let report = match self.task {
            Task::Rows { task, items, .. } => {
                let task = EvalTask {
                    metrics: vec![self.metric],
                    ..(**task).clone()
                };
                evaluator.evaluate(&task, self.instead.unwrap_or(items), emit)?
            }
            Task::Suite(_) => evaluator.answer(self.task, emit)?,
        };
        let found = report.metric(self.metric).with_context(|| {
            let name = self.metric.label();
            format!(
                "task `{}` has no {name}: no item of it is measured by that",
                self.task.name()
            )
        })?;
        Ok(found.value)
    }
}

#[cfg(test)]
mod tests {
    use slm_recipe::{OutputType, TrainSection};

    #[test]
    fn recipe_and_evaluation_agree_on_metrics() {
        use OutputType::{GenerateUntil, Loglikelihood, LoglikelihoodRolling, MultipleChoice};
        let all = [
            MultipleChoice,
            GenerateUntil,
            Loglikelihood,
            LoglikelihoodRolling,
        ];
        for metric in all.map(OutputType::metrics).concat() {
            let name = metric.key();
            let section = TrainSection {
                metric_for_best_model: format!("task/{name}"),
                ..TrainSection::default()
            };
            assert_eq!(
                section.greater_is_better(),
                metric.higher_is_better(),
                "{name}"
            );
        }
    }
}
